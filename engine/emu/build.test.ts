/*
 * The committed emu64.elf and emu32pae.elf are what their sources give. Only the compiler they were built with can tell;
 * CI has it (`node engine/emu/build.ts --check` fails loudly there), other machines skip this.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { EMU32PAE, EMU64 } from "./builds.ts";
import { BuildError, check, toolchainVersion } from "./toolchain.ts";

function sameToolchain(): boolean {
  try {
    return toolchainVersion() === readFileSync(join(EMU64.directory, "emu64.elf.toolchain"), "utf8").trim();
  } catch {
    return false;
  }
}

const comparable = existsSync("/usr/include/xen/xen.h") && sameToolchain();

test.skipIf(!comparable).each([EMU64, EMU32PAE])(
  "$output is built from these sources",
  { timeout: 120_000 },
  (build) => {
    check(build);
  },
);

test.skipIf(!comparable)("a changed source is noticed", { timeout: 120_000 }, () => {
  expect(() => check({ ...EMU64, flags: [...EMU64.flags, "-O1"] })).toThrow(BuildError);
});
