// The MMU of the vector unit's test build: one window of memory, mapped one to one, and a page fault outside it.
import { PFV, raise } from "./exception";

export const WINDOW: u64 = 0x8000;
export const WINDOW_BYTES: u64 = 0x1000;

function translate(ea: u64, size: i32): usize {
  if (ea < WINDOW || ea + <u64>size > WINDOW + WINDOW_BYTES) return <usize>raise(PFV, 0);
  return <usize>ea;
}

export function readable(ea: u64, size: i32): usize {
  return translate(ea, size);
}

export function writable(ea: u64, size: i32): usize {
  return translate(ea, size);
}

/** Names that the rest of the core asks of the MMU; nothing in this build uses them. */
export const CR0_PE: u64 = 1;
export const EFER_LMA: u64 = 1 << 10;
export function modeChanged(): void {}
export function readableAs(ea: u64, size: i32, user: bool): usize {
  return translate(ea, size);
}
export function writableAs(ea: u64, size: i32, user: bool): usize {
  return translate(ea, size);
}

export function isAligned(ea: u64, size: i32): bool {
  return true;
}

export function writeDone(ptr: usize): void {}

export function isCanonical(ea: u64): bool {
  return <u64>((<i64>ea << 16) >> 16) == ea;
}
