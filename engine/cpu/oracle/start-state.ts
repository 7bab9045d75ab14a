// The states that generated cases start from.

import { defaultState } from "./case.ts";
import { CODE, DATA, STACK } from "./layout.ts";
import type { Group } from "./offered.ts";
import { nastyF80, nastyInteger, nastyVector, type Random } from "./random.ts";
import { ARITHMETIC_FLAGS, FLAG, type State } from "./state.ts";

/** A state of nasty values that suits an instruction of this group. */
export function startState(r: Random, mode: 32 | 64, group: Group): State {
  const s = defaultState(mode);
  for (let i = 0; i < (mode === 64 ? 16 : 8); i++) {
    const v = r.chance(0.06)
      ? BigInt(r.pick([CODE + 0x800, DATA + 0x800, STACK + 0x800]) + r.below(64))
      : nastyInteger(r);
    s.setGpr(i, mode === 64 ? v : v & 0xffffffffn);
  }
  let flags = 0x202 | (r.u32() & ARITHMETIC_FLAGS);
  if (r.chance(0.2)) flags |= FLAG.DF;
  s.rflags = flags;
  if (mode === 64) {
    if (r.chance(0.3))
      s.u64[18] = r.pick([0x1000n, 0x10n, BigInt(DATA), 0xffff_ffff_ffff_f000n, 0x7fff_ffff_f000n]);
    if (r.chance(0.3))
      s.u64[19] = r.pick([0x2000n, 0x20n, BigInt(DATA), 0xffff_ffff_ffff_0000n, 0x7fff_ffff_e000n]);
  }
  if (group !== "integer") floatState(r, mode, s, group);
  return s;
}

function floatState(r: Random, mode: 32 | 64, s: State, group: Group): void {
  for (let i = 0; i < (mode === 64 ? 16 : 8); i++) nastyVector(r, s.xmm(i));
  if (r.chance(0.5)) {
    const masks = r.chance(0.85) ? 0x1f80 : r.below(64) << 7;
    s.mxcsr =
      masks |
      (r.below(4) << 13) |
      (r.chance(0.2) ? 0x8000 : 0) |
      (r.chance(0.2) ? 0x40 : 0) |
      (r.chance(0.3) ? r.below(64) : 0);
  }
  if (group !== "x87" && group !== "mmx" && group !== "fxsr" && !r.chance(0.5)) return;
  for (let i = 0; i < 8; i++) {
    if (group === "x87" || r.chance(0.2)) nastyF80(r, s.st(i));
    else {
      nastyVector(
        r,
        s.st(i).length === 10 ? new Uint8Array(s.st(i).buffer, s.st(i).byteOffset, 16) : s.st(i),
      );
      s.st(i).set([0xff, 0xff], 8);
      s.bytes.fill(
        0,
        s.st(i).byteOffset - s.bytes.byteOffset + 10,
        s.st(i).byteOffset - s.bytes.byteOffset + 16,
      );
    }
  }
  s.ftw = r.chance(0.7) ? 0xff : r.chance(0.3) ? 0 : r.below(256);
  const masks = r.chance(0.8) ? 0x3f : r.below(64);
  s.fcw = 0x40 | masks | (r.pick([0, 2, 3, 3, 3]) << 8) | ((r.chance(0.4) ? r.below(4) : 0) << 10);
  let fsw = (r.below(8) << 11) | (r.chance(0.3) ? r.below(8) << 8 : 0) | (r.chance(0.1) ? 0x4000 : 0);
  if (r.chance(0.2)) fsw |= r.below(128);
  // ES and B say whether an unmasked exception is pending (SDM vol. 1 8.1.3.3).
  if ((fsw & ~masks & 0x3f) !== 0) fsw |= 0x8080;
  s.fsw = fsw;
}
