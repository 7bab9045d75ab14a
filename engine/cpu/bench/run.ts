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

/** Loads the image of `buildImage` and enters 64-bit mode; then `runLoop` may be called any number of times. */
export function loadImage(cpu: CpuApi, image: Uint8Array): void {
  cpu.memory.write(IMAGE_BASE, image);
  cpu.enterLongMode(PAGE_TABLES);
}

/**
 * Runs a loop once, from its entry to its HLT, and checks its result.
 *
 * @returns the instructions that were retired
 */
export function runLoop(cpu: CpuApi, loop: Loop): number {
  const start = cpu.instructions;
  cpu.setRegister("rip", BigInt(LOOPS + loop.entry));
  cpu.setRegister("rsp", BigInt(STACK_TOP));
  for (const name of ["rdi", "rsi", "rdx", "rcx"] as const)
    cpu.setRegister(name, BigInt(loop.registers[name]));
  const exit = cpu.run(start + loop.instructions * LIMIT_FACTOR);
  if (exit.kind !== "halt") throw new WrongResult(loop, `ended with ${exit.kind}, not with HLT`);
  const result = cpu.getRegister("rax");
  if (result !== loop.result) throw new WrongResult(loop, `RAX is ${result}, must be ${loop.result}`);
  return cpu.instructions - start;
}
