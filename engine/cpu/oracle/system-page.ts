// The page of descriptor tables that our core runs user code with: descriptors at the places where 64-bit Linux has them,
// gates that lead to handlers, and the code that loads the tables.

import { PAGE_BYTES } from "../door/address-space.ts";

/** Where the page is mapped, for ring 0 only. */
export const SYSTEM_ADDRESS = 0x7000_0000;

// Descriptors as in arch/x86/include/asm/segment.h: index, access byte, flags (SDM vol. 3A 3.4.5).
const GDT: readonly (readonly [index: number, access: number, flags: number])[] = [
  [1, 0x9b, 0xc], // kernel code, 32 bits
  [2, 0x9b, 0xa], // kernel code, 64 bits
  [3, 0x93, 0xc], // kernel data
  [4, 0xfb, 0xc], // user code, 32 bits
  [5, 0xf3, 0xc], // user data
  [6, 0xfb, 0xa], // user code, 64 bits
  [15, 0xf5, 0x4], // the number of the processor in its limit (arch/x86/entry/vdso/vma.c)
];
const TSS_SELECTOR = 0x40;

/** What is where in the system page. */
export const SYSTEM = {
  gdt: 0,
  gdtr: 0x200,
  idtr: 0x210,
  code: 0x240,
  handlers: 0x280,
  idt: 0x800,
  tss: 0xa00,
  stackTop: 0x1000,
};
export const VECTORS = 32;
const GDT_BYTES = 16 * 8;
const TSS_BYTES = 0x68;
const UD2 = [0x0f, 0x0b];

/**
 * Descriptor tables and the code that loads them. INT3 and INTO reach their handlers, as they are no exceptions before they
 * are delivered; each handler is a UD2, whose address tells the vector.
 */
export function systemPage(): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  const view = new DataView(page.buffer);
  const at = BigInt(SYSTEM_ADDRESS);
  for (const [index, access, flags] of GDT) view.setBigUint64(8 * index, descriptor(access, flags), true);
  const tss = at + BigInt(SYSTEM.tss);
  const low =
    BigInt(TSS_BYTES - 1) | ((tss & 0xffffffn) << 16n) | (0x89n << 40n) | (((tss >> 24n) & 0xffn) << 56n);
  view.setBigUint64(SYSTEM.gdt + TSS_SELECTOR, low, true);
  view.setBigUint64(SYSTEM.gdt + TSS_SELECTOR + 8, tss >> 32n, true);
  view.setBigUint64(SYSTEM.tss + 4, at + BigInt(SYSTEM.stackTop), true);
  view.setUint16(SYSTEM.tss + 0x66, TSS_BYTES, true); // no I/O permission bitmap
  view.setUint16(SYSTEM.gdtr, GDT_BYTES - 1, true);
  view.setBigUint64(SYSTEM.gdtr + 2, at, true);
  view.setUint16(SYSTEM.idtr, VECTORS * 16 - 1, true);
  view.setBigUint64(SYSTEM.idtr + 2, at + BigInt(SYSTEM.idt), true);
  for (let v = 0; v < VECTORS; v++) {
    // Gates 3 and 4 are open to user mode, the others not (arch/x86/kernel/idt.c).
    const dpl = v === 3 || v === 4 ? 3 : 0;
    const handler = at + BigInt(SYSTEM.handlers + 2 * v);
    const gate =
      (handler & 0xffffn) |
      (0x10n << 16n) |
      ((0x8en | BigInt(dpl << 5)) << 40n) |
      (((handler >> 16n) & 0xffffn) << 48n);
    view.setBigUint64(SYSTEM.idt + 16 * v, gate, true);
    view.setBigUint64(SYSTEM.idt + 16 * v + 8, handler >> 32n, true);
    page.set(UD2, SYSTEM.handlers + 2 * v);
  }
  // lgdt [gdtr]; lidt [idtr]; mov eax, TSS_SELECTOR; ltr ax; xor eax, eax; lldt ax; ud2
  page.set([0x0f, 0x01, 0x14, 0x25, 0, 0, 0, 0, 0x0f, 0x01, 0x1c, 0x25, 0, 0, 0, 0], SYSTEM.code);
  page.set(
    [0xb8, TSS_SELECTOR, 0, 0, 0, 0x0f, 0x00, 0xd8, 0x31, 0xc0, 0x0f, 0x00, 0xd0, ...UD2],
    SYSTEM.code + 16,
  );
  view.setUint32(SYSTEM.code + 4, SYSTEM_ADDRESS + SYSTEM.gdtr, true);
  view.setUint32(SYSTEM.code + 12, SYSTEM_ADDRESS + SYSTEM.idtr, true);
  return page;
}

function descriptor(access: number, flags: number): bigint {
  return 0x000f_0000_0000_ffffn | (BigInt(access) << 40n) | (BigInt(flags) << 52n);
}

/** Attributes (bits 40-55 of the descriptor, without the limit) by index in the GDT; 0 = there is none. */
export const ATTRIBUTES: readonly number[] = Array.from({ length: GDT_BYTES / 8 }, (_, i) => {
  const known = GDT.find(([index]) => index === i);
  return known === undefined ? 0 : known[1] | (known[2] << 12);
});
