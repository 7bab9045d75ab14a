/** Builds pc-guest.elf from its source; with `--check` compares it with the committed file. */

import { type Build, main } from "../../emu/toolchain.ts";

export const PC_GUEST: Build = {
  directory: import.meta.dirname,
  sources: ["pc-guest.c"],
  flags: [
    ...["-m32", "-march=i686", "-O1", "-ffreestanding", "-fno-pic", "-fno-stack-protector"],
    ...["-fno-asynchronous-unwind-tables", "-mgeneral-regs-only", "-fcf-protection=none"],
    ...["-Wall", "-Wextra", "-Werror"],
  ],
  script: "pc-guest.lds",
  output: "pc-guest.elf",
};

if (process.argv[1] === import.meta.filename) main(PC_GUEST, () => {});
