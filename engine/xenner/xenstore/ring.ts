import type { PhysicalMemory } from "../../cpu/types.ts";
import { XENSTORE_LIMITS } from "../../limits.ts";
import type { Account } from "./account.ts";
import {
  encodeMessage,
  fromBase64,
  HEADER_BYTES,
  type Message,
  PAYLOAD_MAX,
  toBase64,
  toBytes,
  toText,
  XS,
} from "./wire.ts";

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
  /** A request that has not come in full; this and the next in base64. */
  readonly partial: string;
  /** Replies and events that have not gone out in full. */
  readonly queued: readonly string[];
  /** Bytes of the first of them that have. */
  readonly sent: number;
  readonly isBroken: boolean;
}

/** Header and payload; of an event, which is queued once only, its text. */
interface Queued {
  readonly bytes: Uint8Array;
  readonly event: string | undefined;
}

/**
 * The server's side of the ring. The guest writes the page as it likes: an impossible index or length ends the
 * connection (and is reported in the page), and nothing is read or written outside of it.
 */
export class XenstoreRing {
  readonly #memory: PhysicalMemory;
  readonly #page: number;
  readonly #account: Account;
  #partial: number[] = [];
  #queued: Queued[] = [];
  readonly #events = new Set<string>();
  #queuedBytes = 0;
  /** Bytes of the first queued message that are in the ring or were. */
  #sent = 0;
  #isBroken = false;

  /** `page`: guest-physical address of the page. `account`: who pays for what is queued. */
  constructor(memory: PhysicalMemory, page: number, account: Account) {
    this.#memory = memory;
    this.#page = page;
    this.#account = account;
  }

  /** Start of day: the page is zero, and says what the server can do. */
  initialise(): void {
    this.#memory.writeU32(this.#page + SERVER_FEATURES, FEATURE_ERROR);
  }

  /** Queues a reply for the guest; `flush` moves it. */
  send(reply: Message): void {
    if (!this.#isBroken) this.#enqueue(encodeMessage(reply));
  }

  /**
   * Queues a watch event. One that waits already, is too long or for which the guest's quota has no room is dropped, as
   * there is nobody to tell (send_event of xenstored).
   */
  sendEvent(text: string): void {
    if (this.#isBroken || text.length > PAYLOAD_MAX) return;
    if (!this.#account.hasRoomForBytes(HEADER_BYTES + text.length) || this.#events.has(text)) return;
    const payload = toBytes(text);
    this.#enqueue(encodeMessage({ type: XS.WATCH_EVENT, requestId: 0, transactionId: 0, payload }), text);
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
      if (this.#queuedBytes > XENSTORE_LIMITS.queuedBytes) break;
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
    let room = RING_BYTES - used;
    if (room === 0) return false;
    let at = producer;
    while (room > 0 && this.#queued.length > 0) {
      const { bytes } = this.#queued[0]!;
      const part = bytes.subarray(this.#sent, this.#sent + room);
      this.#put(at, part);
      at = (at + part.length) >>> 0;
      room -= part.length;
      this.#sent += part.length;
      if (this.#sent === bytes.length) this.#dequeue();
    }
    this.#memory.writeU32(this.#page + RSP_PROD, at);
    return true;
  }

  save(): SavedRing {
    return {
      partial: toBase64(Uint8Array.from(this.#partial)),
      queued: this.#queued.map(({ bytes }) => toBase64(bytes)),
      sent: this.#sent,
      isBroken: this.#isBroken,
    };
  }

  restore(saved: SavedRing): void {
    this.#partial = [...fromBase64(saved.partial)];
    for (const bytes of saved.queued.map(fromBase64)) {
      this.#enqueue(bytes, bytes[0] === XS.WATCH_EVENT ? toText(bytes.subarray(HEADER_BYTES)) : undefined);
    }
    this.#sent = saved.sent;
    this.#isBroken = saved.isBroken;
  }

  #enqueue(bytes: Uint8Array, event?: string): void {
    if (event !== undefined) this.#events.add(event);
    this.#queued.push({ bytes, event });
    this.#queuedBytes += bytes.length;
    this.#account.bytes += bytes.length;
  }

  #dequeue(): void {
    const { bytes, event } = this.#queued.shift()!;
    if (event !== undefined) this.#events.delete(event);
    this.#queuedBytes -= bytes.length;
    this.#account.bytes -= bytes.length;
    this.#sent = 0;
  }

  /** Puts bytes for which there is room into the response ring. */
  #put(index: number, bytes: Uint8Array): void {
    const at = index % RING_BYTES;
    const first = Math.min(bytes.length, RING_BYTES - at);
    this.#memory.write(this.#page + RSP + at, bytes.subarray(0, first));
    if (first < bytes.length) this.#memory.write(this.#page + RSP, bytes.subarray(first));
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
    while (this.#queued.length > 0) this.#dequeue();
    this.#memory.writeU32(this.#page + ERROR, error);
  }
}
