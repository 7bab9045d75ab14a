// Thousands of cases at a time: requests in the oracle's wire format, and the comparison of its responses with what our
// core does, byte by byte. Only what differs there is looked at by compare.ts, which knows what may differ.

import type { Case, Template } from "./case.ts";
import { compare, type Difference, describeEnd, VECTOR } from "./compare.ts";
import { CoreRunner } from "./core-runner.ts";
import {
  decodeResponse,
  REQUEST_HEADER,
  RESPONSE_HEADER,
  requestBytes,
  SIGNAL,
  writeRequest,
} from "./processor.ts";
import { FLAG, FX, FX_FDP, FX_FIP, FX_FTW, FX_MXCSR_MASK, RFLAGS, RIP, STATE_BYTES, State } from "./state.ts";
import type { Variations } from "./variations.ts";

const FIRST_BYTES = 2 << 20;

/** Cases of one batch: templates, and for each the start states that follow each other in `requests`. */
export interface Batch {
  readonly templates: readonly Template[];
  /** Start states a template. */
  readonly states: number;
  readonly requests: Uint8Array;
}

/** Writes requests: `states` start states of each template, the first of them the template's own. */
export function makeBatch(templates: readonly Template[], states: number, variations: Variations): Batch {
  let bytes = new Uint8Array(FIRST_BYTES);
  let at = 0;
  for (const t of templates) {
    variations.renew();
    const length = requestBytes(t);
    if (at + states * length > bytes.length) {
      const larger = new Uint8Array(2 * (at + states * length));
      larger.set(bytes.subarray(0, at));
      bytes = larger;
    }
    const first = at;
    at = writeRequest(bytes, first, t);
    for (let i = 1; i < states; i++, at += length) {
      bytes.copyWithin(at, first, first + length);
      variations.write(t, new Uint32Array(bytes.buffer, at + REQUEST_HEADER, STATE_BYTES / 4));
    }
  }
  return { templates, states, requests: bytes.subarray(0, at) };
}

/** One case of a batch. */
export function caseAt(batch: Batch, template: Template, requestAt: number): Case {
  const at = requestAt + REQUEST_HEADER;
  return { ...template, state: new State(batch.requests.slice(at, at + STATE_BYTES)) };
}

/** How the cases of one code went. */
export interface CodeCount {
  /** Executed and compared. */
  cases: number;
  /** Of these, those that ended regularly, not by a fault. */
  regular: number;
}

/** What was executed on both sides and compared. */
export class Tally {
  cases = 0;
  /** Instructions retired, the same ones on both sides. */
  retired = 0;
  /** Instructions that faulted, in the same way on both sides. */
  faulted = 0;
  /** Cases not compared: system calls. */
  left = 0;
  readonly ends = new Map<string, number>();
  readonly codes = new Map<number, CodeCount>();

  get instructions(): number {
    return this.retired + this.faulted;
  }
}

export interface Failure {
  readonly case: Case;
  readonly differences: readonly Difference[];
  /** True if the core ran it step by step. */
  readonly stepwise: boolean;
  /** True if the core had run the same code before, from another state. */
  readonly warm: boolean;
}

/** Ends by a vector, counted without strings. */
const VECTORS = 32;

/** Runs batches on our core and compares. */
export class BatchComparer {
  #core = new CoreRunner();
  readonly #expected = new Uint32Array(STATE_BYTES / 4);
  readonly tally = new Tally();
  readonly #vectors = new Uint32Array(VECTORS);

