/* HYPERVISOR_memory_op of an HVM guest (xen/include/public/memory.h). */

import type { PhysicalMemory } from "../../cpu/types.ts";
import { MAX_GRANT_FRAMES, PAGE_BYTES } from "../abi.ts";
import { GUEST_DOMID } from "../domain-builder.ts";
import { ERRNO } from "./errors.ts";
import { DOMID_SELF } from "./event-channels.ts";
import { GuestStructure } from "./guest-structure.ts";
import type { GuestVirtual } from "./guest-virtual.ts";
import type { PvhLayout } from "./layout.ts";
import type { SharedInfo } from "./shared-info.ts";
import { ADD_TO_PHYSMAP, MEMORY_MAP, REMOVE_FROM_PHYSMAP, RESERVATION } from "./structures.ts";

const XENMEM = {
  increase_reservation: 0,
  decrease_reservation: 1,
  maximum_ram_page: 2,
  current_reservation: 3,
  maximum_reservation: 4,
  populate_physmap: 6,
  add_to_physmap: 7,
  memory_map: 9,
  maximum_gpfn: 14,
  remove_from_physmap: 15,
} as const;
const XENMAPSPACE = { shared_info: 0, grant_table: 1 } as const;

const E820_ENTRY_BYTES = 20;
/** Most pages that one operation gives back or takes, so that it ends; Xen would make a continuation. */
const MAX_PAGES = 65536;
/** Always the same: an isolate gets the memory of buffers back late. */
const EMPTY_PAGE = new Uint8Array(PAGE_BYTES);
/** GTF_permit_access, in a version-1 entry. */
const PERMIT_ACCESS = 1;
/** GNTTAB_RESERVED_CONSOLE, GNTTAB_RESERVED_XENSTORE. */
const RESERVED_CONSOLE = 0;
const RESERVED_XENSTORE = 1;

export interface SavedMemoryOp {
  /** Where each grant frame is, as a page number. */
  readonly grantFrames: readonly number[];
  /** Pages the guest has given back. */
  readonly ballooned: readonly number[];
}

export class MemoryOp {
  readonly #memory: PhysicalMemory;
  readonly #guest: GuestVirtual;
  readonly #layout: Omit<PvhLayout, "startInfo" | "initrd">;
  readonly #shared: SharedInfo;
  readonly #grantFrames: number[];
  readonly #ballooned: Set<number>;
  /** Pages that the present hypercall, all entries of a multicall together, has given back or taken. */
  #pagesMoved = 0;

