/**
 * The hypercall page: 128 entries of 32 bytes, one for each hypercall number, which a guest with a HYPERCALL_PAGE ELF
 * note calls instead of executing `syscall` itself. The domain builder fills it at start of day; the machine code must
 * leave the same stack behind as Xen's (xen/include/public/arch-x86/xen-x86_64.h, "HYPERVISOR_iret").
 */

import type { WordBytes } from "./abi.ts";

export const HYPERCALL_PAGE_BYTES = 4096;
export const HYPERCALL_ENTRY_BYTES = 32;
const ENTRIES = HYPERCALL_PAGE_BYTES / HYPERCALL_ENTRY_BYTES;

const HYPERVISOR_IRET = 23;

const PUSH_EAX = [0x50];
const INT_82 = [0xcd, 0x82];

const PUSH_RAX = [0x50];
const PUSH_RCX = [0x51];
const PUSH_R11 = [0x41, 0x53];
const POP_R11 = [0x41, 0x5b];
const POP_RCX = [0x59];
const SYSCALL = [0x0f, 0x05];
const RET = [0xc3];
const INT3 = 0xcc;

function movEax(number: number): number[] {
  return [0xb8, number & 0xff, (number >> 8) & 0xff, (number >> 16) & 0xff, (number >> 24) & 0xff];
}

/** The page's 4096 bytes for a PV guest whose words have so many bytes. */
export function hypercallPage(wordBytes: WordBytes = 8): Uint8Array {
  // What lies between entries is never executed by a correct guest; a breakpoint makes an incorrect one stop there.
  const page = new Uint8Array(HYPERCALL_PAGE_BYTES).fill(INT3);
  for (let number = 0; number < ENTRIES; number++) {
    // SYSCALL destroys rcx and r11; iret gets them and rax from the frame the guest has begun on its stack, and
    // does not come back.
    const code =
      number === HYPERVISOR_IRET
        ? [...PUSH_RCX, ...PUSH_R11, ...PUSH_RAX, ...movEax(number), ...SYSCALL]
        : [...PUSH_RCX, ...PUSH_R11, ...movEax(number), ...SYSCALL, ...POP_R11, ...POP_RCX, ...RET];
    page.set(wordBytes === 8 ? code : code32(number), number * HYPERCALL_ENTRY_BYTES);
  }
  return page;
}

/** arch-x86/xen-x86_32.h: `int $0x82` changes no register but eax; iret finds eax in its frame. */
function code32(number: number): number[] {
  return number === HYPERVISOR_IRET
    ? [...PUSH_EAX, ...movEax(number), ...INT_82]
    : [...movEax(number), ...INT_82, ...RET];
}
