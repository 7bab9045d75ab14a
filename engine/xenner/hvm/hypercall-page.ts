/*
 * The hypercall pages of an HVM guest, as engine/emu-hvm/pages.S makes them: 128 entry points of 32 bytes, to be called with the
 * arguments in registers, and for a guest that takes two pages a page of code behind them, where what can be is served without
 * leaving the guest. All is position-independent and the same for 32- and 64-bit code.
 */

import { HYPERCALL_PAGES } from "../../emu-hvm/pages.ts";
import { PAGE_BYTES } from "../abi.ts";
import { HYPERCALL_PORT, OFFSETS } from "./blob-layout.ts";

export { HYPERCALL_PORT };

export const ENTRY_BYTES = 32;
/** Of an entry that leaves: MOV EAX, number; OUT port, EAX; RET. */
export const ENTRY_OUT_OFFSET = 5;
/** OUT imm8, EAX. */
export const OUT_BYTES = 2;

const PAGES = Uint8Array.from(atob(HYPERCALL_PAGES.replaceAll("\n", "")), (char) => char.charCodeAt(0));
const pageAt = (index: number): Uint8Array => PAGES.slice(index * PAGE_BYTES, (index + 1) * PAGE_BYTES);

/** Entry points that leave by the port, all of them. */
export function hvmHypercallPage(): Uint8Array {
  return pageAt(0);
}

/** Entry points, of which those of calls that can be served inside jump to the page behind. */
export function entriesWithCode(): Uint8Array {
  return pageAt(1);
}

/** The page of code; what the host writes into it is zero. */
export function codePage(): Uint8Array {
  return pageAt(2);
}

/** Of one word size: where the code may fault with two registers on the stack, and where it has left by the port. */
export interface CodeOffsets {
  readonly body: number;
  readonly bodyEnd: number;
  readonly left: number;
}

const offset = (index: number): number =>
  new DataView(PAGES.buffer).getUint16(2 * PAGE_BYTES + OFFSETS + 2 * index, true);

export const CODE64: CodeOffsets = { body: offset(0), bodyEnd: offset(1), left: offset(2) };
export const CODE32: CodeOffsets = { body: offset(3), bodyEnd: offset(4), left: offset(5) };
export const CODE_BYTES = offset(6);
