import type { CpuApi } from "../types.ts";
import { IMAGE_BASE, LOOPS, PAGE_TABLES, STACK_TOP } from "./layout.ts";
import type { Loop } from "./loops.ts";

/** The loop did not end as it must: the core is wrong. */
export class WrongResult extends Error {
  constructor(loop: Loop, problem: string) {
    super(`loop ${loop.name}: ${problem}`);
    this.name = "WrongResult";
  }
}

/** Instructions that may go by before a loop counts as lost. */
const LIMIT_FACTOR = 2;

/** Instructions a slice. */
const SLICE = 5_000_000;

/** A processor with the benchmark's image in its memory. */
export class LoopRunner {
  readonly #cpu: CpuApi;
  /** The processor as it is before any loop: HLT, which ends each of them, leaves it halted for good. */
  readonly #start: Uint8Array;

  /** Loads an image of `buildImage` and enters 64-bit mode. */
  constructor(cpu: CpuApi, image: Uint8Array) {
    this.#cpu = cpu;
    cpu.memory.write(IMAGE_BASE, image);
    cpu.enterLongMode(PAGE_TABLES);
    cpu.setRegister("rsp", BigInt(STACK_TOP));
    this.#start = cpu.saveState();
  }

  /**
   * Runs a loop once, from its entry to its HLT, and checks its result. Throws WrongResult.
   *
   * @returns the instructions that were retired
   */
  run(loop: Loop): number {
    const cpu = this.#cpu;
    cpu.loadState(this.#start);
    const before = cpu.instructions;
    cpu.setRegister("rip", BigInt(LOOPS + loop.entry));
    for (const name of ["rdi", "rsi", "rdx", "rcx"] as const) {
      cpu.setRegister(name, BigInt(loop.registers[name]));
    }
    const end = before + loop.instructions * LIMIT_FACTOR;
    // In slices, as the job runner does: an engine that optimises a function between calls, not during one, needs them.
    let exit = cpu.run(before + SLICE);
    while (exit.kind === "limit" && cpu.instructions < end) exit = cpu.run(cpu.instructions + SLICE);
    if (exit.kind !== "halt") throw new WrongResult(loop, `ended with ${exit.kind}, not with HLT`);
    const result = cpu.getRegister("rax");
    if (result !== loop.result) throw new WrongResult(loop, `RAX is ${result}, must be ${loop.result}`);
    return cpu.instructions - before;
  }
}
