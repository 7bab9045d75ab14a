import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Command, parseCommand } from "./command.ts";
import { completionFor, SHELLS } from "./completion.ts";
import { EXIT, reportError } from "./exit.ts";
import { CANCEL, LIST, LOGS, REPORT, RUN, SUBMIT, WATCH } from "./job-commands.ts";
import { suggestion, UsageError } from "./job-options.ts";

/* `xenner COMMAND`: the command line's entry. */

const COMPLETION: Command = {
  name: "completion",
  summary: "print a script that completes xenner's words in a shell",
  help: `Usage: xenner completion ${SHELLS.join("|")}

Examples
  source <(xenner completion bash)
  xenner completion fish | source
`,
  options: ["help"],
  words: SHELLS,
  async run(args) {
    const { values, words } = parseCommand(args, { help: { type: "boolean", short: "h" } }, ["SHELL"]);
    if (values.help === true) {
      process.stdout.write(COMPLETION.help);
      return EXIT.pass;
    }
    const shell = SHELLS.find((known) => known === words[0]);
    if (shell === undefined)
      throw new UsageError(`there is no completion for "${words[0]}"; there is for ${SHELLS.join(", ")}`);
    process.stdout.write(completionFor(shell, COMMANDS));
    return EXIT.pass;
  },
};

/** All commands, in the order of their help. */
export const COMMANDS: readonly Command[] = [RUN, SUBMIT, WATCH, LOGS, REPORT, LIST, CANCEL, COMPLETION];

const HELP = `Usage: xenner COMMAND [OPTIONS]

Boots guest kernels, and says how it went.

Commands
${COMMANDS.map(({ name, summary }) => `  ${name.padEnd(12)}${summary}`).join("\n")}

Options
  --help      this text; "xenner COMMAND --help" tells about one
  --version

Environment
  XENNER_URL, XENNER_TOKEN    the worker that commands other than run talk to
  NO_COLOR                    no colours; CI=true: no progress bar either

Examples
  xenner run --kernel arch/x86/boot/bzImage --rootfs initrd.cpio.gz --expect 'login:'
  xenner watch $(xenner submit --fixture hello)

Exit status: 0 pass, 1 fail, 2 infrastructure error, 64 wrong use or refused input; 130 after Ctrl-C.
`;

function version(): string {
  const path = join(import.meta.dirname, "..", "..", "..", "package.json");
  return (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;
}

/** Runs a command; returns the exit status. */
export async function main(args: readonly string[]): Promise<number> {
  // "help run" is "run --help".
  const [name, ...rest] = args[0] === "help" && args[1] !== undefined ? [args[1], "--help"] : args;
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    (name === undefined ? process.stderr : process.stdout).write(HELP);
    return name === undefined ? EXIT.usage : EXIT.pass;
  }
  if (name === "--version" || name === "version" || name === "-V") {
    process.stdout.write(`${version()}\n`);
    return EXIT.pass;
  }
  const command = COMMANDS.find((known) => known.name === name);
  try {
    if (command !== undefined) return await command.run(rest);
    const names = name.startsWith("-") ? ["--help", "--version"] : COMMANDS.map((known) => known.name);
    const what = name.startsWith("-") ? "option before the command" : "command";
    throw new UsageError(`there is no ${what} "${name}"${suggestion(name, names)}`);
  } catch (error) {
    return reportError(error, rest.includes("--json"), command === undefined ? "xenner" : `xenner ${name}`);
  }
}
