// The real processor: our end of the harness (harness.c describes the protocol).

import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { buildHarness } from "./build.ts";
import { appendRun, type Case, type Outcome, type Patch } from "./case.ts";
import { baseContents, REGIONS } from "./layout.ts";
import { STATE_BYTES, State } from "./state.ts";

/** The wire format, in bytes; harness.c describes it. */
export const REQUEST_HEADER = 8;
export const RESPONSE_HEADER = 32;
export const RANGE_HEADER = 16;
const PROT = { READ: 1, WRITE: 2, EXECUTE: 4 } as const;
export const SIGNAL = { VTALRM: 26, SYS: 31 } as const;

export const padded = (n: number): number => (n + 7) & ~7;

function setUpMessage(): Uint8Array {
  const total = REGIONS.reduce((n, r) => n + 24 + r.bytes, 8);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, REGIONS.length, true);
  let at = 8;
  for (const r of REGIONS) {
    view.setBigUint64(at, BigInt(r.address), true);
    view.setBigUint64(at + 8, BigInt(r.bytes), true);
    view.setUint32(at + 16, PROT.READ | (r.write ? PROT.WRITE : 0) | (r.execute ? PROT.EXECUTE : 0), true);
    bytes.set(baseContents(r), at + 24);
    at += 24 + r.bytes;
  }
  return bytes;
}

/** Length of a case's request. */
export function requestBytes({ patches }: Pick<Case, "patches">): number {
  return patches.reduce((n, p) => n + RANGE_HEADER + padded(p.bytes.length), REQUEST_HEADER + STATE_BYTES);
}

/** Writes a case's request at `start` of `bytes`; returns where the next one begins. */
export function writeRequest(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  { state, patches }: Pick<Case, "state" | "patches">,
): number {
  const view = new DataView(bytes.buffer);
  view.setUint32(start + 4, patches.length, true);
  bytes.set(state.bytes, start + REQUEST_HEADER);
  let at = start + REQUEST_HEADER + STATE_BYTES;
  for (const p of patches) {
    view.setBigUint64(at, BigInt(p.address), true);
    view.setUint32(at + 8, p.bytes.length, true);
    bytes.set(p.bytes, at + RANGE_HEADER);
    at += RANGE_HEADER + padded(p.bytes.length);
  }
  view.setUint32(start, at - start, true);
  return at;
}

function encode(cases: readonly Case[]): Uint8Array {
  const bytes = new Uint8Array(cases.reduce((total, c) => total + requestBytes(c), 0));
  let at = 0;
  for (const c of cases) at = writeRequest(bytes, at, c);
  return bytes;
}

/** One response as an outcome. `bytes` begin at an 8-byte boundary; the outcome keeps pointing into them. */
export function decodeResponse(bytes: Uint8Array): Outcome {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const signal = view.getUint32(4, true);
  const state = new State(bytes.subarray(RESPONSE_HEADER, RESPONSE_HEADER + STATE_BYTES));
  const changes: Patch[] = [];
  let at = RESPONSE_HEADER + STATE_BYTES;
  for (let i = view.getUint32(24, true); i > 0; i--) {
    const n = view.getUint32(at + 8, true);
    const address = Number(view.getBigUint64(at, true));
    const run = bytes.subarray(at + RANGE_HEADER, at + RANGE_HEADER + n);
    // The harness cuts runs at 64-byte lines.
    appendRun(changes, address, run);
    at += RANGE_HEADER + padded(n);
  }
  if (signal === SIGNAL.VTALRM) return { kind: "endless", state, changes };
  if (signal === SIGNAL.SYS) return { kind: "system-call", state, changes };
  return {
    kind: "exception",
    vector: view.getUint32(8, true),
    error: view.getUint32(12, true),
    cr2: view.getBigUint64(16, true),
    state,
    changes,
  };
}

interface Waiting {
  /** Responses still to come. */
  left: number;
  readonly resolve: (responses: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

const FIRST_BUFFER_BYTES = 1 << 20;

/** One harness process. A case that kills it (by writing into the harness itself) makes what waits for it reject. */
export class Processor {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting: Waiting[] = [];
  /** Responses of the first that waits, from byte 0; and where the next one begins. */
  #buffer = new Uint8Array(FIRST_BUFFER_BYTES);
  #bytes = 0;
  #parsed = 0;
  #ended = false;

  constructor() {
    this.#child = spawn(buildHarness(), [], { stdio: ["pipe", "pipe", "inherit"] });
    this.#child.stdin.on("error", () => this.#end());
    this.#child.stdout.on("data", (chunk: Uint8Array) => this.#receive(chunk));
    this.#child.on("close", () => this.#end());
    this.#child.stdin.write(setUpMessage());
  }

  #end(): void {
    this.#ended = true;
    const { exitCode, signalCode } = this.#child;
    for (const w of this.#waiting.splice(0))
      w.reject(new Error(`the oracle died (exit code ${exitCode}, signal ${signalCode})`));
  }

  #receive(chunk: Uint8Array): void {
    if (this.#bytes + chunk.length > this.#buffer.length) {
      const larger = new Uint8Array(2 * (this.#bytes + chunk.length));
      larger.set(this.#buffer.subarray(0, this.#bytes));
      this.#buffer = larger;
    }
    this.#buffer.set(chunk, this.#bytes);
    this.#bytes += chunk.length;
    this.#parse();
  }

  #parse(): void {
    let view = new DataView(this.#buffer.buffer);
    for (let w = this.#waiting[0]; w !== undefined; w = this.#waiting[0]) {
      while (w.left > 0) {
        if (this.#bytes - this.#parsed < RESPONSE_HEADER) return;
        const length = view.getUint32(this.#parsed, true);
        if (this.#bytes - this.#parsed < length) return;
        this.#parsed += length;
        w.left--;
      }
      // What is behind belongs to the next.
      const done = this.#buffer.subarray(0, this.#parsed);
      const rest = this.#buffer.subarray(this.#parsed, this.#bytes);
      this.#buffer = new Uint8Array(Math.max(FIRST_BUFFER_BYTES, 2 * rest.length));
      this.#buffer.set(rest);
      view = new DataView(this.#buffer.buffer);
      this.#bytes = rest.length;
      this.#parsed = 0;
      this.#waiting.shift();
      w.resolve(done);
    }
  }

  /**
   * Sends `count` requests in the wire format and returns as many responses in it, one behind the other from byte 0 of a
   * buffer. May be called again before the answer is there. `requests` must not change until then.
   */
  exchange(requests: Uint8Array, count: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.#ended) {
        reject(new Error("the oracle has ended"));
        return;
      }
      this.#waiting.push({ left: count, resolve, reject });
      this.#child.stdin.write(requests);
    });
  }

  /** Runs the cases in order and returns as many outcomes. */
  async run(cases: readonly Case[]): Promise<Outcome[]> {
    if (cases.length === 0) return [];
    const responses = await this.exchange(encode(cases), cases.length);
    const view = new DataView(responses.buffer, responses.byteOffset);
    const outcomes: Outcome[] = [];
    for (let at = 0; outcomes.length < cases.length; ) {
      const length = view.getUint32(at, true);
      outcomes.push(decodeResponse(responses.subarray(at, at + length)));
      at += length;
    }
    return outcomes;
  }

  close(): void {
    this.#child.stdin.end();
  }
}
