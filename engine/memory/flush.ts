import type { PhysicalMemory } from "../cpu/types.ts";
import type { PageStore } from "./page-store.ts";

/** Writes every page that differs from the store into it: what a checkpoint begins with. Returns how many there were. */
export function flushDirtyPages(memory: PhysicalMemory, store: PageStore): number {
  const dirty = memory.dirtyPages();
  for (const gfn of dirty) store.write(gfn, memory.page(gfn));
  memory.clearDirty();
  return dirty.length;
}
