/** Names for the processor a job asks for; engine/cpu/models.ts knows what they mean. */
import { nearestName } from "./nearest.ts";

export const CPU_MODEL_NAMES = ["v1", "v2"] as const;
/** What kernels are built for, as "uname -m" and KernelCI say it. */
export const ARCHITECTURES = ["x86_64", "i386"] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

export const CPU_DEFAULT = "v2";
export const CPU_FEATURE_NAMES = [
  "sse3",
  "ssse3",
  "sse4.1",
  "sse4.2",
  "popcnt",
  "cx16",
  "movbe",
  "rdrand",
  "rdseed",
  "rdtscp",
  "fsgsbase",
  "lahf",
] as const;
/** Features added and removed; more only repeat themselves. */
const CPU_CHANGES = 32;

/** Longest name. */
const CPU_CHARACTERS = 512;

/** A user's text, fit to be shown. */
const quoted = (text: string): string => JSON.stringify(text.slice(0, 40));

/** What is wrong with a processor's name, as the end of a sentence that begins with the field; undefined if nothing is. */
export function cpuError(name: string): string | undefined {
  if (name.length > CPU_CHARACTERS) return `has ${name.length} characters; shorten it to ${CPU_CHARACTERS}.`;
  const [model = "", ...changes] = name.split(",");
  if (!(CPU_MODEL_NAMES as readonly string[]).includes(model)) {
    return `begins with ${quoted(model)}, but the models are ${CPU_MODEL_NAMES.join(" and ")}; write for example "v1,+popcnt" or "v2,-sse4.2".`;
  }
  if (changes.length > CPU_CHANGES)
    return `has ${changes.length} changes; at most ${CPU_CHANGES} are allowed.`;
  for (const change of changes) {
    const feature = change.slice(1);
    if (!/^[+-]/.test(change))
      return `has ${quoted(change)}; write "+" before a feature to add it, "-" to remove it.`;
    if (!(CPU_FEATURE_NAMES as readonly string[]).includes(feature)) {
      return `has no feature ${quoted(feature)}; did you mean "${nearestName(feature, CPU_FEATURE_NAMES)}"? There are ${CPU_FEATURE_NAMES.join(", ")}.`;
    }
  }
  return undefined;
}
