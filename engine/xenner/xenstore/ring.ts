import type { PhysicalMemory } from "../../cpu/types.ts";
import { XENSTORE_LIMITS } from "../../limits.ts";
import { encodeMessage, HEADER_BYTES, type Message, PAYLOAD_MAX } from "./wire.ts";

/* struct xenstore_domain_interface of xen/include/public/io/xs_wire.h: two rings in one page of guest memory. */

const RING_BYTES = 1024;
const REQ = 0;
const RSP = 1024;
const REQ_CONS = 2048;
const REQ_PROD = 2052;
const RSP_CONS = 2056;
const RSP_PROD = 2060;
const SERVER_FEATURES = 2064;
const ERROR = 2072;
const FEATURE_ERROR = 2;
const ERROR_RINGIDX = 2;
const ERROR_PROTO = 3;

export interface SavedRing {
  /** Bytes of a request that has not come in full. */
  readonly partial: readonly number[];
  /** Bytes of replies and events that have not gone out. */
  readonly queued: readonly number[];
  readonly isBroken: boolean;
}

/**
 * The server's side of the ring. The guest writes the page as it likes: an impossible index or length ends the
 * connection (and is reported in the page), and nothing is read or written outside of it.
 */
export class XenstoreRing {
  readonly #memory: PhysicalMemory;
  readonly #page: number;
  #partial: number[] = [];
  #queued: number[] = [];
  #isBroken = false;

  /** `page`: guest-physical address of the page. */
  constructor(memory: PhysicalMemory, page: number) {
    this.#memory = memory;
    this.#page = page;
  }

  /** Start of day: the page is zero, and says what the server can do. */
  initialise(): void {
    this.#memory.writeU32(this.#page + SERVER_FEATURES, FEATURE_ERROR);
  }

  /** Queues a message for the guest; `flush` moves it. */
  send(message: Message): void {
    for (const byte of encodeMessage(message)) this.#queued.push(byte);
  }

  /**
   * Takes requests from the ring as long as there is room for their answers, and moves answers to the guest. True if
   * anything moved, so that the guest has to be told.
   */
  serve(handle: (request: Message) => void): boolean {
    let moved = false;
    let served = 0;
    while (!this.#isBroken) {
      moved = this.flush() || moved;
      if (this.#queued.length > XENSTORE_LIMITS.queuedBytes) break;
      if (served >= XENSTORE_LIMITS.requestsPerNotification) break;
      moved = this.#receive() || moved;
      const request = this.#takeRequest();
      if (request === undefined) break;
      handle(request);
      served++;
    }
    return this.flush() || moved;
  }

  /** Moves queued bytes into the response ring; true if any went. */
  flush(): boolean {
    if (this.#isBroken || this.#queued.length === 0) return false;
    const consumer = this.#memory.readU32(this.#page + RSP_CONS);
    const producer = this.#memory.readU32(this.#page + RSP_PROD);
    const used = (producer - consumer) >>> 0;
    if (used > RING_BYTES) {
      this.#break(ERROR_RINGIDX);
      return true;
    }
    const count = Math.min(RING_BYTES - used, this.#queued.length);
    if (count === 0) return false;
    const bytes = Uint8Array.from(this.#queued.slice(0, count));
    this.#queued.splice(0, count);
    const at = producer % RING_BYTES;
    const first = Math.min(count, RING_BYTES - at);
    this.#memory.write(this.#page + RSP + at, bytes.subarray(0, first));
    if (first < count) this.#memory.write(this.#page + RSP, bytes.subarray(first));
    this.#memory.writeU32(this.#page + RSP_PROD, (producer + count) >>> 0);
    return true;
  }

  save(): SavedRing {
    return { partial: [...this.#partial], queued: [...this.#queued], isBroken: this.#isBroken };
  }

  restore(saved: SavedRing): void {
    this.#partial = [...saved.partial];
    this.#queued = [...saved.queued];
    this.#isBroken = saved.isBroken;
  }

  /** Moves what the current request still lacks from the request ring; true if any byte came. */
  #receive(): boolean {
    const consumer = this.#memory.readU32(this.#page + REQ_CONS);
    const producer = this.#memory.readU32(this.#page + REQ_PROD);
    const available = (producer - consumer) >>> 0;
    if (available > RING_BYTES) {
      this.#break(ERROR_RINGIDX);
      return true;
    }
    const at = consumer % RING_BYTES;
    const first = Math.min(available, RING_BYTES - at);
    const bytes = [
      ...this.#memory.read(this.#page + REQ + at, first),
      ...this.#memory.read(this.#page + REQ, available - first),
    ];
    let taken = 0;
    // The header says how long the message is; bytes of the next one stay in the ring.
    while (taken < bytes.length && this.#partial.length < this.#wanted()) {
      const count = Math.min(this.#wanted() - this.#partial.length, bytes.length - taken);
      this.#partial.push(...bytes.slice(taken, taken + count));
      taken += count;
      if (this.#payloadLength() > PAYLOAD_MAX) {
        this.#break(ERROR_PROTO);
        return true;
      }
    }
    if (taken === 0) return false;
    this.#memory.writeU32(this.#page + REQ_CONS, (consumer + taken) >>> 0);
    return true;
  }

  /** Length of the message being received, as far as that is known. */
  #wanted(): number {
    return HEADER_BYTES + this.#payloadLength();
  }

  #payloadLength(): number {
    return this.#partial.length < HEADER_BYTES ? 0 : this.#headerWord(12);
  }

  #headerWord(at: number): number {
    const [a, b, c, d] = this.#partial.slice(at, at + 4);
    return (a! | (b! << 8) | (c! << 16) | (d! << 24)) >>> 0;
  }

  #takeRequest(): Message | undefined {
    if (this.#isBroken || this.#partial.length < HEADER_BYTES || this.#partial.length < this.#wanted()) {
      return undefined;
    }
    const request = {
      type: this.#headerWord(0),
      requestId: this.#headerWord(4),
      transactionId: this.#headerWord(8),
      payload: Uint8Array.from(this.#partial.slice(HEADER_BYTES)),
    };
    this.#partial = [];
    return request;
  }

  /** The guest broke the protocol: say so, and never look at its page again. */
  #break(error: number): void {
    this.#isBroken = true;
    this.#partial = [];
    this.#queued = [];
    this.#memory.writeU32(this.#page + ERROR, error);
  }
}
