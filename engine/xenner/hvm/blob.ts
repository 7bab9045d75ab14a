/*
 * The host's side of the hypercall pages: what the guest's writes to the MSR load, where calls that cannot be served inside
 * continue, and the few bytes of the code page that tell it where shared_info is mapped.
 *
 * Pages belong to the guest once they are loaded: it may use their memory for something else and say nothing. So a page is
 * known by its contents when the guest runs in it, and written to only then.
 */

import type { PhysicalMemory } from "../../cpu/types.ts";
import { PAGE_BYTES } from "../abi.ts";
import { SLOTS } from "./blob-layout.ts";
import { HYPERCALL_PAGES } from "./cpuid.ts";
import type { GuestVirtual, PagingSource } from "./guest-virtual.ts";
import {
  CODE_BYTES,
  CODE32,
  CODE64,
  codePage,
  ENTRY_BYTES,
  ENTRY_OUT_OFFSET,
  entriesWithCode,
  HYPERCALL_PORT,
  hvmHypercallPage,
  OUT_BYTES,
} from "./hypercall-page.ts";
import { findMapping } from "./reverse-lookup.ts";
import type { SharedInfo } from "./shared-info.ts";

/** What of the processor is needed: a part of engine/cpu's Cpu. */
export interface PageProcessor extends PagingSource {
  getRegister(name: Scratch | "rax" | "rip" | "rsp"): bigint;
  setRegister(name: Scratch | "rip" | "rsp", value: bigint): void;
  readonly privilege: number;
  readonly isIn64BitCode: boolean;
  /** Bases of CS and SS, zero in 64-bit code. */
  readonly codeBase: bigint;
  readonly stackBase: bigint;
  interceptExceptions(vectors: number): void;
}

/** Registers that the code has pushed, the last one first. */
const SCRATCH64 = ["r11", "rcx"] as const;
const SCRATCH32 = ["rdi", "rsi"] as const;
type Scratch = (typeof SCRATCH64)[number] | (typeof SCRATCH32)[number];

const GP = 13;
const PF = 14;
const IN_PAGE = 0xfffn;

export interface SavedBlob {
  /** Pages that entry points and code were loaded into, as page numbers: the last few. */
  readonly entries: readonly number[];
  readonly code: readonly number[];
  /** Calls that left because the code did not know where shared_info is, since the last time that it was found. */
  readonly misses: number;
  /** How often it was found. */
  readonly finds: number;
}

const CODE = codePage();
/** Loaded pages that are remembered; a guest has one pair of them. */
const MAX_PAGES = 16;
/**
 * Times that shared_info may be found at another address before the searches become rarer and rarer, as if it were not: each
 * looks through all page tables, and costs a guest that moves it about nothing.
 */
const MAX_FINDS = 64;

export class Blob {
  readonly #memory: PhysicalMemory;
  readonly #guest: GuestVirtual;
  readonly #processor: PageProcessor;
  readonly #shared: SharedInfo;
  #entries: readonly number[];
  #code: readonly number[];
  #misses: number;
  #finds: number;

  constructor(
    memory: PhysicalMemory,
    guest: GuestVirtual,
    processor: PageProcessor,
    shared: SharedInfo,
    saved?: SavedBlob,
  ) {
    this.#memory = memory;
    this.#guest = guest;
    this.#processor = processor;
    this.#shared = shared;
    this.#entries = saved?.entries ?? [];
    this.#code = saved?.code ?? [];
    this.#misses = saved?.misses ?? 0;
    this.#finds = saved?.finds ?? 0;
  }

