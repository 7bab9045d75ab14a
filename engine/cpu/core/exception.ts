// Marking exceptions. Delivery through the IDT is in interrupt.ts.

import { CR2, EXC_ERROR, EXC_EXIT, EXC_VECTOR, FAULT_SS } from "./layout";

export const DE: i32 = 0;
export const DB: i32 = 1;
export const NMI: i32 = 2;
export const BP: i32 = 3;
export const OFV: i32 = 4;
export const BR: i32 = 5;
export const UD: i32 = 6;
export const NM: i32 = 7;
export const DFV: i32 = 8;
export const TS: i32 = 10;
export const NP: i32 = 11;
export const SS: i32 = 12;
export const GP: i32 = 13;
export const PFV: i32 = 14;
export const MF: i32 = 16;
export const ACV: i32 = 17;
export const XM: i32 = 19;
/** No exception of the processor's: a page of device registers was accessed, and the host is wanted. */
export const DEVICE_ACCESS: i32 = 32;

/** Marks an exception with an error code pending; returns 0, which every memory access and executor returns for "faulted". */
export function raise(vector: i32, errorCode: i32): i32 {
  store<i32>(EXC_VECTOR, vector);
  store<i32>(EXC_ERROR, errorCode);
  store<u32>(FAULT_SS, 0);
  return 0;
}

/** Marks an exception without error code pending; returns 0. */
export function raiseNoError(vector: i32): i32 {
  return raise(vector, -1);
}

/** #PF: error code bits P, W, U, RSVD, I (SDM vol. 3A 4.7). Loads CR2. */
export function raisePageFault(address: u64, errorCode: i32): i32 {
  store<u64>(CR2, address);
  return raise(PFV, errorCode);
}

/** A non-canonical address: #GP(0), or #SS(0) if the operand turns out to be a stack operand. */
export function raiseNonCanonical(): i32 {
  raise(GP, 0);
  store<u32>(FAULT_SS, 1);
  return 0;
}

/** The host wants to see the pending exception instead of its delivery. */
export function leavesRun(): bool {
  if (load<i32>(EXC_VECTOR) == DEVICE_ACCESS) return true;
  return ((load<u32>(EXC_EXIT) >> load<i32>(EXC_VECTOR)) & 1) != 0;
}
