/**
 * What CPUID offers, by name. A processor is a model and what it has more or less than that: "v2", "v1,+popcnt,+sse3",
 * "v2,-sse4.2". An instruction that is not offered is #UD.
 */

/** Bits of FEATURE_* in engine/cpu/core/cpuid.ts. */
export const CPU_FEATURES = {
  sse3: 0x1,
  ssse3: 0x2,
  "sse4.1": 0x4,
  "sse4.2": 0x8,
  popcnt: 0x10,
  cx16: 0x20,
  movbe: 0x40,
  rdrand: 0x80,
  rdseed: 0x100,
  rdtscp: 0x200,
  fsgsbase: 0x400,
  lahf: 0x800,
} as const;
export type CpuFeature = keyof typeof CPU_FEATURES;

/** The levels of the x86-64 psABI. v2 has what v2 names and MOVBE, RDRAND, RDSEED, RDTSCP and FSGSBASE as well. */
export const CPU_MODELS = { v1: 0, v2: 0xffffffff } as const;
export type CpuModel = keyof typeof CPU_MODELS;

/** The mask for Cpu.setModel of a processor's name. Throws RangeError, naming the part that is not known. */
export function featureMask(name: string): number {
  const [model = "", ...changes] = name.split(",");
  if (!Object.hasOwn(CPU_MODELS, model)) throw new RangeError(`there is no processor model "${model}"`);
  let mask: number = CPU_MODELS[model as CpuModel];
  for (const change of changes) {
    const feature = change.slice(1);
    if (!/^[+-]/.test(change) || !Object.hasOwn(CPU_FEATURES, feature)) {
      throw new RangeError(`"${change}" does not add or remove a processor feature`);
    }
    const bit = CPU_FEATURES[feature as CpuFeature];
    mask = change.startsWith("+") ? mask | bit : mask & ~bit;
  }
  return mask >>> 0;
}
