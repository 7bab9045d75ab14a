/** `npm start`: boots one kernel and tells how it went. START_HELP in options.ts is its manual. */
import { readFile, stat } from "node:fs/promises";
import {
  FixtureUnavailable,
  listFixtures,
  type PreparedFixture,
  prepareFixture,
} from "../../r2-fixtures/index.ts";
import type { JobView } from "../runner/record.ts";
import { type BatchFile, readBatch, runBatch } from "./batch.ts";
import { ApiError, Client } from "./client.ts";
import { parseStartOptions, SNAPSHOT_NAME, START_HELP, type StartOptions, UsageError } from "./options.ts";
import { Progress } from "./progress.ts";
import { hypercallTable, summary } from "./report.ts";
import { LocalServer } from "./server.ts";
import { stateHashes } from "./state-hashes.ts";

/** JOB/NAME, or the id of an imported snapshot. */
const SNAPSHOT_REFERENCE = /^([0-9a-f]{32})(?:\/([\w.-]+))?$/;

const EXIT = { pass: 0, fail: 1, infrastructure: 2, usage: 64 } as const;
const DEFAULT_FIXTURE = "debian-cloud";
const FALLBACK_FIXTURE = "hello";

const note = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

/** What to boot, as files on this machine, and what is expected of it. */
interface Subject {
  readonly fixture?: string;
  readonly kernel: string;
  readonly initrd?: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/** A guest that goes on instead. */
interface SnapshotSubject {
  readonly from: string;
  readonly config: Readonly<Record<string, unknown>>;
}

async function inputOf(text: string): Promise<unknown> {
  const isJson = text.trimStart().startsWith("[");
  if (!isJson) await checkFile(text, "input");
  try {
    return JSON.parse(isJson ? text : await readFile(text, "utf8")) as unknown;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UsageError(`--input: ${isJson ? "this" : text} is no JSON: ${why}`);
  }
}

async function snapshotSubject(from: string, options: StartOptions): Promise<SnapshotSubject> {
  if (!SNAPSHOT_REFERENCE.test(from)) await checkFile(from, "from");
  const { expectPass: pass = [], expectFail: fail = [] } = options;
  return { from, config: { expect: { pass, fail }, ...options.config } };
}

/** What a worker is asked to start. Files it lacks are sent first. */
async function requestOf(
  client: Client,
  subject: Subject | SnapshotSubject,
): Promise<Record<string, unknown>> {
  if ("from" in subject) {
    const named = SNAPSHOT_REFERENCE.exec(subject.from);
    if (named === null) return { from: (await client.importSnapshot(subject.from)).from };
    const [, id, name] = named;
    return { from: name === undefined ? { snapshot: id } : { job: id, snapshot: name } };
  }
  const kernel = { sha256: await client.putFile(subject.kernel) };
  if (subject.initrd === undefined) return { kernel };
  return { kernel, initrd: { sha256: await client.putFile(subject.initrd) } };
}

async function subjectOf(options: StartOptions): Promise<Subject> {
  const pass = options.expectPass;
  const fail = options.expectFail;
  if (options.kernel === undefined) {
    const fixture = await fixtureOf(options.fixture);
    const expect = { pass: pass ?? fixture.expect.pass, fail: fail ?? fixture.expect.fail };
    const initrd = options.initrd ?? fixture.initrdPath;
    if (options.initrd !== undefined) await checkFile(options.initrd, "initrd");
    return {
      fixture: fixture.name,
      kernel: fixture.kernelPath,
      ...(initrd === undefined ? {} : { initrd }),
      config: {
        cmdline: fixture.cmdline,
        memory: fixture.memoryMiB,
        ...(fixture.mode === undefined ? {} : { mode: fixture.mode }),
        expect,
        ...options.config,
      },
    };
  }
  await checkFile(options.kernel, "kernel");
  if (options.initrd !== undefined) await checkFile(options.initrd, "initrd");
  return {
    kernel: options.kernel,
    ...(options.initrd === undefined ? {} : { initrd: options.initrd }),
    config: { expect: { pass: pass ?? [], fail: fail ?? [] }, ...options.config },
  };
}

async function fixtureOf(name: string | undefined): Promise<PreparedFixture> {
  const known = listFixtures().map((fixture) => fixture.name);
  if (name !== undefined && !known.includes(name)) {
    throw new UsageError(`there is no fixture "${name}"; there are: ${known.join(", ")}`);
  }
  try {
    return await prepareFixture(name ?? DEFAULT_FIXTURE, { log: note });
  } catch (error) {
    // Who asks for nothing in particular gets what can be had; who asks for a fixture by name is told why not.
    if (!(error instanceof FixtureUnavailable) || name !== undefined) throw error;
    note(`${error.message}. Booting "${FALLBACK_FIXTURE}" instead.`);
    return prepareFixture(FALLBACK_FIXTURE, { log: note });
  }
}

async function checkFile(path: string, what: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || !found.isFile()) throw new UsageError(`--${what}: there is no file ${path}`);
  if (found.size === 0) throw new UsageError(`--${what}: ${path} is empty`);
}

function exitOf(job: JobView): number {
  switch (job.verdict) {
    case "pass":
    case "skip":
      return EXIT.pass;
    case "error":
    case "canceled":
    case null:
      return EXIT.infrastructure;
    default:
      return EXIT.fail;
  }
}

