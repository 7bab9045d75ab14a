import { PROFILE_LIMITS } from "../limits.ts";
import type { KernelMap } from "./kernel-map.ts";
import type { OrcTable } from "./orc.ts";
import type { StackSample } from "./sample.ts";

/** struct pt_regs of x86-64: 15 registers and orig_ax, then the frame of IRET: RIP, CS, RFLAGS, RSP, SS. */
const PT_REGS_RIP = 128;
const PT_REGS_BYTES = 168;
const WORD = 8;

/**
 * The functions a sample was in, as addresses inside them, innermost first. ORC says where each return address is; where its
 * tables do not know (code that is patched or written at run time, RBP as frame pointer), the next word is taken that follows
 * a CALL of the function before.
 */
export function unwind(sample: StackSample, kernel: KernelMap): bigint[] {
  const frames = [sample.rip];
  const words = new Map(sample.stack.map(({ offset, value }) => [offset, value]));
  let address = sample.rip;
  // Stack pointer, in bytes above that of the sample.
  let sp = 0;
  // A return address may be the first of the next function, if the one called does not return.
  let lookup = address;
  while (frames.length < PROFILE_LIMITS.frames) {
    const hint = kernel.orc?.at(lookup) ?? { kind: "unknown" as const };
    if (hint.kind === "end") break;
    let next = stepByOrc(hint, sp, words);
    if (next === undefined || !kernel.calls.isCode(next.address))
      next = stepByGuess(sample, sp, address, kernel);
    if (next === undefined) break;
    ({ address, sp } = next);
    lookup = next.isReturn ? address - 1n : address;
    frames.push(lookup);
  }
  return frames;
}

interface Step {
  readonly address: bigint;
  readonly sp: number;
  readonly isReturn: boolean;
}

function stepByOrc(
  hint: ReturnType<OrcTable["at"]>,
  sp: number,
  words: ReadonlyMap<number, bigint>,
): Step | undefined {
  if (hint.kind === "call") {
    const end = sp + hint.bytes;
    const address = words.get(end - WORD);
    return address === undefined ? undefined : { address, sp: end, isReturn: true };
  }
  if (hint.kind === "registers") {
    const registers = sp + hint.bytes - (hint.partial ? PT_REGS_RIP : 0);
    const address = words.get(registers + PT_REGS_RIP);
    // What was interrupted has its stack right above, as a kernel does not switch stacks for an interrupt of its own.
    return address === undefined ? undefined : { address, sp: registers + PT_REGS_BYTES, isReturn: false };
  }
  return undefined;
}

/** The next word above `sp` that follows a CALL of the function that `address` is in. */
function stepByGuess(
  sample: StackSample,
  sp: number,
  address: bigint,
  { symbols, calls }: KernelMap,
): Step | undefined {
  const callee = symbols.find(address)?.start;
  for (const { offset, value } of sample.stack) {
    if (offset < sp || !calls.isCode(value)) continue;
    const target = calls.before(value);
    if (target === undefined) continue;
    if (target === callee || target === "somewhere")
      return { address: value, sp: offset + WORD, isReturn: true };
  }
  return undefined;
}