  constructor(
    memory: PhysicalMemory,
    guest: GuestVirtual,
    layout: Omit<PvhLayout, "startInfo" | "initrd">,
    shared: SharedInfo,
    saved?: SavedMemoryOp,
  ) {
    this.#memory = memory;
    this.#guest = guest;
    this.#layout = layout;
    this.#shared = shared;
    this.#ballooned = new Set(saved?.ballooned);
    this.#grantFrames = [...(saved?.grantFrames ?? [])];
    for (let i = this.#grantFrames.length; i < MAX_GRANT_FRAMES; i++)
      this.#grantFrames.push(layout.grantFrames + i);
  }

  /** The grant entries that a toolstack makes before the guest starts. */
  initialise(): void {
    const frame = this.#grantFrames[0]! * PAGE_BYTES;
    const grant = (reference: number, gfn: number): void => {
      this.#memory.writeU32(frame + reference * 8, PERMIT_ACCESS);
      this.#memory.writeU32(frame + reference * 8 + 4, gfn);
    };
    grant(RESERVED_CONSOLE, this.#layout.console);
    grant(RESERVED_XENSTORE, this.#layout.xenstore);
  }

  /** A hypercall begins, which may be a multicall. */
  begin(): void {
    this.#pagesMoved = 0;
  }

  /** It has moved so many pages that other entries of the multicall have to wait. */
  get hasDoneMuch(): boolean {
    return this.#pagesMoved >= MAX_PAGES;
  }

  operate(op: number, argument: bigint, wide: boolean): number {
    switch (op) {
      case XENMEM.maximum_ram_page:
      case XENMEM.maximum_gpfn:
        return this.#layout.machinePages - 1;
      case XENMEM.current_reservation:
      case XENMEM.maximum_reservation:
        return this.#reservation(op, argument);
      case XENMEM.decrease_reservation:
      case XENMEM.populate_physmap:
        return this.#changeReservation(op, argument, wide);
      case XENMEM.add_to_physmap:
        return this.#addToPhysmap(argument, wide);
      case XENMEM.remove_from_physmap:
        return this.#removeFromPhysmap(argument, wide);
      case XENMEM.memory_map:
        return this.#memoryMap(argument, wide);
      default:
        return ERRNO.NOSYS;
    }
  }

  save(): SavedMemoryOp {
    return { grantFrames: this.#grantFrames, ballooned: [...this.#ballooned].sort((a, b) => a - b) };
  }

  #reservation(op: number, argument: bigint): number {
    const bytes = this.#guest.read(argument, 2);
    if (bytes === undefined) return ERRNO.FAULT;
    const refused = refuseDomain(bytes[0]! | (bytes[1]! << 8));
    if (refused !== 0) return refused;
    return this.#layout.ramPages - (op === XENMEM.current_reservation ? this.#ballooned.size : 0);
  }

  /** Returns how many extents were done: none, and no error, if it is the request that is bad (Xen's do_memory_op). */
  #changeReservation(op: number, argument: bigint, wide: boolean): number {
    const request = GuestStructure.read(this.#guest, argument, wide, RESERVATION);
    if (request === undefined || refuseDomain(request.number("domid")) !== 0) return 0;
    const extents = request.number("nr_extents");
    const pages = 2 ** request.number("extent_order");
    const wordBytes = wide ? 8 : 4;
    for (let done = 0; done < extents; done++) {
      if ((done + 1) * pages > MAX_PAGES) return done;
      const at = request.get("extent_start") + BigInt(done * wordBytes);
      const word = this.#guest.read(at, wordBytes);
      if (word === undefined) return done;
      const view = new DataView(word.buffer, word.byteOffset);
      const gfn = Number(wide ? view.getBigUint64(0, true) : view.getUint32(0, true));
      if (gfn + pages > this.#layout.machinePages) return done;
      this.#pagesMoved += pages;
      for (let i = 0; i < pages; i++) {
        if (op === XENMEM.decrease_reservation) {
          if (gfn + i >= this.#layout.ramPages || this.#ballooned.has(gfn + i)) return done;
          this.#ballooned.add(gfn + i);
        } else if (!this.#ballooned.delete(gfn + i)) {
          return done;
        }
        this.#memory.write((gfn + i) * PAGE_BYTES, EMPTY_PAGE);
      }
    }
    return extents;
  }

  #addToPhysmap(argument: bigint, wide: boolean): number {
    const request = GuestStructure.read(this.#guest, argument, wide, ADD_TO_PHYSMAP);
    if (request === undefined) return ERRNO.FAULT;
    const refused = refuseDomain(request.number("domid"));
    if (refused !== 0) return refused;
    const gfn = request.number("gpfn");
    const index = request.number("idx");
    switch (request.number("space")) {
      case XENMAPSPACE.shared_info:
        if (index !== 0 || !this.#isPage(gfn)) return ERRNO.INVAL;
        if (this.#shared.page !== gfn * PAGE_BYTES) this.#shared.moveTo(gfn * PAGE_BYTES);
        return 0;
      case XENMAPSPACE.grant_table: {
        const old = this.#grantFrames[index];
        if (old === undefined || !this.#isPage(gfn)) return ERRNO.INVAL;
        if (old === gfn) return 0;
        this.#memory.write(gfn * PAGE_BYTES, this.#memory.read(old * PAGE_BYTES, PAGE_BYTES));
        this.#grantFrames[index] = gfn;
        return 0;
      }
      default:
        return ERRNO.NOSYS;
    }
  }

  /** What the hypervisor keeps goes back to where it was at first. */
  #removeFromPhysmap(argument: bigint, wide: boolean): number {
    const request = GuestStructure.read(this.#guest, argument, wide, REMOVE_FROM_PHYSMAP);
    if (request === undefined) return ERRNO.FAULT;
    const refused = refuseDomain(request.number("domid"));
    if (refused !== 0) return refused;
    const gfn = request.number("gpfn");
    const index = this.#grantFrames.indexOf(gfn);
    if (index >= 0) {
      const home = this.#layout.grantFrames + index;
      this.#memory.write(home * PAGE_BYTES, this.#memory.read(gfn * PAGE_BYTES, PAGE_BYTES));
      this.#grantFrames[index] = home;
      return 0;
    }
    if (this.#shared.page === gfn * PAGE_BYTES) {
      this.#shared.moveTo(this.#layout.sharedInfo * PAGE_BYTES);
      return 0;
    }
    return ERRNO.NOENT;
  }

  #memoryMap(argument: bigint, wide: boolean): number {
    const request = GuestStructure.read(this.#guest, argument, wide, MEMORY_MAP);
    if (request === undefined) return ERRNO.FAULT;
    const { memoryMap } = this.#layout;
    const entries = Math.min(request.number("nr_entries"), memoryMap.length);
    const bytes = new Uint8Array(entries * E820_ENTRY_BYTES);
    const view = new DataView(bytes.buffer);
    for (const [i, { address, size, type }] of memoryMap.slice(0, entries).entries()) {
      view.setBigUint64(i * E820_ENTRY_BYTES, BigInt(address), true);
      view.setBigUint64(i * E820_ENTRY_BYTES + 8, BigInt(size), true);
      view.setUint32(i * E820_ENTRY_BYTES + 16, type, true);
    }
    request.set("nr_entries", BigInt(entries));
    return this.#guest.write(request.get("buffer"), bytes) && request.write(this.#guest) ? 0 : ERRNO.FAULT;
  }

  #isPage(gfn: number): boolean {
    return gfn < this.#layout.machinePages;
  }
}

/** A guest may name itself only. */
export function refuseDomain(domid: number): number {
  if (domid === DOMID_SELF || domid === GUEST_DOMID) return 0;
  return domid === 0 ? ERRNO.PERM : ERRNO.SRCH;
}
