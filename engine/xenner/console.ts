import type { PhysicalMemory } from "../cpu/types.ts";
import { DOMAIN_LIMITS } from "../limits.ts";

/* struct xencons_interface of xen/include/public/io/console.h: input and output ring in one page of guest memory. */

const IN = 0;
const IN_BYTES = 1024;
const OUT = 1024;
const OUT_BYTES = 2048;
const IN_CONS = 3072;
const IN_PROD = 3076;
const OUT_CONS = 3080;
const OUT_PROD = 3084;

export interface SavedConsole {
  readonly output: readonly number[];
  readonly waitingInput: readonly number[];
}

/** The console back end. The indices are the guest's to write; impossible ones lose data, nothing else. */
export class ConsoleBackend {
  readonly #memory: PhysicalMemory;
  readonly #page: number;
  #output = new Uint8Array(4096);
  #outputLength = 0;
  #waitingInput: number[] = [];

  /** `page`: guest-physical address of the page. */
  constructor(memory: PhysicalMemory, page: number, saved?: SavedConsole) {
    this.#memory = memory;
    this.#page = page;
    if (saved === undefined) return;
    this.append(Uint8Array.from(saved.output));
    this.#waitingInput = [...saved.waitingInput];
  }

  /** Bytes of output that nobody has taken yet. */
  get pendingOutput(): number {
    return this.#outputLength;
  }

  /** The guest notified its event channel. True if the guest has to be notified in turn. */
  serve(): boolean {
    const moved = this.drain();
    return this.#fill() || moved;
  }

  /** Takes what the guest has put into the output ring; true if there was anything. */
  drain(): boolean {
    const consumer = this.#memory.readU32(this.#page + OUT_CONS);
    const producer = this.#memory.readU32(this.#page + OUT_PROD);
    const available = (producer - consumer) >>> 0;
    if (available === 0) return false;
    // As xenconsoled: a guest that mismanages its indices loses what is in between.
    if (available <= OUT_BYTES) {
      const at = consumer % OUT_BYTES;
      const first = Math.min(available, OUT_BYTES - at);
      this.append(this.#memory.read(this.#page + OUT + at, first));
      if (first < available) this.append(this.#memory.read(this.#page + OUT, available - first));
    }
    this.#memory.writeU32(this.#page + OUT_CONS, producer);
    return true;
  }

  /** Adds output that did not come through the ring (HYPERVISOR_console_io). */
  append(bytes: Uint8Array): void {
    const length = this.#outputLength + bytes.length;
    if (length > this.#output.length) {
      const grown = new Uint8Array(Math.max(length, this.#output.length * 2));
      grown.set(this.#output.subarray(0, this.#outputLength));
      this.#output = grown;
    }
    this.#output.set(bytes, this.#outputLength);
    this.#outputLength = length;
  }

  takeOutput(): Uint8Array {
    const taken = this.#output.slice(0, this.#outputLength);
    this.#outputLength = 0;
    return taken;
  }

  /**
   * Queues input, as much as the limit allows. True if any went into the ring, so that the guest has to be notified.
   */
  input(bytes: Uint8Array): boolean {
    const room = DOMAIN_LIMITS.consoleInputBytes - this.#waitingInput.length;
    this.#waitingInput.push(...bytes.subarray(0, room));
    return this.#fill();
  }

  save(): SavedConsole {
    return {
      output: [...this.#output.subarray(0, this.#outputLength)],
      waitingInput: [...this.#waitingInput],
    };
  }

  #fill(): boolean {
    if (this.#waitingInput.length === 0) return false;
    const consumer = this.#memory.readU32(this.#page + IN_CONS);
    const producer = this.#memory.readU32(this.#page + IN_PROD);
    const used = (producer - consumer) >>> 0;
    if (used >= IN_BYTES) return false;
    const bytes = this.#waitingInput.splice(0, IN_BYTES - used);
    for (const [i, byte] of bytes.entries()) {
      this.#memory.writeU8(this.#page + IN + ((producer + i) % IN_BYTES), byte);
    }
    this.#memory.writeU32(this.#page + IN_PROD, (producer + bytes.length) >>> 0);
    return true;
  }
}
