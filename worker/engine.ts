import core from "../engine/cpu/core.wasm";
import emu32pae from "../engine/emu/emu32pae.elf";
import emu64 from "../engine/emu/emu64.elf";
import { inspectKernel } from "../engine/inspect.ts";
import { LoadError } from "../engine/loader/errors.ts";
import * as machine from "../engine/machine.ts";
import type { Engine } from "./runner/engine.ts";

/** The machine as this worker carries it: code compiled when the worker starts, emu as bytes. */
export const ENGINE: Engine = {
  factory: machine,
  inspect: async (kernel, memoryMiB, initrdBytes, spool, mode) => {
    machine.checkMode(core, mode);
    return await inspectKernel(kernel, memoryMiB, initrdBytes, spool, mode);
  },
  statedMachine: machine.statedMachine,
  parts: { core, emu64: new Uint8Array(emu64), emu32pae: new Uint8Array(emu32pae) },
  isLoadError: (error) => error instanceof LoadError,
};
