// The images of the system-mode suite: where their files are, and how what they tell is cut into tests.

import { readdirSync } from "node:fs";
import { join } from "node:path";

const here = import.meta.dirname;

/** Where every image is loaded; also in source/common.inc. */
export const LOAD_ADDRESS = 0x100000;
export const CONSOLE_PORT = 0xe9;
export const EXIT_PORT = 0xf4;
/** Memory of the machine an image runs on. */
export const MEMORY_MIB = 64;

/** Names of the images: source/NAME.S. */
export function imageNames(): string[] {
  return readdirSync(join(here, "source"))
    .filter((f) => f.endsWith(".S"))
    .map((f) => f.slice(0, -2))
    .sort();
}

export function sourcePath(name: string): string {
  return join(here, "source", `${name}.S`);
}

/** The assembled image: an ELF file, committed, that is loaded whole. */
export function imagePath(name: string): string {
  return join(here, "images", `${name}.elf`);
}

/**
 * Images qemu cannot judge (it lacks the checks, or ends): their files in recorded/ were written by hand from the SDM,
 * which the sources cite.
 */
export function isByManual(name: string): boolean {
  return name.startsWith("sdm-");
}

/** What qemu told when it ran the image. */
export function recordedPath(name: string): string {
  return join(here, "recorded", `${name}.txt`);
}

/** One part of what an image tells: a title line "# ..." and the lines under it. */
export interface Section {
  readonly title: string;
  readonly lines: readonly string[];
}

/** Cuts an image's output at its title lines. Lines before the first title make a section "start". */
export function sections(text: string): Section[] {
  const result: { title: string; lines: string[] }[] = [];
  for (const line of text.split("\n")) {
    if (line === "") continue;
    if (line.startsWith("# ")) result.push({ title: line.slice(2), lines: [] });
    else {
      if (result.length === 0) result.push({ title: "start", lines: [] });
      result.at(-1)!.lines.push(line.trim());
    }
  }
  return result;
}
