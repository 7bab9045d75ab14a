import type { EngineParts, MachineFactory, StatedMachine } from "../../engine/machine-api.ts";
import type { Inspect } from "./kernel-inspector.ts";

/** The machine and its compiled parts. */
export interface Engine {
  readonly factory: MachineFactory;
  readonly inspect: Inspect;
  /** Which machine the state of a snapshot is of; undefined if it does not say. @throws if it is none */
  readonly statedMachine: (state: Uint8Array) => StatedMachine | undefined;
  readonly parts: EngineParts;
  /** Whether an error thrown by `create` means that the kernel or initrd is at fault. */
  isLoadError(error: unknown): boolean;
}