/** Sends the job, shows its console, and reports. Returns the exit status. */
async function run(
  client: Client,
  subject: Subject | SnapshotSubject,
  options: StartOptions,
  signal: AbortSignal,
): Promise<number> {
  const input = options.input === undefined ? {} : { input: await inputOf(options.input) };
  const config = { ...subject.config, ...input };
  const { id } = await client.createJob({ ...(await requestOf(client, subject)), config });
  signal.addEventListener("abort", () => client.cancel(id).catch(() => {}));

  const chunks: Uint8Array[] = [];
  const progress = new Progress(client);
  progress.start(id);
  const job = await client.followConsole(id, (bytes) => {
    chunks.push(bytes);
    if (options.json) return;
    progress.clear();
    process.stdout.write(bytes);
    progress.wrote(bytes);
  });
  progress.stop();
  const hypercalls = await client.hypercalls(id);
  if (options.snapshot !== undefined) await saveSnapshot(client, job, options.snapshot);
  const text = Buffer.concat(chunks).toString("utf8");
  if (options.json) {
    const { links: _, ...figures } = job;
    const document = {
      ...figures,
      fixture: ("from" in subject ? job.fixture : subject.fixture) ?? null,
      console: text,
      hypercalls: hypercalls ?? null,
    };
    process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  } else {
    const gap = text === "" || text.endsWith("\n") ? "" : "\n";
    const statistics = hypercalls === undefined ? "" : `\n\n${hypercallTable(hypercalls)}`;
    process.stdout.write(`${gap}\n${summary(job)}${statistics}\n`);
  }
  return exitOf(job);
}

async function saveSnapshot(client: Client, job: JobView, path: string): Promise<void> {
  const made = job.snapshots.find(({ name }) => name === SNAPSHOT_NAME);
  if (made === undefined) note("no snapshot: the run was over before its point came");
  else if ("error" in made) note(`no snapshot: ${made.error}`);
  else {
    await client.exportSnapshot(job.id, made.name, path);
    note(
      `snapshot of instruction ${made.instructions.toLocaleString("en-US")}: ${path}, ${made.bytes} bytes`,
    );
  }
}

async function main(args: readonly string[]): Promise<number> {
  const options = parseStartOptions(args);
  if (options.help) {
    process.stdout.write(START_HELP);
    return EXIT.pass;
  }
  if (options.list) {
    for (const { name, description } of listFixtures())
      process.stdout.write(`${name.padEnd(16)}${description}\n`);
    return EXIT.pass;
  }
  if (options.batch !== undefined)
    return await withWorker(options, batchRunner(await readBatch(options.batch), options));
  const subject =
    options.from === undefined ? await subjectOf(options) : await snapshotSubject(options.from, options);
  if (options.stateHashEvery !== undefined && !("from" in subject)) {
    const { verdict, reason } = await stateHashes(subject, options.stateHashEvery, (instructions, hash) =>
      process.stdout.write(`${instructions} ${hash}\n`),
    );
    note(`${verdict}: ${reason}`);
    return verdict === "pass" ? EXIT.pass : EXIT.fail;
  }
  return await withWorker(options, ({ client }, signal) => run(client, subject, options, signal));
}

/** Where jobs are sent: a worker of our own, or one elsewhere. */
interface Place {
  readonly client: Client;
  readonly server: LocalServer | undefined;
}
type Runner = (place: Place, signal: AbortSignal) => Promise<number>;

function batchRunner(file: BatchFile, { json }: StartOptions): Runner {
  return ({ client, server }, signal) => runBatch(client, file, { server, json, signal, log: note });
}

/** Runs something with a worker, which goes away afterwards if it was started for this. Signals cancel. */
async function withWorker(options: StartOptions, work: Runner): Promise<number> {
  const abort = new AbortController();
  const server = options.url === undefined ? await LocalServer.start({ log: note }) : undefined;
  const stopOn = (name: NodeJS.Signals): void => {
    process.once(name, () => {
      abort.abort();
      // A second signal ends at once.
      process.once(name, () => process.exit(EXIT.infrastructure));
    });
  };
  stopOn("SIGINT");
  stopOn("SIGTERM");
  stopOn("SIGHUP");
  try {
    const client = server?.client() ?? new Client(options.url ?? "", options.token);
    return await work({ client, server }, abort.signal);
  } finally {
    await server?.stop();
  }
}

/** Errors end as one line on standard error; with --json, also as a document. */
function report(error: unknown, json: boolean): number {
  const message = error instanceof Error ? error.message : String(error);
  const refused = error instanceof ApiError && [400, 413, 422].includes(error.status);
  if (json) {
    const details =
      error instanceof ApiError
        ? error.error
        : { code: error instanceof UsageError ? "usage" : "infrastructure", message };
    process.stdout.write(
      `${JSON.stringify({ verdict: refused ? "refused" : "error", reason: message, error: details }, null, 2)}\n`,
    );
  }
  if (error instanceof UsageError) note(`${message}\nnpm start -- --help shows the options.`);
  else if (refused) note(`refused: ${message}`);
  else {
    const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : "";
    note(`infrastructure error: ${message}${cause}`);
  }
  return error instanceof UsageError || refused ? EXIT.usage : EXIT.infrastructure;
}

const args = process.argv.slice(2);
try {
  process.exitCode = await main(args);
} catch (error) {
  process.exitCode = report(error, args.includes("--json"));
}
