/** `npm run build:emu`: writes abi.h, emu64.elf and emu32pae.elf; with `--check` compares them with what is committed. */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { EMU32PAE, EMU64 } from "./builds.ts";
import { HEADER_PATH, header } from "./generate.ts";
import { BuildError, main } from "./toolchain.ts";

main([EMU64, EMU32PAE], () => {
  if (!existsSync("/usr/include/xen/xen.h"))
    throw new BuildError("Xen's public headers are missing: install libxen-dev");
  if (!process.argv.includes("--check")) writeFileSync(HEADER_PATH, header());
  else if (readFileSync(HEADER_PATH, "utf8") !== header())
    throw new BuildError("abi.h is not what engine/xenner/abi.ts says: run `npm run build:emu`");
});
