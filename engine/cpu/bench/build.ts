/**
 * Assembles the benchmark's machine code: `node engine/cpu/bench/build.ts [--check]`.
 *
 * The results are committed, so that a machine without an assembler can run the benchmark. With --check nothing is
 * written: the sources are assembled and compared with the committed files, byte for byte.
 * Exit status: 0 done or equal, 1 different, 2 no assembler.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const TARGETS = [
  { source: "loops.S", output: "loops.bin" },
  { source: "stub.S", output: "stub.elf" },
] as const;

const EXIT_DIFFERENT = 1;
const EXIT_NO_ASSEMBLER = 2;

function command(name: string, args: readonly string[]): void {
  const { error, status } = spawnSync(name, args, { stdio: "inherit" });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${name} ended with status ${status}`);
}

function assemble(source: string): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "bench-build-"));
  try {
    const object = join(folder, "out.o");
    const flat = join(folder, "out.bin");
    command("as", ["--64", "-o", object, join(import.meta.dirname, source)]);
    command("objcopy", ["-O", "binary", "-j", ".text", object, flat]);
    return readFileSync(flat);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function main(check: boolean): number {
  let status = 0;
  for (const { source, output } of TARGETS) {
    let built: Uint8Array;
    try {
      built = assemble(source);
    } catch (error) {
      console.error(`${source}: cannot be assembled (GNU as and objcopy are needed): ${String(error)}`);
      return EXIT_NO_ASSEMBLER;
    }
    const path = join(import.meta.dirname, output);
    if (!check) {
      writeFileSync(path, built);
      console.log(`${output}: ${built.length} bytes`);
    } else if (Buffer.compare(built, readFileSync(path)) === 0) {
      console.log(`${output}: equal to what ${source} gives`);
    } else {
      console.error(`${output}: differs from what ${source} gives; run node engine/cpu/bench/build.ts`);
      status = EXIT_DIFFERENT;
    }
  }
  return status;
}

process.exitCode = main(process.argv.includes("--check"));
