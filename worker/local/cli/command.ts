import { type ParseArgsConfig, parseArgs } from "node:util";
import { Client } from "../client.ts";
import { refuseUnknown, UsageError, urlOf } from "./job-options.ts";

/** One word of the command line: `xenner NAME`. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What `--help` prints. */
  readonly help: string;
  /** Its options without the dashes, and words that may follow it, for completion. */
  readonly options: readonly string[];
  readonly words?: readonly string[];
  /** Returns the exit status. */
  run(args: readonly string[]): Promise<number>;
}

type Flags = NonNullable<ParseArgsConfig["options"]>;

const DEFAULT_URL = "http://127.0.0.1:8787";

/** Where the worker is: options that most commands have. */
export const WORKER_FLAGS = {
  url: { type: "string" },
  token: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const satisfies Flags;

export const WORKER_HELP = `  --url URL               the worker (default: $XENNER_URL, or ${DEFAULT_URL})
  --token TOKEN           its token (default: $XENNER_TOKEN)
  --help                  this text
`;

/** Parses the arguments of a command. @throws UsageError */
export function parseCommand<const Known extends Flags>(
  args: readonly string[],
  flags: Known,
  positionals: readonly string[],
) {
  refuseUnknown(args, Object.keys(flags));
  let parsed: ReturnType<typeof parseArgs<{ options: Known; allowPositionals: true; args: string[] }>>;
  try {
    parsed = parseArgs({ args: [...args], options: flags, strict: true, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  const given = parsed.positionals;
  const isHelp = (parsed.values as { help?: boolean }).help === true;
  const missing = positionals[given.length];
  if (missing !== undefined && !missing.startsWith("[") && !isHelp)
    throw new UsageError(`${missing} is missing`);
  const surplus = given[positionals.length];
  if (surplus !== undefined) throw new UsageError(`"${surplus}" is one word too many`);
  return { values: parsed.values, words: given };
}

/** The worker that these options, or the environment, name. */
export function clientOf(values: { readonly url?: string; readonly token?: string }): Client {
  // CI systems set a variable that is not there to nothing.
  const { XENNER_URL, XENNER_TOKEN } = process.env;
  const url = values.url === undefined ? urlOf(XENNER_URL || DEFAULT_URL, "$XENNER_URL") : urlOf(values.url);
  return new Client(url, values.token ?? (XENNER_TOKEN || undefined));
}

const ID = /^[0-9a-f]{32}$/;

/** @throws UsageError */
export function idOf(text: string | undefined): string {
  // Whoever copies an address means what it leads to.
  const id = text?.split("/").at(-1) ?? "";
  if (ID.test(id)) return id;
  throw new UsageError(`"${text}" is no id of a job or batch: 32 hexadecimal digits, as submit prints`);
}
