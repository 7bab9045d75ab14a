import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const CORE = join(dirname(fileURLToPath(import.meta.url)), "../core");
/** Of core/layout.ts and core/vector-harness-mmu.ts. */
export const REGISTERS_ADDRESS = 0x1000;
export const CR0_ADDRESS = 0x1120;
export const CR4_ADDRESS = 0x1138;
export const WINDOW_ADDRESS = 0x8000;

const ENTRY = "vector-harness.ts";
const MMU_STUB = "vector-harness-mmu.ts";

/** Node compiles from bytes; the Workers types have no such constructor. */
const NodeModule = WebAssembly.Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module;

/** What the test build exports; see core/vector-harness.ts. */
export interface VectorUnit {
  readonly memory: WebAssembly.Memory;
  decodeVector(map: number, prefix: number, opcode: number, modrm: number, rexW: number): number;
  execVector(fn: number, op: number, ea: bigint): number;
  execX87(op: number, ea: bigint): number;
  x87Wait(): number;
  x87Defined(opcode: number, modrm: number): number;
  getArithFlags(): number;
  setArithFlags(flags: number): void;
  exceptionVector(): number;
}

/** Compiles the vector unit and the x87 alone, with a one-window MMU, and instantiates them. Takes a few seconds. */
export async function buildVectorUnit(): Promise<VectorUnit> {
  let binary: Uint8Array | undefined;
  const { error, stderr } = await asc.main(
    [
      ENTRY,
      "--baseDir",
      CORE,
      "--outFile",
      "vector-unit.wasm",
      "-O2",
      "--runtime",
      "stub",
      "--enable",
      "simd",
      "--memoryBase",
      "65536",
      "--initialMemory",
      "2",
      "--noAssert",
    ],
    {
      readFile: (name) => {
        const file = basename(name) === "mmu.ts" ? MMU_STUB : name;
        try {
          return readFileSync(join(CORE, file), "utf8");
        } catch {
          return null;
        }
      },
      writeFile: (name, contents) => {
        if (name.endsWith(".wasm") && typeof contents !== "string") binary = contents;
      },
      listFiles: () => [],
    },
  );
  if (error || binary === undefined)
    throw new Error(`the vector unit does not compile:\n${stderr.toString()}`);
  const module = new NodeModule(binary);
  const instance = new WebAssembly.Instance(module, {
    env: {
      abort: () => {
        throw new Error("abort");
      },
    },
  });
  return instance.exports as unknown as VectorUnit;
}
