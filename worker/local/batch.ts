import { readFile, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { styleText } from "node:util";
import { listFixtures, prepareFixture } from "../../r2-fixtures/index.ts";
import type { MemberPage, MemberView } from "../batches/member.ts";
import type { BatchView } from "../batches/record.ts";
import { EXIT } from "./cli/exit.ts";
import { UsageError } from "./cli/job-options.ts";
import { ApiError, type Client } from "./client.ts";
import { count, short, table } from "./report.ts";
import type { LocalServer } from "./server.ts";

/* `--batch FILE`: sends a batch, shows each job as it ends, and what came of them together. */

const POLL_MILLISECONDS = 300;
/** How long to try to reach a worker that was reachable before. */
const RECONNECT_MILLISECONDS = 30_000;
const PAGE = 1000;

type Fields = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A batch as it is written in a file. */
export interface BatchFile {
  /** What paths in it are relative to. */
  readonly folder: string;
  readonly body: unknown;
}

/** The batch in a file. @throws UsageError */
export async function readBatch(path: string): Promise<BatchFile> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || !found.isFile()) throw new UsageError(`--batch: there is no file ${path}`);
  try {
    return { folder: dirname(resolve(path)), body: JSON.parse(await readFile(path, "utf8")) as unknown };
  } catch (error) {
    throw new UsageError(
      `--batch: ${path} is no JSON: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/**
 * The batch as the worker takes it: `{"file": PATH}` for a kernel or initrd is sent, and becomes its hash; fixtures are made
 * known to a worker of our own.
 */
class Files {
  readonly #client: Client;
  readonly #server: LocalServer | undefined;
  readonly #folder: string;
  readonly #log: (line: string) => void;
  readonly #sent = new Map<string, Promise<string>>();
  readonly #fixtures = new Set<string>();

  constructor(client: Client, server: LocalServer | undefined, folder: string, log: (line: string) => void) {
    this.#client = client;
    this.#server = server;
    this.#folder = folder;
    this.#log = log;
  }

  /** @throws UsageError, FixtureUnavailable */
  async resolve(value: unknown): Promise<unknown> {
    if (Array.isArray(value)) return Promise.all(value.map((item) => this.resolve(item)));
    if (!isObject(value)) return value;
    const entries = await Promise.all(
      Object.entries(value).map(async ([name, field]): Promise<[string, unknown]> => {
        if (name === "kernel" || name === "initrd") return [name, await this.#references(field)];
        // Nothing else that has a kernel in it.
        return [
          name,
          ["matrix", "include", "exclude", "jobs"].includes(name) ? await this.resolve(field) : field,
        ];
      }),
    );
    return Object.fromEntries(entries);
  }

  async #references(value: unknown): Promise<unknown> {
    if (Array.isArray(value)) {
      const references: unknown[] = [];
      // One after the other: they are large.
      for (const item of value) references.push(await this.#references(item));
      return references;
    }
    if (!isObject(value)) return value;
    if (typeof value.file === "string" && Object.keys(value).length === 1)
      return { sha256: await this.#send(value.file) };
    if (typeof value.fixture === "string") await this.#prepare(value.fixture);
    return value;
  }

  #send(file: string): Promise<string> {
    const path = resolve(this.#folder, file);
    const sent = this.#sent.get(path) ?? this.#upload(path);
    this.#sent.set(path, sent);
    return sent;
  }

  async #upload(path: string): Promise<string> {
    const found = await stat(path).catch(() => undefined);
    if (found === undefined || !found.isFile()) throw new UsageError(`--batch: there is no file ${path}`);
    return await this.#client.putFile(path);
  }

  async #prepare(name: string): Promise<void> {
    const isKnown = listFixtures().some((fixture) => fixture.name === name);
    // A name that nobody knows is the job's error, as it is with any other worker.
    if (this.#server === undefined || this.#fixtures.has(name) || !isKnown) return;
    this.#fixtures.add(name);
    await this.#server.storeFixture(await prepareFixture(name, { log: this.#log }));
  }
}

/** Asks until the worker answers: one that was killed is back soon. */
async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  const since = performance.now();
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const isPassing = !(error instanceof ApiError) || error.status >= 500;
      if (!isPassing || performance.now() - since > RECONNECT_MILLISECONDS) throw error;
      await sleep(POLL_MILLISECONDS);
    }
  }
}

async function getJson<T>(client: Client, path: string): Promise<T> {
  return patiently(async () => (await (await client.request(path)).json()) as T);
}

async function membersOf(client: Client, id: string): Promise<MemberView[]> {
  const members: MemberView[] = [];
  for (let cursor: string | null = null; ; ) {
    const after = cursor === null ? "" : `&cursor=${cursor}`;
    const page: MemberPage = await getJson(client, `/batches/${id}/jobs?limit=${PAGE}${after}`);
    members.push(...page.jobs);
    cursor = page.next;
    if (cursor === null) return members;
  }
}

const colourOf = (verdict: string | null) =>
  verdict === "pass" ? "green" : verdict === "skip" || verdict === "canceled" ? "yellow" : "red";
const colour = (verdict: string | null, text: string): string =>
  styleText(colourOf(verdict), text, { stream: process.stdout });

function lineOf({ verdict, name, reason, instructions }: MemberView): string {
  const figures = instructions > 0 ? `  ${short(instructions)} instructions` : "";
  return `${colour(verdict, (verdict ?? "?").padEnd(9))}  ${name}${figures}${reason === null ? "" : `  ${reason}`}`;
}

function tableOf(members: readonly MemberView[]): string {
  const rows = members.map(({ name, verdict, reasonCode, instructions, guestSeconds, runSeconds, job }) => [
    name,
    verdict ?? "?",
    reasonCode ?? "",
    count(instructions),
    guestSeconds.toFixed(2),
    runSeconds.toFixed(2),
    job ?? "",
  ]);
  return table(["job", "verdict", "reason", "instructions", "guest s", "s", "id"], rows).join("\n");
}

function summaryOf(batch: BatchView): string {
  const counts = Object.entries(batch.verdicts).map(([verdict, times]) => `${times} ${verdict}`);
  return [
    `${colour(batch.verdict, (batch.verdict ?? batch.state).toUpperCase())}  ${batch.jobs.total} jobs: ${counts.join(", ")}`,
    `time ${batch.seconds.toFixed(2)} s, instructions ${count(batch.instructions)}, batch ${batch.id}`,
  ].join("\n");
}

/** 0 pass, 1 the guests' fault, 2 ours, 64 a member was refused and nothing is worse. */
export function exitOfBatch({ verdict, verdicts, states }: BatchView): number {
  switch (verdict) {
    case "pass":
    case "skip":
      return EXIT.pass;
    case "error":
      return (states.refused ?? 0) >= (verdicts.error ?? 0) ? EXIT.usage : EXIT.infrastructure;
    case "canceled":
    case null:
      return EXIT.infrastructure;
    default:
      return EXIT.fail;
  }
}

export interface SendOptions {
  /** The worker, if it is one of ours. */
  readonly server: LocalServer | undefined;
  readonly log: (line: string) => void;
}

/** Sends a batch, after the files it needs. @throws UsageError, ApiError */
export async function sendBatch(
  client: Client,
  file: BatchFile,
  { server, log }: SendOptions,
): Promise<BatchView> {
  const body = await new Files(client, server, file.folder, log).resolve(file.body);
  const headers = { "content-type": "application/json" };
  const response = await client.request("/batches", { method: "POST", headers, body: JSON.stringify(body) });
  return (await response.json()) as BatchView;
}

/** Shows each job of a batch as it ends, a table, and what came of them together; the exit status. @throws ApiError */
export async function followBatch(client: Client, id: string, json: boolean): Promise<number> {
  const shown = new Set<number>();
  let batch: BatchView;
  for (let known = 0; ; ) {
    batch = await getJson<BatchView>(client, `/batches/${id}`);
    if (batch.jobs.ended > known && !json) {
      known = batch.jobs.ended;
      for (const member of await membersOf(client, id)) {
        if (member.verdict === null || shown.has(member.index)) continue;
        shown.add(member.index);
        process.stdout.write(`${lineOf(member)}\n`);
      }
    }
    if (batch.state === "ended") break;
    await sleep(POLL_MILLISECONDS);
  }
  const members = await membersOf(client, id);
  if (json) process.stdout.write(`${JSON.stringify({ ...batch, members }, null, 2)}\n`);
  else process.stdout.write(`\n${tableOf(members)}\n\n${summaryOf(batch)}\n`);
  return exitOfBatch(batch);
}
