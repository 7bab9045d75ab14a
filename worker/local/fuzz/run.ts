import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { PreparedFixture } from "../../../r2-fixtures/index.ts";
import { Client } from "../client.ts";
import { LocalServer } from "../server.ts";
import { complaintOfLog, Judge } from "./judge.ts";
import { Random } from "./random.ts";
import { type Document, type FuzzRequest, RequestMaker } from "./requests.ts";
import { type FuzzAnswer, Sender } from "./send.ts";

export interface FuzzPlan {
  readonly requests: number;
  readonly seed: number;
  /** The guest that jobs boot. */
  readonly fixture: PreparedFixture;
  /** Called now and then with the number of requests that are done. */
  readonly progress?: (done: number) => void;
}

/** Something that went wrong. */
export interface Complaint {
  readonly what: string;
  readonly request: FuzzRequest | undefined;
  readonly answer: FuzzAnswer | undefined;
}

export interface FuzzResult {
  readonly requests: number;
  readonly seconds: number;
  /** Jobs that were made and came to their end. */
  readonly jobs: number;
  /** Answers by operation and status. */
  readonly answers: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly complaints: readonly Complaint[];
}

const WATCHED = join(import.meta.dirname, "watched-worker.ts");
const CONCURRENCY = 32;
/** One of so many requests may start jobs. */
const REQUESTS_PER_START = 80;
const IDS = 400;
const END_MILLISECONDS = 240_000;
const PROGRESS_EVERY = 500;
const CURSOR = /"next":"([^"]{1,200})"/g;
const TOKEN_TEXT = /"token":"([^"]{8,200})"/g;

/** A worker that is there. */
export interface FuzzTarget {
  readonly url: string;
  readonly token: string;
}

/** Sends that many requests to a worker of its own, and says which were not answered as they should. */
export async function fuzz(plan: FuzzPlan): Promise<FuzzResult> {
  const logged: Complaint[] = [];
  const server = await LocalServer.start({
    entry: WATCHED,
    log: (line) => logged.push(...complaintsOfLog(line)),
  });
  try {
    await server.storeFixture(plan.fixture);
    const result = await fuzzTarget(server, plan);
    return { ...result, complaints: [...result.complaints, ...logged] };
  } finally {
    await server.stop();
  }
}

export function complaintsOfLog(line: string): Complaint[] {
  const what = complaintOfLog(line);
  return what === undefined ? [] : [{ what, request: undefined, answer: undefined }];
}

/** As `fuzz`, to a worker that has the fixture; what it logs is the caller's to look at. */
export async function fuzzTarget(
  target: FuzzTarget,
  { requests, seed, fixture, progress }: FuzzPlan,
): Promise<FuzzResult> {
  const complaints: Complaint[] = [];
  const complain = (what: string, request?: FuzzRequest, answer?: FuzzAnswer): void => {
    complaints.push({ what, request, answer });
  };
  const random = new Random(seed);
  const client = new Client(target.url, target.token);
  const document = (await (await client.request("/openapi.json")).json()) as Document;
  const kernel = await readFile(fixture.kernelPath);
  const known = {
    tokens: [target.token],
    ids: {} as Record<string, string[]>,
    cursors: [] as string[],
    names: ["a", "prompt"],
    sha256s: [createHash("sha256").update(kernel).digest("hex"), random.hex(64)],
    fixtures: [fixture.name, fixture.name, fixture.name, "none"],
    kernel,
  };
  const made = new Set<string>();
  const maker = new RequestMaker(random, document, known);
  const judge = new Judge(document);
  const sender = new Sender(target.url);
  const answers: Record<string, Record<string, number>> = {};
  const began = performance.now();
  let sent = 0;
  let starts = 0;

  const note = (request: FuzzRequest, answer: FuzzAnswer): void => {
    const operation = request.operation ?? "others";
    const row = answers[operation] ?? {};
    row[answer.status] = (row[answer.status] ?? 0) + 1;
    answers[operation] = row;
    if (answer.status === 200) {
      for (const [, cursor = ""] of answer.body.matchAll(CURSOR))
        if (known.cursors.length < IDS) known.cursors.push(cursor);
    }
    if (answer.status !== 201 || request.method !== "POST") return;
    const collection = request.path.split(/[/?]/)[1] ?? "";
    const { id } = JSON.parse(answer.body) as { readonly id?: unknown };
    if (typeof id === "string") known.ids[collection] = [...(known.ids[collection] ?? []), id].slice(-IDS);
    if (collection === "jobs" && typeof id === "string" && !request.path.includes("snapshots")) made.add(id);
    for (const [, token = ""] of answer.body.matchAll(TOKEN_TEXT))
      if (known.tokens.length < 20) known.tokens.push(token);
  };
  const work = async (): Promise<void> => {
    while (sent < requests) {
      sent++;
      if (sent % PROGRESS_EVERY === 0) progress?.(sent);
      const request = maker.next(starts * REQUESTS_PER_START <= sent);
      if (request.starts) starts++;
      const answer = await sender.send(request);
      note(request, answer);
      const what = judge.complaint(request, answer);
      if (what !== undefined) complain(what, request, answer);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));

  // Whatever was asked for meanwhile, the jobs come to their ends, and none by a fault of the worker's.
  const deadline = performance.now() + END_MILLISECONDS;
  let ended = 0;
  for (const id of made) {
    for (;;) {
      const job = await client.job(id);
      if (job.endedAt !== null) {
        ended++;
        if (job.state === "error") complain(`job ${id} ended as an error: ${job.reason}`);
        break;
      }
      if (performance.now() > deadline) {
        complain(`job ${id} is still ${job.state} when all should be over`);
        await client.cancel(id);
        break;
      }
      await sleep(100);
    }
  }
  sender.close();
  return { requests: sent, seconds: (performance.now() - began) / 1000, jobs: ended, answers, complaints };
}

/** One complaint of each kind, and how many there are of it. */
export function kindsOf(
  complaints: readonly Complaint[],
): { readonly count: number; readonly example: Complaint }[] {
  const kinds = Map.groupBy(
    complaints,
    ({ what, request }) => `${what.slice(0, 80)} ${request?.operation ?? ""}`,
  );
  return [...kinds.values()].flatMap((alike) => {
    const [example] = alike;
    return example === undefined ? [] : [{ count: alike.length, example }];
  });
}

/** A complaint with what somebody needs who looks into it. */
export function describeComplaint({ what, request, answer }: Complaint): string {
  const lines = [what];
  if (request !== undefined) {
    lines.push(`  ${request.method} ${request.path.slice(0, 300)}`);
    for (const [name, value] of Object.entries(request.headers))
      lines.push(`  ${name}: ${value.slice(0, 200)}`);
    if (request.body !== undefined)
      lines.push(`  body: ${JSON.stringify(request.body.toString("latin1").slice(0, 600))}`);
  }
  if (answer !== undefined) lines.push(`  -> ${answer.status} ${answer.type} ${answer.body.slice(0, 600)}`);
  return lines.join("\n");
}
