// A processor of one's own, in Node: core.wasm compiled once for the process, memory in a Map.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { MapPageStore } from "../../memory/page-store.ts";
import { Cpu, type CpuModel } from "../cpu.ts";

/** The Workers types, which rule here, know no compilation at run time; Node does. */
const NodeModule = WebAssembly.Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module;

let compiled: WebAssembly.Module | undefined;

function coreModule(): WebAssembly.Module {
  if (compiled === undefined) {
    const path = join(dirname(fileURLToPath(import.meta.url)), "../core.wasm");
    compiled = new NodeModule(readFileSync(path));
  }
  return compiled;
}

/** A processor in its reset state with `pages` pages of zeroed memory, offering what `model` has. */
export function createCpu(options: { readonly pages: number; readonly model?: CpuModel }): Cpu {
  const cpu = Cpu.create({ module: coreModule(), pages: options.pages, store: new MapPageStore() });
  cpu.setModel(options.model ?? "v2");
  return cpu;
}
