import type { Paging } from "../../engine/cpu/types.ts";
import { sourceOf } from "../../engine/loader/source.ts";
import type {
  HypercallStatistics,
  MachineApi,
  MachineConfig,
  MachineFactory,
  SliceEnd,
  StatedMachine,
} from "../../engine/machine-api.ts";
import type { PageStore } from "../../engine/memory/page-store.ts";
import type { StackSample } from "../../engine/profile/sample.ts";

/** Something that happens when the instruction count gets to `at`. */
export interface ScriptEvent {
  readonly at: number;
  readonly print?: string;
  /** As print, byte by byte in hexadecimal: what is no UTF-8. */
  readonly printHex?: string;
  /** Printed the first time in this process only. */
  readonly printOnce?: string;
  /** Guest seconds spent idle. */
  readonly idle?: number;
  /** The guest touches a page that has been in the store since its domain was built. */
  readonly touch?: true;
  /** So many pages are fetched into the pool. */
  readonly fetch?: number;
  /** The guest writes to so many pages, from page 2000 on, and they lose their frames. */
  readonly fill?: number;
  /** The machine itself fails: each time, or the first time in this process only. */
  readonly fail?: "always" | "once";
  /** Prints something else each time it is run. */
  readonly diverge?: boolean;
  readonly end?: SliceEnd;
}

/** A "kernel" for tests of what is around the machine: JSON that says what the guest does when. */
export interface Script {
  /** Makes equal scripts of several tests different jobs. */
  readonly name?: string;
  readonly events: readonly ScriptEvent[];
  /** The first time in this process, building the domain takes so long, and then writes many pages, that of the count among them. */
  readonly buildMilliseconds?: number;
  /** What its checkpoints say of their machine. */
  readonly machine?: StatedMachine;
}

const ENCODER = new TextEncoder();
const bytesOfHex = (hex: string): Uint8Array =>
  Uint8Array.from(hex.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));

const PAGE_OF_COUNT = 5;
const PAGE_OF_KERNEL = 1000;
const FIRST_FILLED = 2000;
/** More than a page store keeps in memory before it writes. */
const BUILT_PAGES = 1500;
/** Names of scripts whose "once" has happened. */
const failed = new Set<string>();
const built = new Set<string>();
const printed = new Set<string>();
let divergence = 0;

/** A machine that plays a script. It keeps its instruction count in a guest page, so that pages and state must agree. */
class ScriptedMachine implements MachineApi {
  instructions = 0;
  readonly #script: Script;
  readonly #store: PageStore;
  #idleNanoseconds = 0;
  #fetched = 0;
  #console: Uint8Array[] = [];

  constructor(script: Script, store: PageStore) {
    this.#script = script;
    this.#store = store;
  }

  get guestNanoseconds(): number {
    return this.instructions + this.#idleNanoseconds;
  }

  get dirtyPages(): number {
    return 1;
  }

  get paging(): Paging {
    return {
      poolPages: 16,
      residentPages: 1,
      peakResidentPages: 1,
      pagesIn: this.#fetched,
      pagesOut: 0,
      evictions: 0,
      linearMemoryBytes: 0,
    };
  }

  sample(): StackSample {
    return { kind: "user", rip: 0n, stack: [] };
  }

  stateHash(): string {
    return this.instructions.toString(16).padStart(16, "0");
  }