  /** `responses` are the oracle's to this batch. Templates run in one go and step by step by turns. */
  compare(batch: Batch, responses: Uint8Array, failed: (f: Failure) => void): void {
    const requests = new DataView(batch.requests.buffer, batch.requests.byteOffset);
    const view = new DataView(responses.buffer, responses.byteOffset);
    let at = 0;
    let requestAt = 0;
    let stepwise = false;
    for (const template of batch.templates) {
      stepwise = !stepwise;
      this.#core.prepare(template);
      for (let i = 0; i < batch.states; i++) {
        const length = view.getUint32(at, true);
        const differences = this.#one(
          batch,
          template,
          requestAt,
          responses.subarray(at, at + length),
          view.getUint32(at + 4, true),
          stepwise,
        );
        if (differences.length > 0)
          failed({ case: caseAt(batch, template, requestAt), differences, stepwise, warm: i > 0 });
        at += length;
        requestAt += requests.getUint32(requestAt, true);
      }
      this.#core.finish();
    }
    this.#countEnds();
  }

  #one(
    batch: Batch,
    template: Template,
    requestAt: number,
    response: Uint8Array,
    signal: number,
    stepwise: boolean,
  ): readonly Difference[] {
    const { tally } = this;
    if (signal === SIGNAL.SYS) {
      tally.left++;
      return [];
    }
    const stateAt = requestAt + REQUEST_HEADER;
    const start = batch.requests.subarray(stateAt, stateAt + STATE_BYTES);
    try {
      this.#core.start(start, stepwise);
    } catch (error) {
      // A trap of the Wasm code leaves the core in an unknown state.
      this.#core = new CoreRunner();
      this.#core.prepare(template);
      const expected = describeEnd(decodeResponse(response.slice()));
      return [{ what: "core", expected, got: error instanceof Error ? error.message : String(error) }];
    }
    const core = this.#core;
    const same = this.#same(template, start, response, signal);
    let differences: readonly Difference[] = [];
    if (!same) {
      const c = caseAt(batch, template, requestAt);
      differences = compare(c, decodeResponse(response.slice()), core.outcome());
    }
    if (differences.length === 0) this.#count(template);
    core.rewind();
    return differences;
  }

  #count(template: Template): void {
    const { tally } = this;
    const { end } = this.#core;
    tally.cases++;
    tally.retired += end.retired;
    const regular = end.kind === "exception" && end.vector === VECTOR.BP;
    if (end.kind === "endless") tally.ends.set("endless", (tally.ends.get("endless") ?? 0) + 1);
    else {
      if (!regular) tally.faulted++;
      this.#vectors[end.vector]!++;
    }
    if (template.code === undefined) return;
    let n = tally.codes.get(template.code);
    if (n === undefined) {
      n = { cases: 0, regular: 0 };
      tally.codes.set(template.code, n);
    }
    n.cases++;
    if (regular) n.regular++;
  }

  #countEnds(): void {
    const { ends } = this.tally;
    for (const [vector, n] of this.#vectors.entries())
      if (n > 0) ends.set(`vector ${vector}`, (ends.get(`vector ${vector}`) ?? 0) + n);
    this.#vectors.fill(0);
  }

  /** The quick comparison: true if nothing differs but what never counts; false if compare.ts has to look. */
  #same(c: Template, start: Uint8Array, response: Uint8Array, signal: number): boolean {
    const { end, state } = this.#core;
    const words = new Uint32Array(response.buffer, response.byteOffset, response.length / 4);
    if (signal === SIGNAL.VTALRM || end.kind === "endless") return false;
    if (words[2] !== end.vector || words[3] !== end.error) return false;
    if (end.vector === VECTOR.PF) {
      const cr2 = (BigInt(words[5]!) << 32n) | BigInt(words[4]!);
      if (cr2 !== end.cr2) return false;
    }
    const { ignore } = c;
    if (ignore.memory !== undefined || ignore.registers !== undefined) return false;
    const e = this.#expected;
    const g = new Uint32Array(state.bytes.buffer);
    e.set(words.subarray(RESPONSE_HEADER / 4, (RESPONSE_HEADER + STATE_BYTES) / 4));
    const rip = new Uint32Array(start.buffer, start.byteOffset + RIP, 1)[0]!;
    const { flags = 0, flagsAtFault } = ignore;
    const ignored =
      end.vector === VECTOR.BP ? flags : e[RIP / 4] === rip ? (flagsAtFault ?? 0) : (flagsAtFault ?? flags);
    const difference = e[RFLAGS / 4]! ^ g[RFLAGS / 4]!;
    if ((difference & ~(ignored | FLAG.RF)) !== 0) return false;
    e[RFLAGS / 4] = g[RFLAGS / 4]!;
    // What belongs to the model: FOP, FIP, FDP, MXCSR_MASK.
    const tags = (FX + FX_FTW) / 4;
    e[tags] = (e[tags]! & 0xff) | (g[tags]! & 0xffff_ff00);
    for (const at of MODEL_WORDS) e[at] = g[at]!;
    if (Buffer.compare(this.#expectedBytes, state.bytes) !== 0) return false;
    return this.#core.changedLike(response, words[6]!);
  }

  get #expectedBytes(): Uint8Array {
    return new Uint8Array(this.#expected.buffer);
  }
}

const MODEL_WORDS = [
  (FX + FX_FIP) / 4,
  (FX + FX_FIP) / 4 + 1,
  (FX + FX_FDP) / 4,
  (FX + FX_FDP) / 4 + 1,
  (FX + FX_MXCSR_MASK) / 4,
];
