/** What is wrong with a kernel or initrd, in a form a program can tell apart. */
export type LoadErrorCode =
  /** The file has no bytes. */
  | "empty"
  /** Neither ELF nor bzImage. */
  | "not-a-kernel"
  /** The file ends before its own headers say it does. */
  | "truncated"
  /** An ELF header, program header or section header contradicts itself. */
  | "bad-elf"
  /** A bzImage setup header contradicts itself. */
  | "bad-bzimage"
  /** A Xen note or the `__xen_guest` string is malformed or contradicts the image. */
  | "bad-note"
  /** A compressed payload in a format that is not known. */
  | "unknown-compression"
  /** A compressed payload that does not decompress. */
  | "corrupt-payload"
  /** A kernel for another processor. */
  | "wrong-architecture"
  /** A kernel that was built without Xen PV support. */
  | "no-xen-notes"
  /** A kernel that only starts in a hardware virtual machine (PVH). */
  | "hvm-only"
  /** A kernel that only starts as a Xen PV guest. */
  | "pv-only"
  /** A kernel that cannot be started in the mode that was asked for: it has no PVH entry point. */
  | "no-pvh-entry"
  /** A valid guest for a mode that is not offered yet, such as 32-bit PV. */
  | "mode-not-offered"
  /** A limit of engine/limits.ts. */
  | "too-large"
  /** Kernel, initrd and start-of-day structures do not fit into the guest's memory. */
  | "does-not-fit"
  /** A memory size that is not possible. */
  | "bad-memory"
  /** A command line that start_info cannot hold. */
  | "bad-cmdline";

/** The part of the request that the error is about. */
export type LoadErrorField = "kernel" | "initrd" | "memory" | "cmdline";

export interface LoadErrorDetail {
  readonly code: LoadErrorCode;
  readonly field?: LoadErrorField;
  /** What is wrong, as a sentence without the full stop. */
  readonly what: string;
  /** Where: "offset 0x1f1", "note 3 (XEN_ELFNOTE_ENTRY)", "segment 2". */
  readonly where?: string;
  /** What the caller can do, as a sentence without the full stop. */
  readonly remedy: string;
}

/** A kernel, initrd or memory size that cannot be booted. The message is meant for the one who sent it. */
export class LoadError extends Error {
  override readonly name = "LoadError";
  readonly code: LoadErrorCode;
  readonly field: LoadErrorField;

  constructor(detail: LoadErrorDetail) {
    const field = detail.field ?? "kernel";
    const where = detail.where === undefined ? "" : ` (${detail.where})`;
    super(`${field}: ${detail.what}${where}. ${detail.remedy}.`);
    this.code = detail.code;
    this.field = field;
  }
}

/** "0x1f1", for messages. */
export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

export const REMEDY_COMPLETE_FILE = "Send the complete file; compare its size and sha256 with the original";
