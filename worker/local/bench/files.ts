import { join } from "node:path";

const ENGINE_CPU = join(import.meta.dirname, "..", "..", "..", "engine", "cpu");

export const CORE_WASM = join(ENGINE_CPU, "core.wasm");
export const LOOPS_BINARY = join(ENGINE_CPU, "bench", "loops.bin");
export const STUB = join(ENGINE_CPU, "bench", "stub.elf");
export const LOOPS_WORKER = join(import.meta.dirname, "loops-worker.ts");
