/** Builds hello.elf from its source; with `--check` compares it with the committed file. */

import { main } from "../../engine/emu/toolchain.ts";

main(
  {
    directory: import.meta.dirname,
    sources: ["hello.S"],
    flags: ["-Wall", "-Wextra", "-Werror"],
    script: "hello.lds",
    output: "hello.elf",
  },
  () => {},
);
