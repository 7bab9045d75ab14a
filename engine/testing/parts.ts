import { readFileSync } from "node:fs";
import { FixtureUnavailable, type PreparedFixture, prepareFixture } from "../../r2-fixtures/index.ts";
import type { EngineParts } from "../machine-api.ts";

// The types of Workers have no constructor for it.
const NodeModule = WebAssembly.Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module;

export function readBytes(path: string): Uint8Array {
  return new Uint8Array(readFileSync(path));
}

/** The core and both emus as they were built, for tests that run machines in Node. */
export const PARTS: EngineParts & { readonly emu32pae: Uint8Array } = {
  core: new NodeModule(readBytes(`${import.meta.dirname}/../cpu/core.wasm`)),
  emu64: readBytes(`${import.meta.dirname}/../emu/emu64.elf`),
  emu32pae: readBytes(`${import.meta.dirname}/../emu/emu32pae.elf`),
};

/** A guest to test with; undefined, and a line that says so, if it is not to be had. In CI that is an error. */
export async function fixtureOrSkip(name: string): Promise<PreparedFixture | undefined> {
  try {
    return await prepareFixture(name, { log: () => {} });
  } catch (error) {
    if (!(error instanceof FixtureUnavailable) || process.env.CI === "true") throw error;
    console.warn(`\n*** SKIPPING ${name}: ${error.message}\n`);
    return undefined;
  }
}
