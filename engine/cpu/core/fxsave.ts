// FXSAVE, FXRSTOR, LDMXCSR, STMXCSR (0F AE /0-/3). Image: SDM vol. 1 table 10-2.
import { FCW, FDP, FIP, FOP, FPR, FSW, FTW, MODE, MODE_64, MXCSR, XMM } from "./layout";
import { GP, raise } from "./exception";
import { opReg, raiseMisaligned, rexW, storeSized } from "./vector-operand";
import { isAligned, readable, writable, writeDone } from "./mmu";
import { updateSummary } from "./x87-state";

/** Bits of MXCSR that exist: flags, DAZ, masks, rounding control, FTZ. The others are #GP when set. */
export const MXCSR_MASK: u32 = 0xffff;
const FXSAVE_BYTES: i32 = 512;

/** XMM8-15 are neither saved nor loaded outside 64-bit mode (SDM vol. 2A, FXSAVE). */
function savedXmm(): usize {
  return load<u32>(MODE) == MODE_64 ? 16 : 8;
}

function fxsave(op: usize, ea: u64): i32 {
  if (ea & 15) return isAligned(ea, 4) ? raiseMisaligned(ea) : 0; // #AC for less than 4, as on silicon
  // The end is touched first, which shows in the fault when two pages have different reasons to refuse.
  if (!writable(ea + FXSAVE_BYTES - 1, 1)) return 0;
  // The reserved tail (464-511) belongs to software and keeps what it has.
  const p = writable(ea, FXSAVE_BYTES);
  if (!p) return 0;
  store<u16>(p, load<u16>(FCW));
  store<u16>(p, load<u16>(FSW), 2);
  store<u16>(p, <u16>load<u8>(FTW), 4);
  store<u16>(p, load<u16>(FOP) & 0x7ff, 6);
  if (rexW(op)) {
    store<u64>(p, load<u64>(FIP), 8);
    store<u64>(p, load<u64>(FDP), 16);
  } else {
    // 32-bit offsets; the selectors are zero, as on processors that deprecate FCS and FDS.
    store<u64>(p, <u64>load<u32>(FIP), 8);
    store<u64>(p, <u64>load<u32>(FDP), 16);
  }
  store<u32>(p, load<u32>(MXCSR), 24);
  store<u32>(p, MXCSR_MASK, 28);
  const top = (load<u16>(FSW) >> 11) & 7;
  for (let i: u32 = 0; i < 8; i++) {
    const from = FPR + (<usize>((top + i) & 7) << 4);
    const to = p + 32 + (<usize>i << 4);
    store<u64>(to, load<u64>(from));
    store<u64>(to, <u64>load<u16>(from, 8), 8);
  }
  for (let i: usize = 0; i < savedXmm(); i++) {
    v128.store(p + 160 + (i << 4), v128.load(XMM + (i << 5)));
  }
  writeDone(p);
  return 1;
}

function fxrstor(op: usize, ea: u64): i32 {
  if (ea & 15) return isAligned(ea, 4) ? raiseMisaligned(ea) : 0; // #AC for less than 4, as on silicon
  if (!readable(ea + FXSAVE_BYTES - 1, 1)) return 0;
  const p = readable(ea, FXSAVE_BYTES);
  if (!p) return 0;
  const mxcsr = load<u32>(p, 24);
  if (mxcsr & ~MXCSR_MASK) return raise(GP, 0);
  store<u32>(MXCSR, mxcsr);
  store<u16>(FCW, (load<u16>(p) & 0x1f7f) | 0x40);
  const fsw = load<u16>(p, 2);
  store<u16>(FSW, fsw);
  store<u8>(FTW, load<u8>(p, 4));
  store<u16>(FOP, load<u16>(p, 6) & 0x7ff);
  store<u64>(FIP, rexW(op) ? load<u64>(p, 8) : <u64>load<u32>(p, 8));
  store<u64>(FDP, rexW(op) ? load<u64>(p, 16) : <u64>load<u32>(p, 16));
  const top = (fsw >> 11) & 7;
  for (let i: u32 = 0; i < 8; i++) {
    const from = p + 32 + (<usize>i << 4);
    const to = FPR + (<usize>((top + i) & 7) << 4);
    store<u64>(to, load<u64>(from));
    store<u16>(to, load<u16>(from, 8), 8);
  }
  for (let i: usize = 0; i < savedXmm(); i++) {
    v128.store(XMM + (i << 5), v128.load(p + 160 + (i << 4)));
  }
  updateSummary();
  return 1;
}

/** 0F AE memory forms; see `execVector`. */
export function execStateImage(op: usize, ea: u64): i32 {
  switch (opReg(op) & 7) {
    case 0: return fxsave(op, ea);
    case 1: return fxrstor(op, ea);
    case 2: {
      const p = readable(ea, 4);
      if (!p) return 0;
      const value = load<u32>(p);
      if (value & ~MXCSR_MASK) return raise(GP, 0);
      store<u32>(MXCSR, value);
      return 1;
    }
    default: return storeSized(ea, <u64>load<u32>(MXCSR), 4);
  }
}
