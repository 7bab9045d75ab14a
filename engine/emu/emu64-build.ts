/** How emu64.elf is made from the sources in this folder. */

import { readdirSync } from "node:fs";
import type { Build } from "./toolchain.ts";

const directory = import.meta.dirname;

export const EMU64: Build = {
  directory,
  sources: readdirSync(directory)
    .filter((name) => /\.[cS]$/.test(name))
    .sort(),
  flags: [
    "-std=gnu11",
    "-O2",
    "-ffreestanding",
    "-fpie",
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
  ],
  script: "emu.lds",
  output: "emu64.elf",
};
