/*
 * The hypercall page of an HVM guest: 128 entries of 32 bytes, to be called with the hypercall's arguments in registers.
 * Each leaves by a port, not by VMCALL, so that nothing in it depends on the processor it runs on. It is position-independent
 * and the same in 32- and 64-bit code.
 */

import { PAGE_BYTES } from "../abi.ts";

/** OUT of EAX, the number of the hypercall: the host serves it with the registers as they are. One that fits an imm8. */
export const HYPERCALL_PORT = 0xec;

const ENTRY_BYTES = 32;
const ENTRIES = PAGE_BYTES / ENTRY_BYTES;
const INT3 = 0xcc;

export function hvmHypercallPage(): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES).fill(INT3);
  for (let number = 0; number < ENTRIES; number++) {
    // mov eax, number; out HYPERCALL_PORT, eax; ret
    page.set([0xb8, number, 0, 0, 0, 0xe7, HYPERCALL_PORT, 0xc3], number * ENTRY_BYTES);
  }
  return page;
}
