/**
 * `npm run dev [-- --port N] [--directory DIR]`: the worker on this machine, until it is told to stop.
 *
 * Its first line on standard output is one JSON object with `url`, `token` and `dashboard`, an address whose button logs a
 * browser in, once and within ten minutes; what the worker logs goes to standard error, with that address in words.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { listFixtures, prepareFixture } from "../../r2-fixtures/index.ts";
import { tokenIn } from "./kept-token.ts";
import { LocalServer } from "./server.ts";

const EXIT_USAGE = 64;
const EXIT_INFRASTRUCTURE = 2;
const ROOT = join(import.meta.dirname, "..", "..");
const FIXTURE_CACHE = join(ROOT, "r2-fixtures", "cache");
const DEFAULT_PORT = 8787;
const PARENT_CHECK_MILLISECONDS = 1000;
const PORT_MAX = 65_535;

/** Settings of the worker that are taken from the environment; others' systems cannot be told of at the command line. */
const SETTINGS = [
  "PUBLIC_URL",
  "WEBHOOK_SECRET",
  "NOTIFY_ALLOW",
  "NOTIFY_RESOLVER",
  "NOTIFY_RETRY_SECONDS",
  "GITHUB_TOKEN",
  "GITHUB_REPOSITORIES",
  "GITHUB_API",
  "GITHUB_WEBHOOK_SECRET",
  "GENERIC_WEBHOOK_SECRET",
] as const;

function settingsOf(environment: NodeJS.ProcessEnv): Record<string, string> {
  const set: Record<string, string> = {};
  for (const name of SETTINGS) {
    const value = environment[name];
    if (value !== undefined && value !== "") set[name] = value;
  }
  // Many have a token of their own in their environment, which is not meant for this.
  if (set.GITHUB_REPOSITORIES === undefined) delete set.GITHUB_TOKEN;
  return set;
}

const note = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

function optionsOf(args: readonly string[]): { readonly port: number; readonly directory?: string } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      port: { type: "string" },
      directory: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help === true) {
    process.stdout.write(
      `Usage: npm run dev [-- --port N] [--directory DIR]

A worker on this machine, until it is told to stop. Its first line is JSON with its address and token.

  --port N          default ${DEFAULT_PORT}; 0 takes a free one, and keeps nothing
  --directory DIR   where jobs, files and the token are kept (default: .local/dev-PORT)
`,
    );
    process.exit(0);
  }
  const port = Number(values.port ?? DEFAULT_PORT);
  if (!Number.isInteger(port) || port < 0 || port > PORT_MAX)
    throw new Error(`--port must be from 0 to ${PORT_MAX}`);
  // Two servers on one directory would corrupt it; two on one port cannot be.
  const directory = values.directory ?? (port === 0 ? undefined : join(ROOT, ".local", `dev-${port}`));
  return { port, ...(directory === undefined ? {} : { directory }) };
}

/** Fixtures that need no download: our own, and those that were fetched before. */
async function storeFixtures(server: LocalServer): Promise<void> {
  for (const { name, kernel } of listFixtures()) {
    if ("package" in kernel && !existsSync(join(FIXTURE_CACHE, "lock", `${kernel.package}.json`))) continue;
    try {
      await server.storeFixture(await prepareFixture(name, { log: note }));
    } catch (error) {
      note(`fixture ${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

let options: ReturnType<typeof optionsOf>;
try {
  options = optionsOf(process.argv.slice(2));
} catch (error) {
  note(`${error instanceof Error ? error.message : String(error)}\nnpm run dev -- --help shows the options.`);
  process.exit(EXIT_USAGE);
}
async function start(): Promise<LocalServer> {
  return LocalServer.start({
    ...options,
    ...(options.directory === undefined ? {} : { token: await tokenIn(options.directory) }),
    variables: settingsOf(process.env),
    // What is exempt must be reached, too.
    ...(process.env.NOTIFY_ALLOW !== undefined && { network: ["public", "private"] }),
    log: note,
  });
}
const server = await start().catch((error: unknown) => {
  // Mostly the port is another's already, or the directory cannot be written.
  note(`the worker did not start: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(EXIT_INFRASTRUCTURE);
});
let stopping = false;
const stop = async (): Promise<void> => {
  if (stopping) return;
  stopping = true;
  await server.stop();
  process.exit(0);
};
process.on("SIGINT", stop);
process.on("SIGTERM", stop);
process.on("SIGHUP", stop);
// npm may be killed without a chance to pass the signal on; then nobody would be left to stop this.
if (process.env.npm_lifecycle_event !== undefined) {
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && stop(), PARENT_CHECK_MILLISECONDS).unref();
}
await storeFixtures(server).catch((error: unknown) => note(`fixtures: ${String(error)}`));
const dashboard = await server.client().loginLink();
// Only now: whoever reads this line may ask for a fixture at once.
process.stdout.write(`${JSON.stringify({ url: server.url, token: server.token, dashboard })}\n`);
note(`Dashboard (press the button there to log in): ${dashboard}`);
