/** What is known about a job before it is made. */
export interface KernelToCheck {
  readonly kernel: Uint8Array;
  /** 0 for none. */
  readonly initrdBytes: number;
  readonly memoryMiB: number;
}

/** Throws LoadError (engine/loader/errors.ts) for a kernel that cannot be booted. */
export type KernelCheck = (job: KernelToCheck) => void;
