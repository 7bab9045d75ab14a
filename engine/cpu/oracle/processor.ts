// The real processor: our end of the harness (harness.c describes the protocol).

import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { buildHarness } from "./build.ts";
import { appendRun, type Case, type Outcome, type Patch } from "./case.ts";
import { baseContents, REGIONS } from "./layout.ts";
import { STATE_BYTES, State } from "./state.ts";

const REQUEST_HEADER = 8;
const RESPONSE_HEADER = 32;
const RANGE_HEADER = 16;
const PROT = { READ: 1, WRITE: 2, EXECUTE: 4 } as const;
const SIGNAL = { ALRM: 14, SYS: 31 } as const;

const padded = (n: number): number => (n + 7) & ~7;

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

function encode(cases: readonly Case[]): Uint8Array {
  let total = 0;
  for (const c of cases) {
    total += REQUEST_HEADER + STATE_BYTES;
    for (const p of c.patches) total += RANGE_HEADER + padded(p.bytes.length);
  }
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const c of cases) {
    const start = at;
    view.setUint32(at + 4, c.patches.length, true);
    bytes.set(c.state.bytes, at + REQUEST_HEADER);
    at += REQUEST_HEADER + STATE_BYTES;
    for (const p of c.patches) {
      view.setBigUint64(at, BigInt(p.address), true);
      view.setUint32(at + 8, p.bytes.length, true);
      bytes.set(p.bytes, at + RANGE_HEADER);
      at += RANGE_HEADER + padded(p.bytes.length);
    }
    view.setUint32(start, at - start, true);
  }
  return bytes;
}

function decode(bytes: Uint8Array): Outcome {
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
  if (signal === SIGNAL.ALRM) return { kind: "endless", state, changes };
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

/** One harness process. A case that kills it (by writing into the harness itself) makes `run` reject. */
export class Processor {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  #received: Uint8Array[] = [];
  #receivedBytes = 0;
  #wake: (() => void) | undefined;
  #ended = false;

  constructor() {
    this.#child = spawn(buildHarness(), [], { stdio: ["pipe", "pipe", "inherit"] });
    this.#child.stdin.on("error", () => this.#end());
    this.#child.stdout.on("data", (chunk: Uint8Array) => {
      this.#received.push(chunk);
      this.#receivedBytes += chunk.length;
      this.#wake?.();
    });
    this.#child.on("close", () => this.#end());
    this.#child.stdin.write(setUpMessage());
  }

  #end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async #take(n: number): Promise<Uint8Array> {
    while (this.#receivedBytes < n) {
      if (this.#ended)
        throw new Error(
          `the oracle died (exit code ${this.#child.exitCode}, signal ${this.#child.signalCode})`,
        );
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const whole = this.#received.length === 1 ? this.#received[0]! : Buffer.concat(this.#received);
    // A fresh buffer: Node's chunks are not 8-byte aligned, and State needs that.
    const taken = new Uint8Array(n);
    taken.set(whole.subarray(0, n));
    this.#received = [whole.subarray(n)];
    this.#receivedBytes -= n;
    return taken;
  }

  /** Runs the cases in order and returns as many outcomes. */
  async run(cases: readonly Case[]): Promise<Outcome[]> {
    this.#child.stdin.write(encode(cases));
    const outcomes: Outcome[] = [];
    for (let i = 0; i < cases.length; i++) {
      const length = new DataView((await this.#take(4)).buffer).getUint32(0, true);
      const message = new Uint8Array(length);
      message.set(await this.#take(length - 4), 4);
      outcomes.push(decode(message));
    }
    return outcomes;
  }

  close(): void {
    this.#child.stdin.end();
  }
}
