/** `npm run build:emu-hvm`: writes pages.bin and pages.ts; with `--check` compares both with what is committed. */

import { BuildError, main } from "../emu/toolchain.ts";
import { HYPERCALL_PAGES_BUILD, isModuleCurrent, writeModule } from "./pages-build.ts";

const isCheck = process.argv.includes("--check");
main(HYPERCALL_PAGES_BUILD, () => {
  if (isCheck && !isModuleCurrent())
    throw new BuildError("pages.ts is not what pages.bin says: run `npm run build:emu-hvm`");
});
if (!isCheck && process.exitCode === undefined) writeModule();
