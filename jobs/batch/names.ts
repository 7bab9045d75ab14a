import { NAME_CHARACTERS, NAMED_VALUE_CHARACTERS } from "./limits.ts";
import type { Combination } from "./matrix.ts";

/** The beginning of a hash that is enough for people. */
const HASH_CHARACTERS = 12;

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A reference to a kernel, an initrd or a snapshot, as people call it. */
export function referenceName(value: unknown): string {
  if (!isObject(value)) return "none";
  const { fixture, sha256, snapshot, job } = value;
  if (typeof fixture === "string") return fixture;
  if (typeof sha256 === "string") return sha256.slice(0, HASH_CHARACTERS).toLowerCase();
  const from = typeof job === "string" ? `${job.slice(0, 8)}/` : "";
  return `${from}${String(snapshot).slice(0, HASH_CHARACTERS * 2)}`;
}

function shorten(text: string, most: number): string {
  const line = text.toWellFormed().replace(/\s+/g, " ").trim();
  return line.length <= most ? line : `${line.slice(0, most - 1).toWellFormed()}…`;
}

/** Fields that say little in few words: they are named only if nothing else tells members apart. */
const WORDY: ReadonlySet<string> = new Set(["expect", "limits", "input", "notify", "retention", "snapshots"]);

function valueName(name: string, value: unknown): string {
  if (name === "kernel" || name === "from") return referenceName(value);
  if (name === "initrd") return `initrd ${referenceName(value)}`;
  if (name === "cmdline" && typeof value === "string") return `"${shorten(value, NAMED_VALUE_CHARACTERS)}"`;
  if (name === "labels" && isObject(value))
    return shorten(
      Object.entries(value)
        .map(([label, text]) => `${label} ${String(text)}`)
        .join(", "),
      NAMED_VALUE_CHARACTERS,
    );
  const text = typeof value === "string" || typeof value === "number" ? String(value) : JSON.stringify(value);
  return `${name} ${shorten(text, NAMED_VALUE_CHARACTERS)}`;
}

/**
 * What a member of a matrix is called: its kernel, then what tells it from the others, as in `debian-cloud (memory 256, "quiet")`.
 * `telling` are the names of fields that not all members share.
 */
export function combinationName(combination: Combination, telling: ReadonlySet<string>): string {
  const start = combination.kernel ?? combination.from;
  const isPlain = [...telling].some((name) => !WORDY.has(name) && name !== "kernel" && name !== "from");
  const rest = Object.entries(combination)
    .filter(([name, value]) => telling.has(name) && value !== start && !(isPlain && WORDY.has(name)))
    .map(([name, value]) => valueName(name, value));
  const head = start === undefined ? "" : referenceName(start);
  if (rest.length === 0) return shorten(head, NAME_CHARACTERS);
  return shorten(`${head} (${rest.join(", ")})`.trimStart(), NAME_CHARACTERS);
}
