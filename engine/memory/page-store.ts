/**
 * Where guest-physical pages live when they are not in a frame of the core's linear memory.
 *
 * A store is synchronous, because the core touches memory in the middle of an instruction. An all-zero page is stored
 * as nothing: `read` answers false and the frame is zero-filled by the caller.
 *
 * Cold pages are written whenever the pool of frames is full, not only when a checkpoint is taken. A store that has to go
 * back to its last checkpoint keeps the two apart.
 */
export interface PageStore {
  /** Copies page `gfn` (4096 bytes) into `into`; false if the store has no such page, that is, it is all zero. */
  read(gfn: number, into: Uint8Array): boolean;
  /** Stores a copy of the 4096 bytes of page `gfn`. The view is only valid during the call. */
  write(gfn: number, page: Uint8Array): void;
}

/** A page store in a Map, for tests and for runs that are never checkpointed. */
export class MapPageStore implements PageStore {
  readonly #pages = new Map<number, Uint8Array>();

  read(gfn: number, into: Uint8Array): boolean {
    const page = this.#pages.get(gfn);
    if (page === undefined) return false;
    into.set(page);
    return true;
  }

  write(gfn: number, page: Uint8Array): void {
    this.#pages.set(gfn, page.slice());
  }
}
