import {
  IMAGE_BASE,
  IMAGE_END,
  LOOPS,
  MEMORY_BYTES,
  PAGE_BYTES,
  PAGE_TABLES,
  PARAMETERS,
  SOURCE_BUFFER,
  STACK_TOP,
} from "./layout.ts";
import { bufferContents, type Loop } from "./loops.ts";

/** Page-table entry bits (SDM vol. 3A 4.5). */
const PRESENT_WRITABLE = 0x3n;
const ENTRIES = 512;

/** Fields of the stub's parameter block, each a quadword, in the order of stub.S. */
function parameters(loop: Loop, calls: number): bigint[] {
  const { rdi, rsi, rdx, rcx } = loop.registers;
  return [PAGE_TABLES, STACK_TOP, LOOPS + loop.body, calls, rdi, rsi, rdx, rcx].map(BigInt);
}

/** Maps all of the guest's memory one to one with 4 KiB pages, as an operating system would have its memory mapped. */
function writePageTables(view: DataView): void {
  const put = (table: number, index: number, target: number): void =>
    view.setBigUint64(table - IMAGE_BASE + index * 8, BigInt(target) | PRESENT_WRITABLE, true);
  const [l4, l3, l2, firstL1] = [0, 1, 2, 3].map((level) => PAGE_TABLES + level * PAGE_BYTES) as [
    number,
    number,
    number,
    number,
  ];
  put(l4, 0, l3);
  put(l3, 0, l2);
  for (let page = 0; page < MEMORY_BYTES / PAGE_BYTES; page++) {
    const l1 = firstL1 + Math.floor(page / ENTRIES) * PAGE_BYTES;
    if (page % ENTRIES === 0) put(l2, page / ENTRIES, l1);
    put(l1, page % ENTRIES, page * PAGE_BYTES);
  }
}

/**
 * The bytes of guest-physical memory from IMAGE_BASE to IMAGE_END: page tables (CR3 is PAGE_TABLES), loops, the buffer
 * that crc and copy read, and the parameter block that only the stub needs.
 *
 * @param loopsBinary loops.bin
 * @param calls how often the stub calls the loop
 */
export function buildImage(loopsBinary: Uint8Array, loop: Loop, calls: number): Uint8Array {
  const image = new Uint8Array(IMAGE_END - IMAGE_BASE);
  const view = new DataView(image.buffer);
  parameters(loop, calls).forEach((value, index) => {
    view.setBigUint64(PARAMETERS - IMAGE_BASE + index * 8, value, true);
  });
  writePageTables(view);
  image.set(loopsBinary, LOOPS - IMAGE_BASE);
  image.set(bufferContents(), SOURCE_BUFFER - IMAGE_BASE);
  return image;
}
