import type { KernelMap } from "./kernel-map.ts";
import type { Profile } from "./profile.ts";
import type { StackSample } from "./sample.ts";
import { unwind } from "./unwind.ts";

/** A profile with names: what flame graphs are drawn from. */
export interface FoldedProfile {
  /** Instructions that each sample stands for. Times `samples`, they are those of the run, to within one sample. */
  readonly samplingInstructions: number;
  /** Instruction count at which the run began. */
  readonly from: number;
  readonly samples: number;
  /** Stacks, outermost function first, with the samples taken in each; the most frequent first. */
  readonly frames: readonly { readonly stack: readonly string[]; readonly samples: number }[];
}

/**
 * Functions that compilers inline into the only place they are called from, so that kallsyms does not have them although
 * nearly all that their caller executes itself is theirs. Marked as flamegraph.pl does.
 */
const INLINED: ReadonlyMap<string, string> = new Map([
  // arch/x86/xen/p2m.c: the loop over every page frame number that a guest could have.
  ["xen_vmalloc_p2m_tree", "xen_rebuild_p2m_list_[i]"],
]);

function inlinedInto(innermost: string | undefined): string[] {
  const inlined = INLINED.get(innermost ?? "");
  return inlined === undefined ? [] : [inlined];
}

/** What cannot be named. Brackets, so that nobody takes them for functions. */
const USER = "[user]";
const EMU = "[emu]";
const MODULE = "[module]";
/** Modules are loaded here (Documentation/arch/x86/x86_64/mm.rst). */
const MODULES = 0xffff_ffff_c000_0000n;

/**
 * Names the functions of a profile and counts equal stacks.
 *
 * @param kernel undefined for a kernel without symbols: its functions are addresses
 */
export function fold(profile: Profile, kernel: KernelMap | undefined): FoldedProfile {
  const counts = new Map<string, { readonly stack: readonly string[]; samples: number }>();
  for (const { sample, intervals } of profile.samples) {
    const stack = namesOf(sample, kernel);
    const key = stack.join("\0");
    const known = counts.get(key);
    if (known === undefined) counts.set(key, { stack, samples: intervals });
    else known.samples += intervals;
  }
  const frames = [...counts.values()].sort(
    (a, b) => b.samples - a.samples || (a.stack.join(";") < b.stack.join(";") ? -1 : 1),
  );
  return {
    samplingInstructions: profile.interval,
    from: profile.from,
    samples: frames.reduce((sum, { samples }) => sum + samples, 0),
    frames,
  };
}

/** The same as the lines that flamegraph.pl and speedscope read: "outer;inner count". */
export function foldedText({ frames }: FoldedProfile): string {
  return frames.map(({ stack, samples }) => `${stack.join(";")} ${samples}\n`).join("");
}

function namesOf(sample: StackSample, kernel: KernelMap | undefined): string[] {
  if (sample.kind === "user") return [USER];
  const names: string[] = [];
  if (sample.kind === "emu") names.push(EMU);
  if (sample.rip !== 0n) {
    if (sample.kind === "emu" && sample.rip < UPPER_HALF) names.push(USER);
    else if (kernel === undefined) names.push(hex(sample.rip));
    else {
      const functions = unwind(sample, kernel).map((address) => nameOf(address, kernel));
      names.push(...inlinedInto(functions[0]), ...functions);
    }
  }
  return names.reverse();
}

const UPPER_HALF = 1n << 63n;

function nameOf(address: bigint, { symbols, calls }: KernelMap): string {
  if (calls.isCode(address)) {
    const name = symbols.find(address)?.name;
    if (name !== undefined) return name;
  }
  return address >= MODULES ? MODULE : hex(address);
}

function hex(address: bigint): string {
  return `0x${address.toString(16)}`;
}
