/** Builds calls32.elf and calls64.elf from the sources in this folder; with `--check` compares them with the committed files. */

import { type Build, main } from "../../engine/emu/toolchain.ts";

const FLAGS = [
  "-std=gnu11",
  "-O1",
  "-ffreestanding",
  "-fno-pic",
  "-fno-stack-protector",
  "-fno-strict-aliasing",
  "-fno-asynchronous-unwind-tables",
  "-fcf-protection=none",
  "-mgeneral-regs-only",
  "-mno-red-zone",
  "-fno-ident",
  "-Wall",
  "-Wextra",
  "-Werror",
  "-Wno-main",
];

export const HVM_CALLS: readonly Build[] = [32, 64].map((bits) => ({
  directory: import.meta.dirname,
  sources: ["start.S", "main.c", "rows.c", "print.c"],
  flags: [`-m${bits}`, ...FLAGS],
  script: "guest.lds",
  output: `calls${bits}.elf`,
}));

if (process.argv[1] === import.meta.filename) for (const build of HVM_CALLS) main(build, () => {});
