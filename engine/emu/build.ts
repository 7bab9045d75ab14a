/** `npm run build:emu`: writes abi.h and emu64.elf; with `--check` compares both with what is committed. */

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { HEADER_PATH, header } from "./generate.ts";
import { type Build, BuildError, main } from "./toolchain.ts";

const directory = fileURLToPath(new URL(".", import.meta.url));

const EMU64: Build = {
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

main(EMU64, () => {
  if (!existsSync("/usr/include/xen/xen.h"))
    throw new BuildError("Xen's public headers are missing: install libxen-dev");
  if (!process.argv.includes("--check")) writeFileSync(HEADER_PATH, header());
  else if (readFileSync(HEADER_PATH, "utf8") !== header())
    throw new BuildError("abi.h is not what engine/xenner/abi.ts says: run `npm run build:emu`");
});
