/*
 * Page-table writes that emu carries out are compared with the processor this test runs on: instruction-oracle.c is
 * compiled together with emu's decoder and executor, and does each kind of instruction both ways, two thousand times.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

const emu = join(import.meta.dirname, "..");
const possible =
  process.arch === "x64" &&
  existsSync("/usr/include/xen/xen.h") &&
  spawnSync("gcc", ["--version"]).status === 0;

test.skipIf(!possible)("emulated writes agree with the processor", { timeout: 60_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), "oracle-"));
  try {
    const program = join(directory, "oracle");
    const sources = ["test/instruction-oracle.c", "decode.c", "ptwrite.c"];
    const flags = ["-std=gnu11", "-O1", "-mno-red-zone", "-Wall", "-Wextra", "-Werror", "-I.", "-Iarch64"];
    execFileSync("gcc", [...flags, "-o", program, ...sources], { cwd: emu, stdio: "inherit" });
    const { status, stdout } = spawnSync(program, { encoding: "utf8" });
    expect(stdout).toMatch(/^39 kinds of instruction, 0 failures\n$/);
    expect(status).toBe(0);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
