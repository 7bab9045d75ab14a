/**
 * Assembles the images of the system-mode suite: `node engine/cpu/system-suite/build.ts [--check] [NAME ...]`.
 *
 * The results are committed, so that the tests need no assembler. With --check nothing is written: the sources are
 * assembled and compared with the committed files. Exit status: 0 done or equal, 1 different.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { imageNames, imagePath, LOAD_ADDRESS, sourcePath } from "./suite.ts";

function command(name: string, args: readonly string[]): void {
  const { error, status } = spawnSync(name, args, { stdio: "inherit" });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${name} ended with status ${status}`);
}

/** The image of one source file as bytes. */
export function assemble(name: string): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "system-suite-"));
  try {
    const object = join(folder, "image.o");
    const image = join(folder, "image.elf");
    command("as", ["--64", "-I", dirname(sourcePath(name)), "-o", object, sourcePath(name)]);
    command("ld", [
      "-e",
      "start",
      "-Ttext",
      `0x${LOAD_ADDRESS.toString(16)}`,
      "--oformat",
      "binary",
      "-o",
      image,
      object,
    ]);
    return readFileSync(image);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function main(args: readonly string[]): number {
  const check = args.includes("--check");
  const named = args.filter((a) => !a.startsWith("--"));
  let different = 0;
  for (const name of named.length > 0 ? named : imageNames()) {
    const bytes = assemble(name);
    if (check) {
      if (Buffer.compare(bytes, readFileSync(imagePath(name))) === 0) continue;
      process.stdout.write(`${name} differs from its source\n`);
      different++;
    } else {
      mkdirSync(dirname(imagePath(name)), { recursive: true });
      writeFileSync(imagePath(name), bytes);
      process.stdout.write(`${name}: ${bytes.length} bytes\n`);
    }
  }
  return different > 0 ? 1 : 0;
}

if (process.argv[1] === import.meta.filename) process.exitCode = main(process.argv.slice(2));
