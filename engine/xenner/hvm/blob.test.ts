/*
 * The code in the hypercall pages is told where shared_info is mapped, which takes a search through the guest's page tables.
 * A guest that moves it all the time, for a few instructions a time, must not be able to have it searched for each time.
 */
import { expect, test } from "vitest";
import { ArrayMemory } from "../testing/memory.ts";
import { Blob } from "./blob.ts";
import { SLOTS } from "./blob-layout.ts";
import { GuestVirtual } from "./guest-virtual.ts";
import { CODE64 } from "./hypercall-page.ts";
import { SharedInfo } from "./shared-info.ts";

const PAGE = 4096;
const CODE_PAGE = 5 * PAGE;

test("shared_info is found again when it has moved, but not as often as a guest likes", () => {
  const memory = new ArrayMemory(16);
  const processor = {
    getControl: () => 0n,
    getRegister: () => BigInt(CODE_PAGE + CODE64.left),
    setRegister: () => {},
    interceptExceptions: () => {},
    privilege: 0,
    isIn64BitCode: true,
    codeBase: 0n,
    stackBase: 0n,
  };
  const start = { page: 8 * PAGE, vcpuInfo: null, wide: true, hasTail: false, isTwoLevel: true };
  const shared = new SharedInfo(memory, start, { magic: 1, lastPage: 15 });
  const guest = new GuestVirtual(memory, processor);
  let blob = new Blob(memory, guest, processor, shared);
  expect(blob.install(BigInt(CODE_PAGE + 1))).toBe(true);
  let found = 0;
  for (let i = 0; i < 2000; i++) {
    if (i > 0) shared.moveTo((8 + (i % 2)) * PAGE);
    // A guest may be saved and go on at any time.
    if (i % 10 === 0) blob = new Blob(memory, guest, processor, shared, structuredClone(blob.save()));
    blob.calledByPort();
    if (memory.readU64(CODE_PAGE + SLOTS) === BigInt(shared.page)) found++;
    else expect(i).toBeGreaterThan(20);
  }
  expect(found).toBeLessThan(100);
});
