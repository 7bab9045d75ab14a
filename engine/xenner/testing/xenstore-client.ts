import type { PhysicalMemory } from "../../cpu/types.ts";
import { encodeMessage, HEADER_BYTES, toBytes, toText, XS } from "../xenstore/wire.ts";

const RING_BYTES = 1024;
const RSP = 1024;
export const INDEX = { REQ_CONS: 2048, REQ_PROD: 2052, RSP_CONS: 2056, RSP_PROD: 2060, ERROR: 2072 } as const;

export interface Reply {
  readonly type: number;
  readonly requestId: number;
  readonly transactionId: number;
  readonly text: string;
}

/** The guest's side of the xenstore ring, as Linux's drivers/xen/xenbus plays it. */
export class XenstoreClient {
  readonly #memory: PhysicalMemory;
  readonly #page: number;
  readonly #serve: () => boolean;
  #received: number[] = [];
  #nextRequest = 1;
  readonly #events: string[] = [];

  /** `serve` notifies the server, as the event channel would. */
  constructor(memory: PhysicalMemory, page: number, serve: () => boolean) {
    this.#memory = memory;
    this.#page = page;
    this.#serve = serve;
  }

  /** Sends a request and returns the reply's text, or the name of the error; watch events are kept for `takeEvents`. */
  call(type: number, payload: string, transactionId = 0): string {
    const requestId = this.#nextRequest++;
    this.put(encodeMessage({ type, requestId, transactionId, payload: toBytes(payload) }));
    for (let round = 0; round < 1000; round++) {
      let answer: Reply | undefined;
      for (const reply of this.take()) {
        if (reply.type === XS.WATCH_EVENT) this.#addEvent(reply);
        else if (answer === undefined) answer = reply;
        else throw new Error("two replies to one request");
      }
      if (answer === undefined) {
        this.#serve();
        continue;
      }
      if (answer.requestId !== requestId || answer.transactionId !== transactionId) {
        throw new Error("a reply to another request");
      }
      if (answer.type === XS.ERROR) return answer.text.replace("\0", "");
      if (answer.type !== type) throw new Error("a reply of another type");
      return answer.text;
    }
    throw new Error("no reply");
  }

  // As `call`, by the name of the request. Of a reply that is an error, its name.

  read(path: string, tx = 0): string {
    return this.call(XS.READ, `${path}\0`, tx);
  }

  write(path: string, value: string, tx = 0): string {
    return this.call(XS.WRITE, `${path}\0${value}`, tx);
  }

  list(path: string, tx = 0): string[] {
    return this.call(XS.DIRECTORY, `${path}\0`, tx).split("\0").slice(0, -1);
  }

  watch(path: string, token: string): string {
    return this.call(XS.WATCH, `${path}\0${token}\0`);
  }

  /** The new transaction's number. */
  begin(): number {
    return Number(this.call(XS.TRANSACTION_START, "\0").replace("\0", ""));
  }

  end(tx: number, answer = "T"): string {
    return this.call(XS.TRANSACTION_END, `${answer}\0`, tx);
  }

  /** Puts bytes into the request ring, notifying the server when it is full. */
  put(bytes: Uint8Array): void {
    let sent = 0;
    for (let round = 0; sent < bytes.length; round++) {
      if (round > 1000) throw new Error("the server takes nothing");
      const producer = this.index(INDEX.REQ_PROD);
      const room = RING_BYTES - ((producer - this.index(INDEX.REQ_CONS)) >>> 0);
      const count = Math.min(room, bytes.length - sent);
      for (let i = 0; i < count; i++) {
        this.#memory.writeU8(this.#page + ((producer + i) % RING_BYTES), bytes[sent + i]!);
      }
      this.setIndex(INDEX.REQ_PROD, (producer + count) >>> 0);
      sent += count;
      this.#serve();
    }
  }

  /** Takes what is in the response ring; complete messages only. */
  take(): Reply[] {
    const producer = this.index(INDEX.RSP_PROD);
    let consumer = this.index(INDEX.RSP_CONS);
    while (consumer !== producer) {
      this.#received.push(this.#memory.readU8(this.#page + RSP + (consumer % RING_BYTES)));
      consumer = (consumer + 1) >>> 0;
    }
    this.setIndex(INDEX.RSP_CONS, consumer);
    const replies: Reply[] = [];
    for (;;) {
      const view = new DataView(Uint8Array.from(this.#received.slice(0, HEADER_BYTES)).buffer);
      if (view.byteLength < HEADER_BYTES) return replies;
      const length = view.getUint32(12, true);
      if (this.#received.length < HEADER_BYTES + length) return replies;
      replies.push({
        type: view.getUint32(0, true),
        requestId: view.getUint32(4, true),
        transactionId: view.getUint32(8, true),
        text: toText(Uint8Array.from(this.#received.slice(HEADER_BYTES, HEADER_BYTES + length))),
      });
      this.#received = this.#received.slice(HEADER_BYTES + length);
    }
  }

  /** Takes messages until the server has no more. */
  takeAll(): Reply[] {
    const all: Reply[] = [];
    for (;;) {
      const replies = this.take();
      all.push(...replies);
      if (!this.#serve() && replies.length === 0) return all;
    }
  }

  /** Watch events that came since the last call: "path token". */
  takeEvents(): string[] {
    this.#drainEvents();
    return this.#events.splice(0);
  }

  index(offset: number): number {
    return this.#memory.readU32(this.#page + offset);
  }

  setIndex(offset: number, value: number): void {
    this.#memory.writeU32(this.#page + offset, value);
  }

  #drainEvents(): void {
    for (const reply of this.takeAll()) {
      if (reply.type !== XS.WATCH_EVENT) throw new Error("an unexpected reply");
      this.#addEvent(reply);
    }
  }

  #addEvent(reply: Reply): void {
    this.#events.push(reply.text.replaceAll("\0", " ").trim());
  }
}
