/*
 * The FIFO ABI of event channels (xen/include/public/event_channel.h, "FIFO ABI"): an event word for each port, and for each
 * priority a queue of ports linked through their words, of which the guest consumes the head and the hypervisor keeps the tail.
 * What happens when is that of xen/common/event_fifo.c; there is one virtual processor, so nothing has to be atomic.
 */

import type { PhysicalMemory } from "../../cpu/types.ts";
import { PAGE_BYTES } from "../abi.ts";

const PENDING = 2 ** 31;
const MASKED = 2 ** 30;
const LINKED = 2 ** 29;
const BUSY = 2 ** 28;
const LINK_BITS = 17;
const LINK_MASK = 2 ** LINK_BITS - 1;
const WORD_BYTES = 4;
const WORDS_A_PAGE = PAGE_BYTES / WORD_BYTES;
const MAX_ARRAY_PAGES = 2 ** LINK_BITS / WORDS_A_PAGE;
const QUEUES = 16;
const PRIORITY_DEFAULT = 7;
export const PRIORITY_MIN = QUEUES - 1;
/** struct evtchn_fifo_control_block: ready, reserved, heads. */
const READY = 0;
const HEADS = 8;
export const CONTROL_BLOCK_BYTES = HEADS + QUEUES * WORD_BYTES;
/** Told by EVTCHNOP_init_control. */
export const FIFO_LINK_BITS = LINK_BITS;

interface PortState {
  readonly priority: number;
  /** Of the queue it was linked in last. */
  readonly lastPriority: number;
  /** Became pending before there was a word for it. */
  readonly isPending: boolean;
}
const FRESH: PortState = {
  priority: PRIORITY_DEFAULT,
  lastPriority: PRIORITY_DEFAULT,
  isPending: false,
};

export interface SavedFifo {
  /** Physical byte address of the control block; page numbers of the event array. */
  readonly control: number;
  readonly pages: readonly number[];
  readonly tails: readonly number[];
  readonly ports: readonly (readonly [port: number, state: PortState])[];
}

export class FifoQueues {
  readonly #memory: PhysicalMemory;
  readonly #control: number;
  readonly #pages: number[];
  readonly #tails: number[];
  readonly #states: Map<number, PortState>;
  /** Makes the upcall pending; true if it was not. */
  readonly #markUpcall: () => boolean;

  constructor(
    memory: PhysicalMemory,
    markUpcall: () => boolean,
    from: Pick<SavedFifo, "control"> & Partial<SavedFifo>,
  ) {
    this.#memory = memory;
    this.#markUpcall = markUpcall;
    this.#control = from.control;
    this.#pages = [...(from.pages ?? [])];
    this.#tails = [...(from.tails ?? new Array<number>(QUEUES).fill(0))];
    this.#states = new Map(from.ports);
  }

  /** As many ports as there can be, with words or without. */
  get ports(): number {
    return 2 ** LINK_BITS;
  }

  save(): SavedFifo {
    return {
      control: this.#control,
      pages: [...this.#pages],
      tails: [...this.#tails],
      ports: [...this.#states].sort(([a], [b]) => a - b),
    };
  }

  /** EVTCHNOP_expand_array. Undefined: there are enough; else whether the upcall has become pending by ports that waited for words. */
  expand(gfn: number): boolean | undefined {
    if (this.#pages.length >= MAX_ARRAY_PAGES) return undefined;
    const first = this.#pages.length * WORDS_A_PAGE;
    this.#pages.push(gfn);
    let upcall = false;
    for (const [port, { isPending }] of this.#states) {
      if (isPending && port >= first && port < first + WORDS_A_PAGE) {
        this.#update(port, { isPending: false });
        upcall = this.mark(port) || upcall;
      }
    }
    return upcall;
  }

  /** A port is somebody's from now on. */
  open(port: number): void {
    this.#states.set(port, { ...FRESH, lastPriority: this.#state(port).lastPriority });
  }

  /** It was pending when the ABI was changed. */
  openPending(port: number): void {
    this.#states.set(port, { ...FRESH, isPending: true });
  }

  setPriority(port: number, priority: number): void {
    this.#update(port, { priority });
  }

  /** Marks a port; true if the upcall has become pending by it. */
  mark(port: number): boolean {
    const at = this.#wordOf(port);
    if (at === undefined) {
      this.#update(port, { isPending: true });
      return false;
    }
    const word = this.#memory.readU32(at);
    this.#memory.writeU32(at, set(word, PENDING));
    if (has(word, MASKED) || has(word, LINKED)) return false;
    return this.#link(port, at);
  }

  isMarked(port: number): boolean {
    const at = this.#wordOf(port);
    return at !== undefined && has(this.#memory.readU32(at), PENDING);
  }

  /** EVTCHNOP_unmask; true if the upcall has become pending by it. */
  unmask(port: number): boolean {
    const at = this.#wordOf(port);
    if (at === undefined) return false;
    const word = clear(this.#memory.readU32(at), MASKED);
    this.#memory.writeU32(at, word);
    return has(word, PENDING) && this.mark(port);
  }

  /** The port is nobody's any more. */
  clear(port: number): void {
    const at = this.#wordOf(port);
    if (at !== undefined) this.#memory.writeU32(at, clear(this.#memory.readU32(at), PENDING));
    else this.#update(port, { isPending: false });
  }

  #link(port: number, at: number): boolean {
    const { priority, lastPriority } = this.#state(port);
    this.#memory.writeU32(at, set(this.#memory.readU32(at), LINKED));
    // It was the last of its queue and has been consumed, so that queue is empty.
    if (this.#tails[lastPriority] === port) this.#tails[lastPriority] = 0;
    this.#update(port, { lastPriority: priority });
    const isBehind = this.#appendTo(this.#tails[priority]!, port);
    if (!isBehind) this.#memory.writeU32(this.#control + HEADS + priority * WORD_BYTES, port);
    this.#tails[priority] = port;
    if (isBehind) return false;
    const ready = this.#memory.readU32(this.#control + READY);
    if (has(ready, 2 ** priority)) return false;
    this.#memory.writeU32(this.#control + READY, set(ready, 2 ** priority));
    return this.#markUpcall();
  }

  /** Links the tail to the port. False if the tail is consumed: the queue is empty. */
  #appendTo(tail: number, port: number): boolean {
    const at = tail === 0 ? undefined : this.#wordOf(tail);
    if (at === undefined) return false;
    const word = this.#memory.readU32(at);
    if (!has(word, LINKED)) return false;
    this.#memory.writeU32(at, ((word & ~(BUSY | LINK_MASK)) | port) >>> 0);
    return true;
  }

  #wordOf(port: number): number | undefined {
    const page = this.#pages[Math.floor(port / WORDS_A_PAGE)];
    return page === undefined ? undefined : page * PAGE_BYTES + (port % WORDS_A_PAGE) * WORD_BYTES;
  }

  #state(port: number): PortState {
    return this.#states.get(port) ?? FRESH;
  }

  #update(port: number, change: Partial<PortState>): void {
    this.#states.set(port, { ...this.#state(port), ...change });
  }
}

const has = (word: number, bit: number): boolean => (word & bit) !== 0;
const set = (word: number, bit: number): number => (word | bit) >>> 0;
const clear = (word: number, bit: number): number => (word & ~bit) >>> 0;
