/**
 * Builds core.wasm from engine/cpu/core with the AssemblyScript compiler. Run by `npm ci` (prepare) and `npm run build:core`.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import asc from "assemblyscript/asc";
import { fusionLookup, withFusedCodes, withFusions } from "./fuse.ts";

const here = import.meta.dirname;
/** Files of the compilation: the sources, but for what fuse.ts adds. */
function readFile(name: string): string | null {
  const path = resolve(here, name);
  if (path === join(here, "core", "fusions.ts")) return fusionLookup();
  try {
    const source = readFileSync(path, "utf8");
    if (path === join(here, "core", "ops.ts")) return withFusedCodes(source);
    return path === join(here, "core", "interp.ts") ? withFusions(source) : source;
  } catch {
    return null;
  }
}

const started = performance.now();
const { error, stdout, stderr } = await asc.main(
  [
    "core/index.ts",
    "--baseDir",
    here,
    "--outFile",
    "core.wasm",
    "--runtime",
    "stub",
    "--importMemory",
    "--initialMemory",
    "256",
    // The compiler's static data lies where layout.ts leaves room for it.
    "--memoryBase",
    "16384",
    "--enable",
    "simd",
    "--noAssert",
    "-O3",
    ...process.argv.slice(2),
  ],
  { readFile, writeFile: (name, contents) => writeFileSync(resolve(here, name), contents) },
);
process.stdout.write(stdout.toString());
if (error) {
  process.stderr.write(stderr.toString());
  process.stderr.write(`core.wasm was not built: ${error.message}\n`);
  process.exit(1);
}
process.stdout.write(`core.wasm built in ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