  run(budget: number): SliceEnd {
    const from = this.instructions;
    const limit = from + budget;
    for (const event of this.#script.events) {
      if (event.at <= from || event.at > limit) continue;
      this.instructions = event.at;
      if (event.idle !== undefined) this.#idleNanoseconds += event.idle * 1e9;
      this.#fetched += event.fetch ?? 0;
      if (event.touch === true) this.#store.read(PAGE_OF_KERNEL, new Uint8Array(4096));
      for (let i = 0; i < (event.fill ?? 0); i++) {
        this.#store.write(FIRST_FILLED + i, new Uint8Array(4096).fill(1 + (i % 255)));
      }
      if (event.print !== undefined) this.#print(event.print);
      if (event.printHex !== undefined) this.#console.push(bytesOfHex(event.printHex));
      if (event.printOnce !== undefined && !printed.has(this.#script.name ?? "")) {
        printed.add(this.#script.name ?? "");
        this.#print(event.printOnce);
      }
      if (event.diverge === true) this.#print(`run ${divergence++}\n`);
      if (event.fail === "always" || (event.fail === "once" && !failed.has(this.#script.name ?? ""))) {
        failed.add(this.#script.name ?? "");
        throw new Error(`scripted failure at ${event.at}`);
      }
      if (event.end !== undefined) return event.end;
    }
    this.instructions = limit;
    return { kind: "budget" };
  }

  takeConsole(): Uint8Array {
    const bytes = new Uint8Array(this.#console.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const piece of this.#console) {
      bytes.set(piece, at);
      at += piece.length;
    }
    this.#console = [];
    return bytes;
  }

  #print(text: string): void {
    this.#console.push(ENCODER.encode(text));
  }

  /** Says what was typed, and at which instruction. */
  input(bytes: Uint8Array): void {
    this.#print(`<${new TextDecoder().decode(bytes)} at ${this.instructions}>\n`);
  }

  statistics(): HypercallStatistics {
    const calls = Math.floor(this.instructions / 1000);
    const count = { calls, inEmu: calls, byPort: 0, errors: 0, instructions: calls * 100 };
    return {
      hypercalls: [{ hypercall: "sched_op", subop: "SCHEDOP_yield", ...count }],
      totals: { ...count, shareInEmu: calls === 0 ? 0 : 1 },
      traps: {},
      upcalls: 0,
      cr3Switches: 0,
    };
  }

  checkpoint(): { readonly state: Uint8Array; readonly pagesWritten: number } {
    const page = new Uint8Array(4096);
    new DataView(page.buffer).setFloat64(0, this.instructions);
    this.#store.write(PAGE_OF_COUNT, page);
    const state = { script: this.#script, instructions: this.instructions, idle: this.#idleNanoseconds };
    return { state: new TextEncoder().encode(JSON.stringify(state)), pagesWritten: 1 };
  }

  static restore(bytes: Uint8Array, store: PageStore): ScriptedMachine {
    const state = JSON.parse(new TextDecoder().decode(bytes)) as {
      script: Script;
      instructions: number;
      idle: number;
    };
    const page = new Uint8Array(4096);
    const found = store.read(PAGE_OF_COUNT, page);
    const counted = new DataView(page.buffer).getFloat64(0);
    if (!found || counted !== state.instructions) {
      throw new Error(`pages are of instruction ${counted}, the state is of ${state.instructions}`);
    }
    const machine = new ScriptedMachine(state.script, store);
    machine.instructions = state.instructions;
    machine.#idleNanoseconds = state.idle;
    return machine;
  }
}

export const SCRIPTED: MachineFactory = {
  create: async (_parts, config: MachineConfig, store) => {
    const kernel = sourceOf(config.kernel);
    const script = new TextDecoder().decode(await kernel.read(0, kernel.size));
    store.write(PAGE_OF_KERNEL, new Uint8Array(4096).fill(1));
    const parsed = JSON.parse(script) as Script;
    if (parsed.buildMilliseconds !== undefined && !built.has(parsed.name ?? "")) {
      built.add(parsed.name ?? "");
      await scheduler.wait(parsed.buildMilliseconds);
      for (let gfn = 0; gfn < BUILT_PAGES; gfn++) store.write(gfn, new Uint8Array(4096).fill(2));
    }
    return new ScriptedMachine(parsed, store);
  },
  restore: (_parts, state, store) => ScriptedMachine.restore(state, store),
};

export function statedInScript(state: Uint8Array): StatedMachine | undefined {
  return (JSON.parse(new TextDecoder().decode(state)) as { readonly script: Script }).script.machine;
}
