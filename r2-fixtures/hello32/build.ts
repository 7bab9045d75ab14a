/** Builds hello32.elf from its source; with `--check` compares it with the committed file. */

import { existsSync } from "node:fs";
import { BuildError, main } from "../../engine/emu/toolchain.ts";

main(
  {
    directory: import.meta.dirname,
    sources: ["calls.c", "entry.S", "events.c", "main.c", "memory.c", "processor.c"],
    flags: [
      ..."-m32 -march=i686 -std=gnu11 -O1 -ffreestanding -fno-pic -mgeneral-regs-only -fno-stack-protector".split(
        " ",
      ),
      ..."-fno-asynchronous-unwind-tables -fcf-protection=none -fno-ident -fno-tree-loop-distribute-patterns".split(
        " ",
      ),
      ..."-Wall -Wextra -Werror -Wmissing-prototypes".split(" "),
    ],
    script: "hello32.lds",
    output: "hello32.elf",
  },
  () => {
    if (!existsSync("/usr/include/xen/xen.h"))
      throw new BuildError("Xen's public headers are missing: install libxen-dev");
  },
);
