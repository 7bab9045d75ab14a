/** `xenner run` and `npm start`: boots one kernel, or a batch of them, and tells how it went. */
import { listFixtures } from "../../../r2-fixtures/index.ts";
import type { JobView } from "../../runner/record.ts";
import { type BatchFile, followBatch, readBatch, sendBatch } from "../batch.ts";
import { Client } from "../client.ts";
import { hypercallTable, summary } from "../report.ts";
import { LocalServer } from "../server.ts";
import { stateHashes } from "../state-hashes.ts";
import { EXIT, exitOf, note, reportError } from "./exit.ts";
import { parseStartOptions, SNAPSHOT_NAME, type StartOptions, startHelp } from "./job-options.ts";
import { Progress } from "./progress.ts";
import { writeReports } from "./reports.ts";
import { onSignal, type Signal, statusOf } from "./signals.ts";
import { inputOf, requestOf, type SnapshotSubject, type Subject, subjectOf } from "./subject.ts";

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
  const cancel = (): unknown => client.cancel(id).catch(() => {});
  // A signal may have come while files were sent.
  if (signal.aborted) await cancel();
  signal.addEventListener("abort", cancel);

  const chunks: Uint8Array[] = [];
  const progress = new Progress(client);
  await progress.start(id, options.config.labels);
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
  await writeReports(client, `/jobs/${id}`, options.reports);
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

async function main(args: readonly string[], program: string): Promise<number> {
  const options = parseStartOptions(args);
  if (options.help) {
    process.stdout.write(startHelp(program));
    return EXIT.pass;
  }
  if (options.list) {
    for (const { name, description } of listFixtures())
      process.stdout.write(`${name.padEnd(16)}${description}\n`);
    return EXIT.pass;
  }
  if (options.batch !== undefined)
    return await withWorker(options, batchRunner(await readBatch(options.batch), options));
  const subject = await subjectOf(options);
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

function batchRunner(file: BatchFile, { json, reports }: StartOptions): Runner {
  return async ({ client, server }, signal) => {
    const { id } = await sendBatch(client, file, { server, log: note });
    const cancel = (): unknown => client.request(`/batches/${id}`, { method: "DELETE" }).catch(() => {});
    if (signal.aborted) await cancel();
    signal.addEventListener("abort", cancel);
    const status = await followBatch(client, id, json);
    await writeReports(client, `/batches/${id}`, reports);
    return status;
  };
}

/** Runs something with a worker, which goes away afterwards if it was started for this. Signals cancel; then the status is theirs. */
async function withWorker(options: StartOptions, work: Runner): Promise<number> {
  const abort = new AbortController();
  const server =
    options.url === undefined
      ? await LocalServer.start({ log: note, variables: { PUBLIC_URL: "none" } })
      : undefined;
  let interruption: Signal | undefined;
  const ignoreSignals = onSignal((signal) => {
    interruption = signal;
    note(`${signal}: canceling; once more ends at once`);
    abort.abort();
  });
  try {
    const client = server?.client() ?? new Client(options.url ?? "", options.token);
    const status = await work({ client, server }, abort.signal);
    return interruption === undefined ? status : statusOf(interruption);
  } finally {
    ignoreSignals();
    await server?.stop();
  }
}

/** Runs the command; returns the exit status. `program` is how it was called, for messages. */
export async function runCommand(args: readonly string[], program: string): Promise<number> {
  try {
    return await main(args, program);
  } catch (error) {
    return reportError(error, args.includes("--json"), program);
  }
}