  save(): SavedBlob {
    return { entries: this.#entries, code: this.#code, misses: this.#misses, finds: this.#finds };
  }

  /** WRMSR: the physical address of a page, the index of the hypercall page in its low bits. False is #GP. */
  install(value: bigint): boolean {
    const index = Number(value & IN_PAGE);
    const gfn = Number(value >> 12n);
    if (index >= HYPERCALL_PAGES || gfn * PAGE_BYTES >= this.#memory.bytes) return false;
    if (index === 0) {
      this.#load(gfn, this.#holds(gfn + 1, this.#code, CODE) ? entriesWithCode() : hvmHypercallPage());
      this.#entries = remember(this.#entries, gfn);
    } else {
      this.#load(gfn, CODE);
      this.#code = remember(this.#code, gfn);
      this.#shared.openTail();
      if (this.#holds(gfn - 1, this.#entries, hvmHypercallPage())) this.#load(gfn - 1, entriesWithCode());
    }
    // #GP: a call from user mode. #PF besides: the code met a bad pointer.
    this.#processor.interceptExceptions((1 << GP) | (this.#code.length > 0 ? 1 << PF : 0));
    return true;
  }

  /**
   * The guest left by HYPERCALL_PORT. If it came from the code page, which has no valid notion of where shared_info is, it is
   * told now. The search is made at the first such call, the second, the fourth …, as there may be no mapping at all.
   */
  calledByPort(): void {
    const rip = this.#processor.getRegister("rip");
    const { left } = this.#processor.isIn64BitCode ? CODE64 : CODE32;
    if (this.#code.length === 0 || Number(rip & IN_PAGE) !== left) return;
    const page = this.#codePageAt(rip);
    if (page === undefined) return;
    this.#shared.repairTail();
    const { magic, page: shared } = this.#shared;
    const known = this.#memory.readU64(page + SLOTS);
    if (known !== 0n && this.#memory.readU32(page + SLOTS + 8) === magic) {
      // As a write, which is what the code does with it; first as a read, which leaves no mark on another's page.
      const isThere = this.#guest.translate(known, false) === shared;
      if (isThere && this.#guest.translate(known, true) === shared) return;
    }
    this.#misses++;
    const isTime = (this.#misses & (this.#misses - 1)) === 0;
    const found = isTime ? findMapping(this.#memory, this.#processor, shared) : undefined;
    if (found !== undefined && ++this.#finds <= MAX_FINDS) this.#misses = 0;
    if (found === undefined && known === 0n) return;
    this.#memory.writeU64(page + SLOTS, found ?? 0n);
    this.#memory.writeU32(page + SLOTS + 8, found === undefined ? 0 : magic);
  }

  /**
   * An exception is about to be delivered. If it is one of the hypercall pages', the processor is put behind their OUT, as if
   * the call had left by it, and true is returned: the call has to be served.
   */
  takeFault(vector: number): boolean {
    const { privilege } = this.#processor;
    if (vector === GP && privilege !== 0) return this.#takeForbiddenOut();
    if (privilege !== 0 || this.#code.length === 0) return false;
    const processor = this.#processor;
    const wide = processor.isIn64BitCode;
    const { body, bodyEnd, left } = wide ? CODE64 : CODE32;
    const rip = processor.getRegister("rip");
    const offset = Number(rip & IN_PAGE);
    if (offset < body || offset >= bodyEnd || this.#codePageAt(rip) === undefined) return false;
    const bytes = wide ? 8 : 4;
    const rsp = processor.getRegister("rsp");
    const saved = this.#guest.read(processor.stackBase + rsp, 2 * bytes);
    if (saved === undefined) return false;
    const view = new DataView(saved.buffer, saved.byteOffset);
    for (const [i, name] of (wide ? SCRATCH64 : SCRATCH32).entries())
      processor.setRegister(
        name,
        wide ? view.getBigUint64(i * 8, true) : BigInt(view.getUint32(i * 4, true)),
      );
    processor.setRegister("rsp", rsp + BigInt(2 * bytes));
    processor.setRegister("rip", (rip & ~IN_PAGE) | BigInt(left));
    return true;
  }

  /** A user-mode call of an entry point: ports are the kernel's, so its OUT is #GP. */
  #takeForbiddenOut(): boolean {
    const processor = this.#processor;
    const rip = processor.getRegister("rip");
    const offset = Number(rip & IN_PAGE);
    const { left } = processor.isIn64BitCode ? CODE64 : CODE32;
    const number = Math.floor(offset / ENTRY_BYTES);
    const isEntry =
      offset % ENTRY_BYTES === ENTRY_OUT_OFFSET &&
      this.#matches(rip - BigInt(ENTRY_OUT_OFFSET), [0xb8, number, 0, 0, 0, 0xe7, HYPERCALL_PORT, 0xc3]);
    if (!isEntry && (offset !== left - OUT_BYTES || this.#codePageAt(rip) === undefined)) return false;
    processor.setRegister("rip", rip + BigInt(OUT_BYTES));
    return true;
  }

  /** The physical address of the page that RIP is in, if it is a code page as it was loaded. */
  #codePageAt(rip: bigint): number | undefined {
    const physical = this.#guest.translate((this.#processor.codeBase + rip) & ~IN_PAGE, false);
    if (physical === undefined || !this.#code.includes(physical / PAGE_BYTES)) return undefined;
    return startsWith(this.#memory.read(physical, PAGE_BYTES), CODE, CODE_BYTES) ? physical : undefined;
  }

  #matches(rip: bigint, bytes: readonly number[]): boolean {
    const found = this.#guest.read(this.#processor.codeBase + rip, bytes.length);
    return found !== undefined && bytes.every((byte, i) => found[i] === byte);
  }

  #load(gfn: number, page: Uint8Array): void {
    this.#memory.write(gfn * PAGE_BYTES, page);
  }

  /** The page is one of those, and still has what was loaded. */
  #holds(gfn: number, pages: readonly number[], contents: Uint8Array): boolean {
    if (!pages.includes(gfn)) return false;
    return startsWith(this.#memory.read(gfn * PAGE_BYTES, PAGE_BYTES), contents, CODE_BYTES);
  }
}

function remember(pages: readonly number[], gfn: number): readonly number[] {
  return [...pages.filter((page) => page !== gfn), gfn].slice(-MAX_PAGES);
}

function startsWith(bytes: Uint8Array, wanted: Uint8Array, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[i] !== wanted[i]) return false;
  return true;
}
