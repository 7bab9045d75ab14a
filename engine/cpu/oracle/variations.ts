// Many start states for one case. Making a case costs far more than running it, so each is run from several states: the
// registers that nothing depends on get other nasty values, straight into the bytes of the state. The values come from
// pools that are renewed bit by bit as cases are made.

import type { Template } from "./case.ts";
import { CODE, DATA, STACK } from "./layout.ts";
import { nastyF80, nastyInteger, nastyVector, type Random } from "./random.ts";
import { ARITHMETIC_FLAGS, FX, FX_FTW, FX_MXCSR, FX_ST, FX_XMM, RFLAGS, STATE_BYTES } from "./state.ts";

const POOL = 2048;
/** Entries of each pool renewed for each case. */
const RENEWED = 4;
const ADDRESS_SHARE = 0.06;
const FTW_EMPTY = 0;
/** Words of 32 bits. */
const WORDS = STATE_BYTES / 4;
const XMM_WORD = (FX + FX_XMM) / 4;
const ST_WORD = (FX + FX_ST) / 4;
const MXCSR_WORD = (FX + FX_MXCSR) / 4;

export class Variations {
  readonly #r: Random;
  readonly #integers = new Uint32Array(2 * POOL);
  readonly #vectors = new Uint32Array(4 * POOL);
  readonly #extended = new Uint32Array(4 * POOL);
  #next = 0;

  constructor(random: Random) {
    this.#r = random;
    for (let i = 0; i < POOL; i++) this.#renew(i);
  }

  #renew(i: number): void {
    const r = this.#r;
    const integer = r.chance(ADDRESS_SHARE)
      ? BigInt(r.pick([CODE + 0x800, DATA + 0x800, STACK + 0x800]) + r.below(64))
      : nastyInteger(r);
    this.#integers[2 * i] = Number(integer & 0xffffffffn);
    this.#integers[2 * i + 1] = Number(integer >> 32n);
    nastyVector(r, new Uint8Array(this.#vectors.buffer, 16 * i, 16));
    nastyF80(r, new Uint8Array(this.#extended.buffer, 16 * i, 10));
  }

  /** Call once a case. */
  renew(): void {
    for (let i = 0; i < RENEWED; i++) {
      this.#renew(this.#next);
      this.#next = (this.#next + 1) % POOL;
    }
  }

  /** Writes a start state of the case to `into`, as STATE_BYTES / 4 words. */
  write(c: Template, into: Uint32Array): void {
    const r = this.#r;
    const { state, group, pinned } = c;
    into.set(new Uint32Array(state.bytes.buffer, state.bytes.byteOffset, WORDS));
    if (c.fixed) return;
    const gprs = c.mode === 64 ? 16 : 8;
    for (let i = 0; i < gprs; i++) {
      if ((pinned & (1 << i)) !== 0) continue;
      const at = 2 * r.below(POOL);
      into[2 * i] = this.#integers[at]!;
      into[2 * i + 1] = c.mode === 64 ? this.#integers[at + 1]! : 0;
    }
    into[RFLAGS / 4] = (into[RFLAGS / 4]! & ~ARITHMETIC_FLAGS) | (r.u32() & ARITHMETIC_FLAGS);
    if (group === "integer") return;
    for (let i = 0; i < gprs; i++) this.#copy(this.#vectors, 4, into, XMM_WORD + 4 * i);
    if (r.chance(0.3)) into[MXCSR_WORD] = (into[MXCSR_WORD]! & ~0x603f) | (r.u32() & 0x603f);
    if (group !== "x87" && group !== "mmx" && state.bytes[FX + FX_FTW] === FTW_EMPTY) return;
    for (let i = 0; i < 8; i++) {
      if (group === "x87") this.#copy(this.#extended, 3, into, ST_WORD + 4 * i);
      else this.#copy(this.#vectors, 2, into, ST_WORD + 4 * i);
    }
  }

  #copy(pool: Uint32Array, words: number, into: Uint32Array, to: number): void {
    const from = 4 * this.#r.below(POOL);
    for (let i = 0; i < words; i++) into[to + i] = pool[from + i]!;
  }
}
