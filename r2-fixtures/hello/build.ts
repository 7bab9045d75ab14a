/** Builds hello.elf from its source; with `--check` compares it with the committed file. */

import { fileURLToPath } from "node:url";
import { main } from "../../engine/emu/toolchain.ts";

main(
  {
    directory: fileURLToPath(new URL(".", import.meta.url)),
    sources: ["hello.S"],
    flags: ["-Wall", "-Wextra", "-Werror"],
    script: "hello.lds",
    output: "hello.elf",
  },
  () => {},
);
