import type { CpuApi } from "../cpu/types.ts";
import { checksum, checksumBytes, isZero, mixWord } from "./checksum.ts";

const PAGE_BYTES = 4096;
/** Seeds of the two halves. */
const HALVES = [0x1b873593, 0x6c8e9cf5] as const;

/**
 * A hash of a machine: the processor, the pages that are not zero, and `devices`. 16 hexadecimal digits, the same
 * wherever the pages are. Reads all of memory, resident or not, and changes nothing.
 */
export function stateHash(cpu: CpuApi, devices: Uint8Array): string {
  const page = new Uint8Array(PAGE_BYTES);
  const words = new Uint32Array(page.buffer);
  const state = cpu.architecturalState();
  const halves = HALVES.map((seed) =>
    mixWord(mixWord(checksumBytes(state, seed), checksumBytes(devices, seed)), cpu.idleTicks % 2 ** 32),
  );
  for (let gfn = 0; gfn * PAGE_BYTES < cpu.memory.bytes; gfn++) {
    if (!cpu.memory.copyPage(gfn, page) || isZero(words)) continue;
    for (const [i, seed] of HALVES.entries()) {
      halves[i] = mixWord(mixWord(halves[i]!, gfn), checksum(words, seed));
    }
  }
  return halves.map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}
