// Pages of device registers outside memory. An instruction that accesses one leaves `run` before it has done anything, like
// one that faults. The host puts what there is to be read into a buffer, arms it, and has the instruction executed again: now
// the access is one of the buffer. What it left there the host takes as written.
//
// An instruction may read one register and write another: both stay armed until the host says that it is done. One that has
// more accesses than a host cares to serve is told to go on as if nothing were there.

import { DEVICE_ACCESS, raiseNoError } from "./exception";
import { DEVICE_PAGES, DEVICE_PAGE_COUNT, DEVICE_READ, DEVICE_WRITE } from "./layout";

const NOTHING: u64 = 0xffffffffffffffff;

/** The access that made `run` return. */
let address: u64 = 0;
let isWrite: bool = false;
/** What the buffers hold the registers of; NOTHING if they hold none. */
let readArmed: u64 = NOTHING;
let writeArmed: u64 = NOTHING;
/** How many bytes of the write buffer were handed out, from the word on that they begin in. */
let written: i32 = 0;
let ignored: bool = false;

/** Is `pa` in a page of device registers? What is wider than a general register, as a string moved at once, finds nothing. */
export function isDevice(pa: u64, size: i32): bool {
  if (ignored || size > 8) return false;
  for (let i: usize = 0; i < DEVICE_PAGE_COUNT; i++) {
    const page = load<u32>(DEVICE_PAGES + (i << 2));
    if (page != 0 && <u64>page == pa >> 12) return true;
  }
  return false;
}

/** A read at physical address `pa`: where its bytes are, or 0 with DEVICE_ACCESS pending. */
export function deviceRead(pa: u64): usize {
  if (readArmed == pa) return DEVICE_READ + <usize>(pa & 3);
  address = pa;
  isWrite = false;
  return raiseNoError(DEVICE_ACCESS);
}

/** Likewise for a write, preloaded with what there is. */
export function deviceWrite(pa: u64, size: i32): usize {
  if (writeArmed == pa) {
    written = <i32>(pa & 3) + size;
    return DEVICE_WRITE + <usize>(pa & 3);
  }
  address = pa;
  isWrite = true;
  return raiseNoError(DEVICE_ACCESS);
}

export function deviceAddress(): u32 {
  return <u32>address;
}

export function deviceIsWrite(): bool {
  return isWrite;
}

/** Buffer of a read or a write; its first byte is that of the address rounded down to four. */
export function deviceBuffer(write: bool): usize {
  return write ? DEVICE_WRITE : DEVICE_READ;
}

/** The buffer holds what is at the address of the access that made `run` return. */
export function armDevice(): void {
  if (isWrite) {
    writeArmed = address;
    written = 0;
  } else readArmed = address;
}

/** How much of the write buffer is to be taken, in bytes from its beginning; 0 if nothing was written. */
export function deviceWritten(): i32 {
  return written;
}

/** The instruction is done: no buffer is armed. `ignore`: device pages are like nothing until the next call. */
export function disarmDevice(ignore: bool): void {
  readArmed = NOTHING;
  writeArmed = NOTHING;
  written = 0;
  ignored = ignore;
}
