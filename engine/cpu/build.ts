/**
 * Builds core.wasm from engine/cpu/core with the AssemblyScript compiler. Run by `npm ci` (prepare) and `npm run build:core`.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import asc from "assemblyscript/asc";

const here = import.meta.dirname;
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
  { writeFile: (name, contents) => writeFileSync(join(here, name), contents) },
);
process.stdout.write(stdout.toString());
if (error) {
  process.stderr.write(stderr.toString());
  process.stderr.write(`core.wasm was not built: ${error.message}\n`);
  process.exit(1);
}
process.stdout.write(`core.wasm built in ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
