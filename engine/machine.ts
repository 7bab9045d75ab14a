import { decodeCheckpoint } from "./checkpoint.ts";
import { Cpu } from "./cpu/cpu.ts";
import type { CpuOptions, VirtualCpuApi } from "./cpu/types.ts";
import { guestFactory } from "./guest.ts";
import { hvmFactory, modeNotOffered } from "./hvm-guest.ts";
import type { GuestMode, MachineApi, MachineFactory, StatedMachine } from "./machine-api.ts";
import { PAGE_BYTES } from "./xenner/abi.ts";

const pv = guestFactory((options) => Cpu.create(options));
const hvm = hvmFactory((options: CpuOptions): VirtualCpuApi | undefined => {
  const cpu = Cpu.create(options);
  return cpu.canIntercept ? cpu : undefined;
});

/** What core.wasm exports if it can be intercepted, as a hypervisor's guest must be. */
const INTERCEPTION = "setIntercepts";

/**
 * Whether this build of the core can run guests of this mode.
 *
 * @throws LoadError mode-not-offered
 */
export function checkMode(core: WebAssembly.Module, mode: GuestMode): void {
  if (mode === "pv" || WebAssembly.Module.exports(core).some(({ name }) => name === INTERCEPTION)) return;
  throw modeNotOffered(mode);
}

/** Guests on our own core: see MachineFactory in machine-api.ts. */
export const create: MachineFactory["create"] = (parts, config, store, spool): Promise<MachineApi> =>
  config.mode === undefined || config.mode === "pv"
    ? pv.create(parts, config, store, spool)
    : hvm.create(config.mode, parts, config, store, spool);

export const restore: MachineFactory["restore"] = (parts, state, store): MachineApi =>
  hvm.restore(parts, state, store) ?? pv.restore(parts, state, store);

const MIB = 1024 * 1024;

/**
 * Which machine a checkpoint is of, without making it: for states that come from elsewhere.
 *
 * @throws CheckpointError for bytes that are not a checkpoint, or of a version that cannot be read
 */
export function statedMachine(state: Uint8Array): StatedMachine {
  const { mode = "pv", ramPages } = decodeCheckpoint(state).devices as {
    readonly mode?: GuestMode;
    readonly ramPages: number;
  };
  return { mode, memoryMiB: (ramPages * PAGE_BYTES) / MIB };
}
