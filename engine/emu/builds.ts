/**
 * How emu64.elf and emu32pae.elf are made: the sources in this folder, twice, each with those of its word size (arch64,
 * arch32).
 */

import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Build } from "./toolchain.ts";

const directory = import.meta.dirname;

function sourcesIn(folder: string): string[] {
  return readdirSync(join(directory, folder))
    .filter((name) => /\.[cS]$/.test(name))
    .map((name) => join(folder, name));
}

/** In the order of their names: the order of linking decides the bytes. */
function sources(arch: string): string[] {
  const all = [...sourcesIn("."), ...sourcesIn(arch)];
  const name = (path: string): string => path.slice(path.lastIndexOf("/") + 1);
  return all.sort((a, b) => (name(a) < name(b) ? -1 : 1));
}

const COMMON_FLAGS = [
  "-std=gnu11",
  "-O2",
  "-ffreestanding",
  "-fvisibility=hidden",
  // The guest's vector registers are not saved on entry, and interrupts may use the stack below RSP.
  "-mgeneral-regs-only",
  "-mno-red-zone",
  "-fno-stack-protector",
  "-fno-strict-aliasing",
  "-fno-asynchronous-unwind-tables",
  "-fcf-protection=none",
  "-fno-ident",
  "-Wall",
  "-Wextra",
  "-Wmissing-prototypes",
  "-Werror",
  "-I.",
];

export const EMU64: Build = {
  directory,
  sources: sources("arch64"),
  flags: [...COMMON_FLAGS, "-fpie", "-Iarch64"],
  script: "arch64/emu.lds",
  output: "emu64.elf",
};

export const EMU32PAE: Build = {
  directory,
  sources: sources("arch32"),
  flags: [...COMMON_FLAGS, "-m32", "-march=i686", "-fno-pic", "-Iarch32"],
  script: "arch32/emu.lds",
  output: "emu32pae.elf",
};
