import type { EngineParts, MachineFactory } from "../../engine/machine-api.ts";
import type { Inspect } from "./kernel-inspector.ts";

/** The machine and its compiled parts. */
export interface Engine {
  readonly factory: MachineFactory;
  readonly inspect: Inspect;
  readonly parts: EngineParts;
  /** Whether an error thrown by `create` means that the kernel or initrd is at fault. */
  isLoadError(error: unknown): boolean;
}
