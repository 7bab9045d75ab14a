// The hot loop: one switch over micro-ops.
//
// A case that finishes an op advances p and continues. A case that breaks leaves the switch: with `why` untouched an
// exception is pending at p; otherwise `why` says what to do. `ic` counts down to LIMIT: it is charged at terminators, so
// inside a block the exact count is LIMIT - ic + the side table's index.

import { add, and, dec, ea, eaBD, eaBDOf, eaOf, eaUnscaled, get, hostR, hostW, imm, inc, or, set, slotA, slotB, slotC, sub, wrote, xor } from "./access";
import { arenaEpoch, dropBlock, jumpEntry, lookup, sideIndex, sideRip } from "./blocks";
import { GP, NM, SS, UD, leavesRun, raise, raiseNoError } from "./exception";
import { condition, getCF, getSF, getZF } from "./flags";
import { addressOf, execGeneric } from "./generic";
import { deliverPending } from "./interrupt";
import {
  CR0, CR4, CURRENT_OP, EXC_VECTOR, FAULT_SS, INSTRUCTIONS, LIMIT, MODE, MODE_64, REGS, RIP, SLOT_CS, TAG_HIGH, X87_RIP,
} from "./layout";
import { CR0_EM, CR0_MP, CR0_TS, fetchPage, isAligned, isCanonical } from "./mmu";
import { Op } from "./ops";
import { segmentAddress } from "./segment";
import { taskSwitched } from "./task";
import { bitTest, imul32, imul64, rol, ror, sar, shl, shr } from "./shifts";
import { STRING_AGAIN, STRING_DONE, STRING_FAULT, execString } from "./string";
import { EXIT_EXCEPTION, EXIT_SHUTDOWN, R_FAULT, R_GO, execRare, setExitReason } from "./system";
import { execVector } from "./vector";
import { VECTOR_CLASS_FXSAVE, VECTOR_CLASS_MMX, VECTOR_CLASS_SHIFT, VECTOR_UNCHECKED } from "./vector-decode";
import { execX87, x87Wait } from "./x87";

/** Blocks have at most this many instructions: with fewer left, the caller decodes exactly as many as are. */
export const FAST_LIMIT: i64 = 64;
/** Instructions a long repeat is charged each time it lets the host look in. */
const STRING_CHARGE: i64 = 65536;
/** Exceptions delivered without one instruction retired in between: beyond this the guest is in shutdown. */
const MAX_DELIVERIES: i32 = 65536;

const RSP_SLOT: usize = 32;
const CR4_OSFXSR: u32 = 0x200;

const WHY_FAULT: i32 = 0;
/** Leave the interpreter; the next RIP is that of the op at p. */
const WHY_LEAVE: i32 = 1;
/** Go on at RIP. */
const WHY_JUMP: i32 = 2;

/** May the vector instruction class run? (SDM vol. 3A 13.1; classes as in vector-decode.ts) */
function vectorOp(p: usize): i32 {
  const cr0 = load<u32>(CR0);
  const cls = <i32>load<u8>(p, 7);
  if (cls & (VECTOR_UNCHECKED >> VECTOR_CLASS_SHIFT)) {
    // MOVNTI: an integer store.
  } else if (cls != VECTOR_CLASS_FXSAVE) {
    if (cr0 & <u32>CR0_EM || (cls != VECTOR_CLASS_MMX && !(load<u32>(CR4) & CR4_OSFXSR))) return raiseNoError(UD);
    if (cr0 & <u32>CR0_TS) return raiseNoError(NM);
  } else if (cr0 & <u32>(CR0_EM | CR0_TS)) return raiseNoError(NM);
  return execVector(load<i32>(p, 8), p, load<u8>(p, 4) ? addressOf(p + 16) : 0);
}

function x87Op(p: usize): i32 {
  const cr0 = load<u32>(CR0);
  if (load<u8>(p, 2) == 0x9b) return (cr0 & <u32>(CR0_MP | CR0_TS)) == <u32>(CR0_MP | CR0_TS) ? raiseNoError(NM) : x87Wait();
  if (cr0 & <u32>(CR0_EM | CR0_TS)) return raiseNoError(NM);
  store<u64>(X87_RIP, sideRip(p));
  return execX87(p, load<u8>(p, 4) ? addressOf(p + 16) : 0);
}

/** CHECK_PAGE: 1 if the next page is still the one decoded from, 0 with an exception pending, -1 if the block is no good. */
function straddleCheck(p: usize): i32 {
  const rip = sideRip(p);
  const linear = load<u32>(MODE) == MODE_64 ? rip : (rip + load<u64>(REGS + SLOT_CS * 8)) & 0xffffffff;
  const page = fetchPage((linear & ~0xfff) + 0x1000);
  if (page < 0) return 0;
  if (<i32>page == load<i32>(p, 8)) return 1;
  dropBlock(p);
  return -1;
}

/** Finds the block at RIP, delivering what is pending first. 0: leave; the exit reason is set, or the task was switched. */
export function resume(): usize {
  for (let n = 0; n < MAX_DELIVERIES; n++) {
    if (load<i32>(EXC_VECTOR) >= 0) {
      if (leavesRun()) {
        setExitReason(EXIT_EXCEPTION);
        return 0;
      }
      if (!deliverPending(-1)) break;
      if (taskSwitched) return 0;
    }
    const p = lookup(load<u64>(RIP));
    if (p) return p;
  }
  setExitReason(EXIT_SHUTDOWN);
  return 0;
}

/** The exception pending at op p: RIP and the kind of a non-canonical access. */
function settleFault(p: usize): void {
  store<u64>(RIP, sideRip(p));
  if (load<u32>(FAULT_SS)) {
    const code = load<u16>(p);
    // The operand's s is in the second half of double ops.
    const double = (code >= <u16>Op.GEN && code <= <u16>Op.X87) || code == <u16>Op.RARE;
    const s = double ? load<u8>(p, 21) : load<u8>(p, 5);
    if (s & 0x80) raise(SS, 0);
    store<u32>(FAULT_SS, 0);
  }
}

/**
 * Runs from the block at `p` until `ic` instructions are nearly used up, or something else wants the caller. On return RIP
 * and INSTRUCTIONS are exact. LIMIT must be INSTRUCTIONS + ic.
 */
export function interpret(p: usize, ic: i64): void {
  let why: i32 = WHY_FAULT;
  for (;;) {
    switch (<i32>load<u16>(p)) {
      // --- group A: register arithmetic ---
      case Op.ADD32_RR: { set<u32>(slotA(p), add<u32>(get<u32>(slotC(p)), get<u32>(slotB(p)), true)); p += 16; continue; }
      case Op.ADD32_RR_N: { set<u32>(slotA(p), add<u32>(get<u32>(slotC(p)), get<u32>(slotB(p)), false)); p += 16; continue; }
      case Op.OR32_RR: { set<u32>(slotA(p), or<u32>(get<u32>(slotC(p)), get<u32>(slotB(p)), true)); p += 16; continue; }
      case Op.OR32_RR_N: { set<u32>(slotA(p), or<u32>(get<u32>(slotC(p)), get<u32>(slotB(p)), false)); p += 16; continue; }
      case Op.AND32_RR: { set<u32>(slotA(p), and<u32>(get<u32>(slotC(p)), get<u32>(slotB(p)), true)); p += 16; continue; }
      case Op.AND32_RR_N: { set<u32>(slotA(p), and<u32>(get<u32>(slotC(p)), get<u32>(slotB(p)), false)); p += 16; continue; }
      case Op.SUB32_RR: { set<u32>(slotA(p), sub<u32>(get<u32>(slotC(p)), get<u32>(slotB(p)), true)); p += 16; continue; }
      case Op.SUB32_RR_N: { set<u32>(slotA(p), sub<u32>(get<u32>(slotC(p)), get<u32>(slotB(p)), false)); p += 16; continue; }
      case Op.XOR32_RR: { set<u32>(slotA(p), xor<u32>(get<u32>(slotC(p)), get<u32>(slotB(p)), true)); p += 16; continue; }
      case Op.XOR32_RR_N: { set<u32>(slotA(p), xor<u32>(get<u32>(slotC(p)), get<u32>(slotB(p)), false)); p += 16; continue; }
      case Op.ADD64_RR: { set<u64>(slotA(p), add<u64>(get<u64>(slotC(p)), get<u64>(slotB(p)), true)); p += 16; continue; }
      case Op.ADD64_RR_N: { set<u64>(slotA(p), add<u64>(get<u64>(slotC(p)), get<u64>(slotB(p)), false)); p += 16; continue; }
      case Op.OR64_RR: { set<u64>(slotA(p), or<u64>(get<u64>(slotC(p)), get<u64>(slotB(p)), true)); p += 16; continue; }
      case Op.OR64_RR_N: { set<u64>(slotA(p), or<u64>(get<u64>(slotC(p)), get<u64>(slotB(p)), false)); p += 16; continue; }
      case Op.AND64_RR: { set<u64>(slotA(p), and<u64>(get<u64>(slotC(p)), get<u64>(slotB(p)), true)); p += 16; continue; }
      case Op.AND64_RR_N: { set<u64>(slotA(p), and<u64>(get<u64>(slotC(p)), get<u64>(slotB(p)), false)); p += 16; continue; }
      case Op.SUB64_RR: { set<u64>(slotA(p), sub<u64>(get<u64>(slotC(p)), get<u64>(slotB(p)), true)); p += 16; continue; }
      case Op.SUB64_RR_N: { set<u64>(slotA(p), sub<u64>(get<u64>(slotC(p)), get<u64>(slotB(p)), false)); p += 16; continue; }
      case Op.XOR64_RR: { set<u64>(slotA(p), xor<u64>(get<u64>(slotC(p)), get<u64>(slotB(p)), true)); p += 16; continue; }
      case Op.XOR64_RR_N: { set<u64>(slotA(p), xor<u64>(get<u64>(slotC(p)), get<u64>(slotB(p)), false)); p += 16; continue; }
      case Op.ADD32_RI: { set<u32>(slotA(p), add<u32>(get<u32>(slotC(p)), imm<u32>(p), true)); p += 16; continue; }
      case Op.ADD32_RI_N: { set<u32>(slotA(p), add<u32>(get<u32>(slotC(p)), imm<u32>(p), false)); p += 16; continue; }
      case Op.OR32_RI: { set<u32>(slotA(p), or<u32>(get<u32>(slotC(p)), imm<u32>(p), true)); p += 16; continue; }
      case Op.OR32_RI_N: { set<u32>(slotA(p), or<u32>(get<u32>(slotC(p)), imm<u32>(p), false)); p += 16; continue; }
      case Op.AND32_RI: { set<u32>(slotA(p), and<u32>(get<u32>(slotC(p)), imm<u32>(p), true)); p += 16; continue; }
      case Op.AND32_RI_N: { set<u32>(slotA(p), and<u32>(get<u32>(slotC(p)), imm<u32>(p), false)); p += 16; continue; }
      case Op.SUB32_RI: { set<u32>(slotA(p), sub<u32>(get<u32>(slotC(p)), imm<u32>(p), true)); p += 16; continue; }
      case Op.SUB32_RI_N: { set<u32>(slotA(p), sub<u32>(get<u32>(slotC(p)), imm<u32>(p), false)); p += 16; continue; }
      case Op.XOR32_RI: { set<u32>(slotA(p), xor<u32>(get<u32>(slotC(p)), imm<u32>(p), true)); p += 16; continue; }
      case Op.XOR32_RI_N: { set<u32>(slotA(p), xor<u32>(get<u32>(slotC(p)), imm<u32>(p), false)); p += 16; continue; }
      case Op.ADD64_RI: { set<u64>(slotA(p), add<u64>(get<u64>(slotC(p)), imm<u64>(p), true)); p += 16; continue; }
      case Op.ADD64_RI_N: { set<u64>(slotA(p), add<u64>(get<u64>(slotC(p)), imm<u64>(p), false)); p += 16; continue; }
      case Op.OR64_RI: { set<u64>(slotA(p), or<u64>(get<u64>(slotC(p)), imm<u64>(p), true)); p += 16; continue; }
      case Op.OR64_RI_N: { set<u64>(slotA(p), or<u64>(get<u64>(slotC(p)), imm<u64>(p), false)); p += 16; continue; }
      case Op.AND64_RI: { set<u64>(slotA(p), and<u64>(get<u64>(slotC(p)), imm<u64>(p), true)); p += 16; continue; }
      case Op.AND64_RI_N: { set<u64>(slotA(p), and<u64>(get<u64>(slotC(p)), imm<u64>(p), false)); p += 16; continue; }
      case Op.SUB64_RI: { set<u64>(slotA(p), sub<u64>(get<u64>(slotC(p)), imm<u64>(p), true)); p += 16; continue; }
      case Op.SUB64_RI_N: { set<u64>(slotA(p), sub<u64>(get<u64>(slotC(p)), imm<u64>(p), false)); p += 16; continue; }
      case Op.XOR64_RI: { set<u64>(slotA(p), xor<u64>(get<u64>(slotC(p)), imm<u64>(p), true)); p += 16; continue; }
      case Op.XOR64_RI_N: { set<u64>(slotA(p), xor<u64>(get<u64>(slotC(p)), imm<u64>(p), false)); p += 16; continue; }
      case Op.SHL32_I: { set<u32>(slotA(p), shl<u32>(get<u32>(slotC(p)), imm<u32>(p))); p += 16; continue; }
      case Op.SHL32_I_N: { set<u32>(slotA(p), get<u32>(slotC(p)) << imm<u32>(p)); p += 16; continue; }
      case Op.SHR32_I: { set<u32>(slotA(p), shr<u32>(get<u32>(slotC(p)), imm<u32>(p))); p += 16; continue; }
      case Op.SHR32_I_N: { set<u32>(slotA(p), get<u32>(slotC(p)) >> imm<u32>(p)); p += 16; continue; }
      case Op.SAR32_I: { set<u32>(slotA(p), sar<u32>(get<u32>(slotC(p)), imm<u32>(p))); p += 16; continue; }
      case Op.SAR32_I_N: { set<i32>(slotA(p), get<i32>(slotC(p)) >> imm<i32>(p)); p += 16; continue; }
      case Op.SHL64_I: { set<u64>(slotA(p), shl<u64>(get<u64>(slotC(p)), imm<u32>(p))); p += 16; continue; }
      case Op.SHL64_I_N: { set<u64>(slotA(p), get<u64>(slotC(p)) << imm<u64>(p)); p += 16; continue; }
      case Op.SHR64_I: { set<u64>(slotA(p), shr<u64>(get<u64>(slotC(p)), imm<u32>(p))); p += 16; continue; }
      case Op.SHR64_I_N: { set<u64>(slotA(p), get<u64>(slotC(p)) >> imm<u64>(p)); p += 16; continue; }
      case Op.SAR64_I: { set<u64>(slotA(p), sar<u64>(get<u64>(slotC(p)), imm<u32>(p))); p += 16; continue; }
      case Op.SAR64_I_N: { set<i64>(slotA(p), get<i64>(slotC(p)) >> imm<i64>(p)); p += 16; continue; }
      case Op.NEG32: { const s = slotA(p); set<u32>(s, sub<u32>(0, get<u32>(s), true)); p += 16; continue; }
      case Op.NEG32_N: { const s = slotA(p); set<u32>(s, 0 - get<u32>(s)); p += 16; continue; }
      case Op.NEG64: { const s = slotA(p); set<u64>(s, sub<u64>(0, get<u64>(s), true)); p += 16; continue; }
      case Op.NEG64_N: { const s = slotA(p); set<u64>(s, 0 - get<u64>(s)); p += 16; continue; }
      // --- group B: keep some flags ---
      case Op.INC32: { const s = slotA(p); set<u32>(s, inc<u32>(get<u32>(s), true)); p += 16; continue; }
      case Op.INC32_N: { const s = slotA(p); set<u32>(s, get<u32>(s) + 1); p += 16; continue; }
      case Op.INC64: { const s = slotA(p); set<u64>(s, inc<u64>(get<u64>(s), true)); p += 16; continue; }
      case Op.INC64_N: { const s = slotA(p); set<u64>(s, get<u64>(s) + 1); p += 16; continue; }
      case Op.DEC32: { const s = slotA(p); set<u32>(s, dec<u32>(get<u32>(s), true)); p += 16; continue; }
      case Op.DEC32_N: { const s = slotA(p); set<u32>(s, get<u32>(s) - 1); p += 16; continue; }
      case Op.DEC64: { const s = slotA(p); set<u64>(s, dec<u64>(get<u64>(s), true)); p += 16; continue; }
      case Op.DEC64_N: { const s = slotA(p); set<u64>(s, get<u64>(s) - 1); p += 16; continue; }
      case Op.ROL32_I: { set<u32>(slotA(p), rol<u32>(get<u32>(slotC(p)), imm<u32>(p))); p += 16; continue; }
      case Op.ROL32_I_N: { set<u32>(slotA(p), rotl<u32>(get<u32>(slotC(p)), imm<u32>(p))); p += 16; continue; }
      case Op.ROR32_I: { set<u32>(slotA(p), ror<u32>(get<u32>(slotC(p)), imm<u32>(p))); p += 16; continue; }
      case Op.ROR32_I_N: { set<u32>(slotA(p), rotr<u32>(get<u32>(slotC(p)), imm<u32>(p))); p += 16; continue; }
      case Op.ROL64_I: { set<u64>(slotA(p), rol<u64>(get<u64>(slotC(p)), imm<u32>(p))); p += 16; continue; }
      case Op.ROL64_I_N: { set<u64>(slotA(p), rotl<u64>(get<u64>(slotC(p)), imm<u64>(p))); p += 16; continue; }
      case Op.ROR64_I: { set<u64>(slotA(p), ror<u64>(get<u64>(slotC(p)), imm<u32>(p))); p += 16; continue; }
      case Op.ROR64_I_N: { set<u64>(slotA(p), rotr<u64>(get<u64>(slotC(p)), imm<u64>(p))); p += 16; continue; }
      // --- group C: arithmetic with a memory source ---
      case Op.ADD32_RM: { const h = hostR<u32>(ea(p), p); if (!h) break; const s = slotA(p); set<u32>(s, add<u32>(get<u32>(s), load<u32>(h), true)); p += 16; continue; }
      case Op.ADD32_RM_N: { const h = hostR<u32>(ea(p), p); if (!h) break; const s = slotA(p); set<u32>(s, add<u32>(get<u32>(s), load<u32>(h), false)); p += 16; continue; }
      case Op.OR32_RM: { const h = hostR<u32>(ea(p), p); if (!h) break; const s = slotA(p); set<u32>(s, or<u32>(get<u32>(s), load<u32>(h), true)); p += 16; continue; }
      case Op.OR32_RM_N: { const h = hostR<u32>(ea(p), p); if (!h) break; const s = slotA(p); set<u32>(s, or<u32>(get<u32>(s), load<u32>(h), false)); p += 16; continue; }
      case Op.AND32_RM: { const h = hostR<u32>(ea(p), p); if (!h) break; const s = slotA(p); set<u32>(s, and<u32>(get<u32>(s), load<u32>(h), true)); p += 16; continue; }
      case Op.AND32_RM_N: { const h = hostR<u32>(ea(p), p); if (!h) break; const s = slotA(p); set<u32>(s, and<u32>(get<u32>(s), load<u32>(h), false)); p += 16; continue; }
      case Op.SUB32_RM: { const h = hostR<u32>(ea(p), p); if (!h) break; const s = slotA(p); set<u32>(s, sub<u32>(get<u32>(s), load<u32>(h), true)); p += 16; continue; }
      case Op.SUB32_RM_N: { const h = hostR<u32>(ea(p), p); if (!h) break; const s = slotA(p); set<u32>(s, sub<u32>(get<u32>(s), load<u32>(h), false)); p += 16; continue; }
      case Op.XOR32_RM: { const h = hostR<u32>(ea(p), p); if (!h) break; const s = slotA(p); set<u32>(s, xor<u32>(get<u32>(s), load<u32>(h), true)); p += 16; continue; }
      case Op.XOR32_RM_N: { const h = hostR<u32>(ea(p), p); if (!h) break; const s = slotA(p); set<u32>(s, xor<u32>(get<u32>(s), load<u32>(h), false)); p += 16; continue; }
      case Op.ADD64_RM: { const h = hostR<u64>(ea(p), p); if (!h) break; const s = slotA(p); set<u64>(s, add<u64>(get<u64>(s), load<u64>(h), true)); p += 16; continue; }
      case Op.ADD64_RM_N: { const h = hostR<u64>(ea(p), p); if (!h) break; const s = slotA(p); set<u64>(s, add<u64>(get<u64>(s), load<u64>(h), false)); p += 16; continue; }
      case Op.OR64_RM: { const h = hostR<u64>(ea(p), p); if (!h) break; const s = slotA(p); set<u64>(s, or<u64>(get<u64>(s), load<u64>(h), true)); p += 16; continue; }
      case Op.OR64_RM_N: { const h = hostR<u64>(ea(p), p); if (!h) break; const s = slotA(p); set<u64>(s, or<u64>(get<u64>(s), load<u64>(h), false)); p += 16; continue; }
      case Op.AND64_RM: { const h = hostR<u64>(ea(p), p); if (!h) break; const s = slotA(p); set<u64>(s, and<u64>(get<u64>(s), load<u64>(h), true)); p += 16; continue; }
      case Op.AND64_RM_N: { const h = hostR<u64>(ea(p), p); if (!h) break; const s = slotA(p); set<u64>(s, and<u64>(get<u64>(s), load<u64>(h), false)); p += 16; continue; }
      case Op.SUB64_RM: { const h = hostR<u64>(ea(p), p); if (!h) break; const s = slotA(p); set<u64>(s, sub<u64>(get<u64>(s), load<u64>(h), true)); p += 16; continue; }
      case Op.SUB64_RM_N: { const h = hostR<u64>(ea(p), p); if (!h) break; const s = slotA(p); set<u64>(s, sub<u64>(get<u64>(s), load<u64>(h), false)); p += 16; continue; }
      case Op.XOR64_RM: { const h = hostR<u64>(ea(p), p); if (!h) break; const s = slotA(p); set<u64>(s, xor<u64>(get<u64>(s), load<u64>(h), true)); p += 16; continue; }
      case Op.XOR64_RM_N: { const h = hostR<u64>(ea(p), p); if (!h) break; const s = slotA(p); set<u64>(s, xor<u64>(get<u64>(s), load<u64>(h), false)); p += 16; continue; }
      // --- group D: comparisons and multiplication ---
      case Op.CMP8_RR: { sub<u8>(get<u8>(slotA(p)), get<u8>(slotB(p)), true); p += 16; continue; }
      case Op.CMP8_RI: { sub<u8>(get<u8>(slotA(p)), imm<u8>(p), true); p += 16; continue; }
      case Op.CMP16_RR: { sub<u16>(get<u16>(slotA(p)), get<u16>(slotB(p)), true); p += 16; continue; }
      case Op.CMP16_RI: { sub<u16>(get<u16>(slotA(p)), imm<u16>(p), true); p += 16; continue; }
      case Op.CMP32_RR: { sub<u32>(get<u32>(slotA(p)), get<u32>(slotB(p)), true); p += 16; continue; }
      case Op.CMP32_RI: { sub<u32>(get<u32>(slotA(p)), imm<u32>(p), true); p += 16; continue; }
      case Op.CMP64_RR: { sub<u64>(get<u64>(slotA(p)), get<u64>(slotB(p)), true); p += 16; continue; }
      case Op.CMP64_RI: { sub<u64>(get<u64>(slotA(p)), imm<u64>(p), true); p += 16; continue; }
      case Op.TEST8_RR: { and<u8>(get<u8>(slotA(p)), get<u8>(slotB(p)), true); p += 16; continue; }
      case Op.TEST8_RI: { and<u8>(get<u8>(slotA(p)), imm<u8>(p), true); p += 16; continue; }
      case Op.TEST16_RR: { and<u16>(get<u16>(slotA(p)), get<u16>(slotB(p)), true); p += 16; continue; }
      case Op.TEST32_RR: { and<u32>(get<u32>(slotA(p)), get<u32>(slotB(p)), true); p += 16; continue; }
      case Op.TEST32_RI: { and<u32>(get<u32>(slotA(p)), imm<u32>(p), true); p += 16; continue; }
      case Op.TEST64_RR: { and<u64>(get<u64>(slotA(p)), get<u64>(slotB(p)), true); p += 16; continue; }
      case Op.TEST64_RI: { and<u64>(get<u64>(slotA(p)), imm<u64>(p), true); p += 16; continue; }
      case Op.IMUL32_RR: { set<u32>(slotA(p), imul32(get<i32>(slotC(p)), get<i32>(slotB(p)))); p += 16; continue; }
      case Op.IMUL32_RR_N: { set<u32>(slotA(p), get<u32>(slotC(p)) * get<u32>(slotB(p))); p += 16; continue; }
      case Op.IMUL64_RR: { set<u64>(slotA(p), imul64(get<i64>(slotC(p)), get<i64>(slotB(p)))); p += 16; continue; }
      case Op.IMUL64_RR_N: { set<u64>(slotA(p), get<u64>(slotC(p)) * get<u64>(slotB(p))); p += 16; continue; }
      case Op.IMUL32_RRI: { set<u32>(slotA(p), imul32(get<i32>(slotB(p)), imm<i32>(p))); p += 16; continue; }
      case Op.IMUL32_RRI_N: { set<u32>(slotA(p), get<u32>(slotB(p)) * imm<u32>(p)); p += 16; continue; }
      case Op.IMUL64_RRI: { set<u64>(slotA(p), imul64(get<i64>(slotB(p)), imm<i64>(p))); p += 16; continue; }
      case Op.IMUL64_RRI_N: { set<u64>(slotA(p), get<u64>(slotB(p)) * imm<u64>(p)); p += 16; continue; }
      // --- group E: moves between registers ---
      case Op.MOV8_RR: { set<u8>(slotA(p), get<u8>(slotB(p))); p += 16; continue; }
      case Op.MOV16_RR: { set<u16>(slotA(p), get<u16>(slotB(p))); p += 16; continue; }
      case Op.MOV32_RR: { set<u32>(slotA(p), get<u32>(slotB(p))); p += 16; continue; }
      case Op.MOV64_RR: { set<u64>(slotA(p), get<u64>(slotB(p))); p += 16; continue; }
      case Op.MOV8_RI: { set<u8>(slotA(p), imm<u8>(p)); p += 16; continue; }
      case Op.MOV16_RI: { set<u16>(slotA(p), imm<u16>(p)); p += 16; continue; }
      case Op.MOV32_RI: { set<u64>(slotA(p), <u64>load<u32>(p, 12)); p += 16; continue; }
      case Op.MOV64_RI: { set<u64>(slotA(p), load<u64>(p, 8)); p += 16; continue; }
      case Op.LEA32: { set<u32>(slotA(p), <u32>ea(p)); p += 16; continue; }
      case Op.LEA64: { set<u64>(slotA(p), ea(p)); p += 16; continue; }
      case Op.LEA64_BD: { set<u64>(slotA(p), eaBD(p)); p += 16; continue; }
      case Op.MOVZX8_RR: { set<u64>(slotA(p), <u64>get<u8>(slotB(p))); p += 16; continue; }
      case Op.MOVZX16_RR: { set<u64>(slotA(p), <u64>get<u16>(slotB(p))); p += 16; continue; }
      case Op.MOVSX8_32_RR: { set<u32>(slotA(p), <u32>(<i32>get<i8>(slotB(p)))); p += 16; continue; }
      case Op.MOVSX8_64_RR: { set<i64>(slotA(p), <i64>get<i8>(slotB(p))); p += 16; continue; }
      case Op.MOVSX16_32_RR: { set<u32>(slotA(p), <u32>(<i32>get<i16>(slotB(p)))); p += 16; continue; }
      case Op.MOVSX16_64_RR: { set<i64>(slotA(p), <i64>get<i16>(slotB(p))); p += 16; continue; }
      case Op.MOVSX32_64_RR: { set<i64>(slotA(p), <i64>get<i32>(slotB(p))); p += 16; continue; }
      case Op.NOT32: { const s = slotA(p); set<u32>(s, ~get<u32>(s)); p += 16; continue; }
      case Op.NOT64: { const s = slotA(p); set<u64>(s, ~get<u64>(s)); p += 16; continue; }
      case Op.BSWAP32: { const s = slotA(p); set<u32>(s, bswap<u32>(get<u32>(s))); p += 16; continue; }
      case Op.BSWAP64: { const s = slotA(p); set<u64>(s, bswap<u64>(get<u64>(s))); p += 16; continue; }
      case Op.CDQE: { set<i64>(0, <i64>get<i32>(0)); p += 16; continue; }
      case Op.CDQ: { set<u32>(16, <u32>(get<i32>(0) >> 31)); p += 16; continue; }
      case Op.CQO: { set<i64>(16, get<i64>(0) >> 63); p += 16; continue; }
      case Op.CWDE: { set<u32>(0, <u32>(<i32>get<i16>(0))); p += 16; continue; }
      case Op.NOP: {  p += 16; continue; }
      // --- group F: memory ---
      case Op.LD8: { const h = hostR<u8>(ea(p), p); if (!h) break; set<u8>(slotA(p), load<u8>(h)); p += 16; continue; }
      case Op.LD16: { const h = hostR<u16>(ea(p), p); if (!h) break; set<u16>(slotA(p), load<u16>(h)); p += 16; continue; }
      case Op.LD32: { const h = hostR<u32>(ea(p), p); if (!h) break; set<u32>(slotA(p), load<u32>(h)); p += 16; continue; }
      case Op.LD64: { const h = hostR<u64>(ea(p), p); if (!h) break; set<u64>(slotA(p), load<u64>(h)); p += 16; continue; }
      case Op.LD32_BD: { const h = hostR<u32>(eaBD(p), p); if (!h) break; set<u32>(slotA(p), load<u32>(h)); p += 16; continue; }
      case Op.LD64_BD: { const h = hostR<u64>(eaBD(p), p); if (!h) break; set<u64>(slotA(p), load<u64>(h)); p += 16; continue; }
      case Op.LDZX8: { const h = hostR<u8>(ea(p), p); if (!h) break; set<u64>(slotA(p), <u64>load<u8>(h)); p += 16; continue; }
      case Op.LDZX8_BD: { const h = hostR<u8>(eaBD(p), p); if (!h) break; set<u64>(slotA(p), <u64>load<u8>(h)); p += 16; continue; }
      case Op.LDZX16: { const h = hostR<u16>(ea(p), p); if (!h) break; set<u64>(slotA(p), <u64>load<u16>(h)); p += 16; continue; }
      case Op.LDSX8_32: { const h = hostR<u8>(ea(p), p); if (!h) break; set<u32>(slotA(p), <u32>(<i32>load<i8>(h))); p += 16; continue; }
      case Op.LDSX8_64: { const h = hostR<u8>(ea(p), p); if (!h) break; set<i64>(slotA(p), <i64>load<i8>(h)); p += 16; continue; }
      case Op.LDSX16_32: { const h = hostR<u16>(ea(p), p); if (!h) break; set<u32>(slotA(p), <u32>(<i32>load<i16>(h))); p += 16; continue; }
      case Op.LDSX16_64: { const h = hostR<u16>(ea(p), p); if (!h) break; set<i64>(slotA(p), <i64>load<i16>(h)); p += 16; continue; }
      case Op.LDSX32_64: { const h = hostR<u32>(ea(p), p); if (!h) break; set<i64>(slotA(p), <i64>load<i32>(h)); p += 16; continue; }
      case Op.ST8: { const h = hostW<u8>(ea(p), p); if (!h) break; store<u8>(h, get<u8>(slotA(p))); wrote(h); p += 16; continue; }
      case Op.ST16: { const h = hostW<u16>(ea(p), p); if (!h) break; store<u16>(h, get<u16>(slotA(p))); wrote(h); p += 16; continue; }
      case Op.ST32: { const h = hostW<u32>(ea(p), p); if (!h) break; store<u32>(h, get<u32>(slotA(p))); wrote(h); p += 16; continue; }
      case Op.ST64: { const h = hostW<u64>(ea(p), p); if (!h) break; store<u64>(h, get<u64>(slotA(p))); wrote(h); p += 16; continue; }
      case Op.ST32_BD: { const h = hostW<u32>(eaBD(p), p); if (!h) break; store<u32>(h, get<u32>(slotA(p))); wrote(h); p += 16; continue; }
      case Op.ST64_BD: { const h = hostW<u64>(eaBD(p), p); if (!h) break; store<u64>(h, get<u64>(slotA(p))); wrote(h); p += 16; continue; }
      case Op.STI8: { const h = hostW<u8>(ea(p), p); if (!h) break; store<u8>(h, imm<u8>(p)); wrote(h); p += 16; continue; }
      case Op.STI16: { const h = hostW<u16>(ea(p), p); if (!h) break; store<u16>(h, imm<u16>(p)); wrote(h); p += 16; continue; }
      case Op.STI32: { const h = hostW<u32>(ea(p), p); if (!h) break; store<u32>(h, imm<u32>(p)); wrote(h); p += 16; continue; }
      case Op.STI64: { const h = hostW<u64>(ea(p), p); if (!h) break; store<u64>(h, imm<u64>(p)); wrote(h); p += 16; continue; }
      case Op.CMP8_RM: { const h = hostR<u8>(ea(p), p); if (!h) break; sub<u8>(get<u8>(slotA(p)), load<u8>(h), true); p += 16; continue; }
      case Op.CMP16_RM: { const h = hostR<u16>(ea(p), p); if (!h) break; sub<u16>(get<u16>(slotA(p)), load<u16>(h), true); p += 16; continue; }
      case Op.CMP32_RM: { const h = hostR<u32>(ea(p), p); if (!h) break; sub<u32>(get<u32>(slotA(p)), load<u32>(h), true); p += 16; continue; }
      case Op.CMP64_RM: { const h = hostR<u64>(ea(p), p); if (!h) break; sub<u64>(get<u64>(slotA(p)), load<u64>(h), true); p += 16; continue; }
      case Op.CMP8_MR: { const h = hostR<u8>(ea(p), p); if (!h) break; sub<u8>(load<u8>(h), get<u8>(slotA(p)), true); p += 16; continue; }
      case Op.CMP16_MR: { const h = hostR<u16>(ea(p), p); if (!h) break; sub<u16>(load<u16>(h), get<u16>(slotA(p)), true); p += 16; continue; }
      case Op.CMP32_MR: { const h = hostR<u32>(ea(p), p); if (!h) break; sub<u32>(load<u32>(h), get<u32>(slotA(p)), true); p += 16; continue; }
      case Op.CMP64_MR: { const h = hostR<u64>(ea(p), p); if (!h) break; sub<u64>(load<u64>(h), get<u64>(slotA(p)), true); p += 16; continue; }
      case Op.CMP8_MI: { const h = hostR<u8>(ea(p), p); if (!h) break; sub<u8>(load<u8>(h), imm<u8>(p), true); p += 16; continue; }
      case Op.CMP16_MI: { const h = hostR<u16>(ea(p), p); if (!h) break; sub<u16>(load<u16>(h), imm<u16>(p), true); p += 16; continue; }
      case Op.CMP32_MI: { const h = hostR<u32>(ea(p), p); if (!h) break; sub<u32>(load<u32>(h), imm<u32>(p), true); p += 16; continue; }
      case Op.CMP64_MI: { const h = hostR<u64>(ea(p), p); if (!h) break; sub<u64>(load<u64>(h), imm<u64>(p), true); p += 16; continue; }
      case Op.TEST8_MI: { const h = hostR<u8>(ea(p), p); if (!h) break; and<u8>(load<u8>(h), imm<u8>(p), true); p += 16; continue; }
      case Op.TEST32_MI: { const h = hostR<u32>(ea(p), p); if (!h) break; and<u32>(load<u32>(h), imm<u32>(p), true); p += 16; continue; }
      case Op.TEST64_MI: { const h = hostR<u64>(ea(p), p); if (!h) break; and<u64>(load<u64>(h), imm<u64>(p), true); p += 16; continue; }
      case Op.TEST8_MR: { const h = hostR<u8>(ea(p), p); if (!h) break; and<u8>(load<u8>(h), get<u8>(slotA(p)), true); p += 16; continue; }
      case Op.TEST32_MR: { const h = hostR<u32>(ea(p), p); if (!h) break; and<u32>(load<u32>(h), get<u32>(slotA(p)), true); p += 16; continue; }
      case Op.TEST64_MR: { const h = hostR<u64>(ea(p), p); if (!h) break; and<u64>(load<u64>(h), get<u64>(slotA(p)), true); p += 16; continue; }
      case Op.ADD32_MR: { const h = hostW<u32>(ea(p), p); if (!h) break; store<u32>(h, add<u32>(load<u32>(h), get<u32>(slotA(p)), true)); wrote(h); p += 16; continue; }
      case Op.OR32_MR: { const h = hostW<u32>(ea(p), p); if (!h) break; store<u32>(h, or<u32>(load<u32>(h), get<u32>(slotA(p)), true)); wrote(h); p += 16; continue; }
      case Op.AND32_MR: { const h = hostW<u32>(ea(p), p); if (!h) break; store<u32>(h, and<u32>(load<u32>(h), get<u32>(slotA(p)), true)); wrote(h); p += 16; continue; }
      case Op.SUB32_MR: { const h = hostW<u32>(ea(p), p); if (!h) break; store<u32>(h, sub<u32>(load<u32>(h), get<u32>(slotA(p)), true)); wrote(h); p += 16; continue; }
      case Op.XOR32_MR: { const h = hostW<u32>(ea(p), p); if (!h) break; store<u32>(h, xor<u32>(load<u32>(h), get<u32>(slotA(p)), true)); wrote(h); p += 16; continue; }
      case Op.ADD64_MR: { const h = hostW<u64>(ea(p), p); if (!h) break; store<u64>(h, add<u64>(load<u64>(h), get<u64>(slotA(p)), true)); wrote(h); p += 16; continue; }
      case Op.OR64_MR: { const h = hostW<u64>(ea(p), p); if (!h) break; store<u64>(h, or<u64>(load<u64>(h), get<u64>(slotA(p)), true)); wrote(h); p += 16; continue; }
      case Op.AND64_MR: { const h = hostW<u64>(ea(p), p); if (!h) break; store<u64>(h, and<u64>(load<u64>(h), get<u64>(slotA(p)), true)); wrote(h); p += 16; continue; }
      case Op.SUB64_MR: { const h = hostW<u64>(ea(p), p); if (!h) break; store<u64>(h, sub<u64>(load<u64>(h), get<u64>(slotA(p)), true)); wrote(h); p += 16; continue; }
      case Op.XOR64_MR: { const h = hostW<u64>(ea(p), p); if (!h) break; store<u64>(h, xor<u64>(load<u64>(h), get<u64>(slotA(p)), true)); wrote(h); p += 16; continue; }
      case Op.ADD32_MI: { const h = hostW<u32>(ea(p), p); if (!h) break; store<u32>(h, add<u32>(load<u32>(h), imm<u32>(p), true)); wrote(h); p += 16; continue; }
      case Op.OR32_MI: { const h = hostW<u32>(ea(p), p); if (!h) break; store<u32>(h, or<u32>(load<u32>(h), imm<u32>(p), true)); wrote(h); p += 16; continue; }
      case Op.AND32_MI: { const h = hostW<u32>(ea(p), p); if (!h) break; store<u32>(h, and<u32>(load<u32>(h), imm<u32>(p), true)); wrote(h); p += 16; continue; }
      case Op.SUB32_MI: { const h = hostW<u32>(ea(p), p); if (!h) break; store<u32>(h, sub<u32>(load<u32>(h), imm<u32>(p), true)); wrote(h); p += 16; continue; }
      case Op.XOR32_MI: { const h = hostW<u32>(ea(p), p); if (!h) break; store<u32>(h, xor<u32>(load<u32>(h), imm<u32>(p), true)); wrote(h); p += 16; continue; }
      case Op.ADD64_MI: { const h = hostW<u64>(ea(p), p); if (!h) break; store<u64>(h, add<u64>(load<u64>(h), imm<u64>(p), true)); wrote(h); p += 16; continue; }
      case Op.OR64_MI: { const h = hostW<u64>(ea(p), p); if (!h) break; store<u64>(h, or<u64>(load<u64>(h), imm<u64>(p), true)); wrote(h); p += 16; continue; }
      case Op.AND64_MI: { const h = hostW<u64>(ea(p), p); if (!h) break; store<u64>(h, and<u64>(load<u64>(h), imm<u64>(p), true)); wrote(h); p += 16; continue; }
      case Op.SUB64_MI: { const h = hostW<u64>(ea(p), p); if (!h) break; store<u64>(h, sub<u64>(load<u64>(h), imm<u64>(p), true)); wrote(h); p += 16; continue; }
      case Op.XOR64_MI: { const h = hostW<u64>(ea(p), p); if (!h) break; store<u64>(h, xor<u64>(load<u64>(h), imm<u64>(p), true)); wrote(h); p += 16; continue; }
      case Op.INC32_M: { const h = hostW<u32>(ea(p), p); if (!h) break; store<u32>(h, inc<u32>(load<u32>(h), true)); wrote(h); p += 16; continue; }
      case Op.INC64_M: { const h = hostW<u64>(ea(p), p); if (!h) break; store<u64>(h, inc<u64>(load<u64>(h), true)); wrote(h); p += 16; continue; }
      case Op.DEC32_M: { const h = hostW<u32>(ea(p), p); if (!h) break; store<u32>(h, dec<u32>(load<u32>(h), true)); wrote(h); p += 16; continue; }
      case Op.DEC64_M: { const h = hostW<u64>(ea(p), p); if (!h) break; store<u64>(h, dec<u64>(load<u64>(h), true)); wrote(h); p += 16; continue; }
      case Op.PUSH64: { const sp = get<u64>(RSP_SLOT) - 8; const h = hostW<u64>(sp, p); if (!h) break; store<u64>(h, get<u64>(slotA(p))); wrote(h); set<u64>(RSP_SLOT, sp); p += 16; continue; }
      case Op.PUSHI64: { const sp = get<u64>(RSP_SLOT) - 8; const h = hostW<u64>(sp, p); if (!h) break; store<i64>(h, imm<i64>(p)); wrote(h); set<u64>(RSP_SLOT, sp); p += 16; continue; }
      case Op.POP64: { const sp = get<u64>(RSP_SLOT); const h = hostR<u64>(sp, p); if (!h) break; set<u64>(RSP_SLOT, sp + 8); set<u64>(slotA(p), load<u64>(h)); p += 16; continue; }
      case Op.LEAVE64: { const sp = get<u64>(40); const h = hostR<u64>(sp, p); if (!h) break; set<u64>(RSP_SLOT, sp + 8); set<u64>(40, load<u64>(h)); p += 16; continue; }
      case Op.SHL32_CL: { const s = slotA(p); const n = <u32>get<u8>(8) & 31; if (n) set<u32>(s, shl<u32>(get<u32>(s), n)); else set<u32>(s, get<u32>(s)); p += 16; continue; }
      case Op.SHR32_CL: { const s = slotA(p); const n = <u32>get<u8>(8) & 31; if (n) set<u32>(s, shr<u32>(get<u32>(s), n)); else set<u32>(s, get<u32>(s)); p += 16; continue; }
      case Op.SAR32_CL: { const s = slotA(p); const n = <u32>get<u8>(8) & 31; if (n) set<u32>(s, sar<u32>(get<u32>(s), n)); else set<u32>(s, get<u32>(s)); p += 16; continue; }
      case Op.SHL64_CL: { const s = slotA(p); const n = <u32>get<u8>(8) & 63; if (n) set<u64>(s, shl<u64>(get<u64>(s), n)); p += 16; continue; }
      case Op.SHR64_CL: { const s = slotA(p); const n = <u32>get<u8>(8) & 63; if (n) set<u64>(s, shr<u64>(get<u64>(s), n)); p += 16; continue; }
      case Op.SAR64_CL: { const s = slotA(p); const n = <u32>get<u8>(8) & 63; if (n) set<u64>(s, sar<u64>(get<u64>(s), n)); p += 16; continue; }
      case Op.SETCC: { set<u8>(slotA(p), <u8>condition(imm<i32>(p))); p += 16; continue; }
      case Op.CMOV32: { const s = slotA(p); set<u32>(s, condition(imm<i32>(p)) ? get<u32>(slotB(p)) : get<u32>(s)); p += 16; continue; }
      case Op.CMOV64: { if (condition(imm<i32>(p))) set<u64>(slotA(p), get<u64>(slotB(p))); p += 16; continue; }
      case Op.BT32_RI: { bitTest(<u64>get<u32>(slotA(p)), imm<u32>(p) & 31); p += 16; continue; }
      case Op.BT64_RI: { bitTest(get<u64>(slotA(p)), imm<u32>(p) & 63); p += 16; continue; }
      case Op.BT32_RR: { bitTest(<u64>get<u32>(slotA(p)), get<u32>(slotB(p)) & 31); p += 16; continue; }
      case Op.BT64_RR: { bitTest(get<u64>(slotA(p)), get<u32>(slotB(p)) & 63); p += 16; continue; }
      case Op.SEGEA: { if (!segmentAddress(p)) break; p += 16; continue; }
      case Op.GEN: { store<u32>(CURRENT_OP, <u32>p); if (!execGeneric(p)) break; p += 32; continue; }
      case Op.VEC: { store<u32>(CURRENT_OP, <u32>p); if (!vectorOp(p)) break; p += 32; continue; }
      case Op.X87: { store<u32>(CURRENT_OP, <u32>p); if (!x87Op(p)) break; p += 32; continue; }
      case Op.STRING: { 
        store<u32>(CURRENT_OP, <u32>p);
        const r = execString(p);
        if (r == STRING_FAULT) break;
        if (r != STRING_DONE) {
          // The repeat is charged for what it did, so that an endless one reaches the limit.
          ic -= sideIndex(p) + (r == STRING_AGAIN ? STRING_CHARGE : 1);
          why = WHY_LEAVE;
          break;
        }
        p += 32; continue; }
      case Op.CHECK_PAGE: { 
        const r = straddleCheck(p);
        if (r == 0) break;
        if (r < 0) {
          store<u64>(RIP, sideRip(p));
          why = WHY_JUMP;
          break;
        }
        p += 16; continue; }
      // --- terminators ---
      case Op.JUMP: { ic -= <i64>load<u16>(p, 6); p = load<u32>(p, 8); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.JCC: { ic -= <i64>load<u16>(p, 6); p = condition(0) ? load<u32>(p, 8) : load<u32>(p, 12); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.JCC_NO: { ic -= <i64>load<u16>(p, 6); p = condition(1) ? load<u32>(p, 8) : load<u32>(p, 12); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.JCC_B: { ic -= <i64>load<u16>(p, 6); p = getCF() ? load<u32>(p, 8) : load<u32>(p, 12); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.JCC_AE: { ic -= <i64>load<u16>(p, 6); p = !getCF() ? load<u32>(p, 8) : load<u32>(p, 12); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.JCC_E: { ic -= <i64>load<u16>(p, 6); p = getZF() ? load<u32>(p, 8) : load<u32>(p, 12); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.JCC_NE: { ic -= <i64>load<u16>(p, 6); p = !getZF() ? load<u32>(p, 8) : load<u32>(p, 12); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.JCC_BE: { ic -= <i64>load<u16>(p, 6); p = condition(6) ? load<u32>(p, 8) : load<u32>(p, 12); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.JCC_A: { ic -= <i64>load<u16>(p, 6); p = condition(7) ? load<u32>(p, 8) : load<u32>(p, 12); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.JCC_S: { ic -= <i64>load<u16>(p, 6); p = getSF() ? load<u32>(p, 8) : load<u32>(p, 12); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.JCC_NS: { ic -= <i64>load<u16>(p, 6); p = !getSF() ? load<u32>(p, 8) : load<u32>(p, 12); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.JCC_P: { ic -= <i64>load<u16>(p, 6); p = condition(10) ? load<u32>(p, 8) : load<u32>(p, 12); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.JCC_NP: { ic -= <i64>load<u16>(p, 6); p = condition(11) ? load<u32>(p, 8) : load<u32>(p, 12); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.JCC_L: { ic -= <i64>load<u16>(p, 6); p = condition(12) ? load<u32>(p, 8) : load<u32>(p, 12); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.JCC_GE: { ic -= <i64>load<u16>(p, 6); p = condition(13) ? load<u32>(p, 8) : load<u32>(p, 12); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.JCC_LE: { ic -= <i64>load<u16>(p, 6); p = condition(14) ? load<u32>(p, 8) : load<u32>(p, 12); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.JCC_G: { ic -= <i64>load<u16>(p, 6); p = condition(15) ? load<u32>(p, 8) : load<u32>(p, 12); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ32_RR_B: { const a = get<u32>(slotA(p)); const b = get<u32>(slotB(p)); sub<u32>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u32>a < <u32>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ32_RR_AE: { const a = get<u32>(slotA(p)); const b = get<u32>(slotB(p)); sub<u32>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u32>a >= <u32>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ32_RR_E: { const a = get<u32>(slotA(p)); const b = get<u32>(slotB(p)); sub<u32>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u32>a == <u32>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ32_RR_NE: { const a = get<u32>(slotA(p)); const b = get<u32>(slotB(p)); sub<u32>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u32>a != <u32>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ32_RR_BE: { const a = get<u32>(slotA(p)); const b = get<u32>(slotB(p)); sub<u32>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u32>a <= <u32>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ32_RR_A: { const a = get<u32>(slotA(p)); const b = get<u32>(slotB(p)); sub<u32>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u32>a > <u32>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ32_RR_L: { const a = get<u32>(slotA(p)); const b = get<u32>(slotB(p)); sub<u32>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <i32>a < <i32>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ32_RR_GE: { const a = get<u32>(slotA(p)); const b = get<u32>(slotB(p)); sub<u32>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <i32>a >= <i32>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ32_RR_LE: { const a = get<u32>(slotA(p)); const b = get<u32>(slotB(p)); sub<u32>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <i32>a <= <i32>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ32_RR_G: { const a = get<u32>(slotA(p)); const b = get<u32>(slotB(p)); sub<u32>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <i32>a > <i32>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ32_RI_B: { const a = get<u32>(slotA(p)); const b = imm<u32>(p); sub<u32>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u32>a < <u32>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ32_RI_AE: { const a = get<u32>(slotA(p)); const b = imm<u32>(p); sub<u32>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u32>a >= <u32>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ32_RI_E: { const a = get<u32>(slotA(p)); const b = imm<u32>(p); sub<u32>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u32>a == <u32>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ32_RI_NE: { const a = get<u32>(slotA(p)); const b = imm<u32>(p); sub<u32>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u32>a != <u32>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ32_RI_BE: { const a = get<u32>(slotA(p)); const b = imm<u32>(p); sub<u32>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u32>a <= <u32>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ32_RI_A: { const a = get<u32>(slotA(p)); const b = imm<u32>(p); sub<u32>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u32>a > <u32>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ32_RI_L: { const a = get<u32>(slotA(p)); const b = imm<u32>(p); sub<u32>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <i32>a < <i32>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ32_RI_GE: { const a = get<u32>(slotA(p)); const b = imm<u32>(p); sub<u32>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <i32>a >= <i32>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ32_RI_LE: { const a = get<u32>(slotA(p)); const b = imm<u32>(p); sub<u32>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <i32>a <= <i32>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ32_RI_G: { const a = get<u32>(slotA(p)); const b = imm<u32>(p); sub<u32>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <i32>a > <i32>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ64_RR_B: { const a = get<u64>(slotA(p)); const b = get<u64>(slotB(p)); sub<u64>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u64>a < <u64>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ64_RR_AE: { const a = get<u64>(slotA(p)); const b = get<u64>(slotB(p)); sub<u64>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u64>a >= <u64>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ64_RR_E: { const a = get<u64>(slotA(p)); const b = get<u64>(slotB(p)); sub<u64>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u64>a == <u64>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ64_RR_NE: { const a = get<u64>(slotA(p)); const b = get<u64>(slotB(p)); sub<u64>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u64>a != <u64>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ64_RR_BE: { const a = get<u64>(slotA(p)); const b = get<u64>(slotB(p)); sub<u64>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u64>a <= <u64>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ64_RR_A: { const a = get<u64>(slotA(p)); const b = get<u64>(slotB(p)); sub<u64>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u64>a > <u64>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ64_RR_L: { const a = get<u64>(slotA(p)); const b = get<u64>(slotB(p)); sub<u64>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <i64>a < <i64>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ64_RR_GE: { const a = get<u64>(slotA(p)); const b = get<u64>(slotB(p)); sub<u64>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <i64>a >= <i64>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ64_RR_LE: { const a = get<u64>(slotA(p)); const b = get<u64>(slotB(p)); sub<u64>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <i64>a <= <i64>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ64_RR_G: { const a = get<u64>(slotA(p)); const b = get<u64>(slotB(p)); sub<u64>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <i64>a > <i64>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ64_RI_B: { const a = get<u64>(slotA(p)); const b = imm<u64>(p); sub<u64>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u64>a < <u64>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ64_RI_AE: { const a = get<u64>(slotA(p)); const b = imm<u64>(p); sub<u64>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u64>a >= <u64>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ64_RI_E: { const a = get<u64>(slotA(p)); const b = imm<u64>(p); sub<u64>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u64>a == <u64>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ64_RI_NE: { const a = get<u64>(slotA(p)); const b = imm<u64>(p); sub<u64>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u64>a != <u64>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ64_RI_BE: { const a = get<u64>(slotA(p)); const b = imm<u64>(p); sub<u64>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u64>a <= <u64>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ64_RI_A: { const a = get<u64>(slotA(p)); const b = imm<u64>(p); sub<u64>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u64>a > <u64>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ64_RI_L: { const a = get<u64>(slotA(p)); const b = imm<u64>(p); sub<u64>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <i64>a < <i64>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ64_RI_GE: { const a = get<u64>(slotA(p)); const b = imm<u64>(p); sub<u64>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <i64>a >= <i64>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ64_RI_LE: { const a = get<u64>(slotA(p)); const b = imm<u64>(p); sub<u64>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <i64>a <= <i64>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ64_RI_G: { const a = get<u64>(slotA(p)); const b = imm<u64>(p); sub<u64>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <i64>a > <i64>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ8_RI_B: { const a = get<u8>(slotA(p)); const b = imm<u8>(p); sub<u8>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u8>a < <u8>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ8_RI_AE: { const a = get<u8>(slotA(p)); const b = imm<u8>(p); sub<u8>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u8>a >= <u8>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ8_RI_E: { const a = get<u8>(slotA(p)); const b = imm<u8>(p); sub<u8>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u8>a == <u8>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ8_RI_NE: { const a = get<u8>(slotA(p)); const b = imm<u8>(p); sub<u8>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u8>a != <u8>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ8_RI_BE: { const a = get<u8>(slotA(p)); const b = imm<u8>(p); sub<u8>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u8>a <= <u8>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ8_RI_A: { const a = get<u8>(slotA(p)); const b = imm<u8>(p); sub<u8>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <u8>a > <u8>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ8_RI_L: { const a = get<u8>(slotA(p)); const b = imm<u8>(p); sub<u8>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <i8>a < <i8>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ8_RI_GE: { const a = get<u8>(slotA(p)); const b = imm<u8>(p); sub<u8>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <i8>a >= <i8>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ8_RI_LE: { const a = get<u8>(slotA(p)); const b = imm<u8>(p); sub<u8>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <i8>a <= <i8>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CMPJ8_RI_G: { const a = get<u8>(slotA(p)); const b = imm<u8>(p); sub<u8>(a, b, true); ic -= <i64>load<u16>(p, 6); p = <i8>a > <i8>b ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.TESTJ32_RR_E: { const r = and<u32>(get<u32>(slotA(p)), get<u32>(slotB(p)), true); ic -= <i64>load<u16>(p, 6); p = r == 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.TESTJ32_RR_NE: { const r = and<u32>(get<u32>(slotA(p)), get<u32>(slotB(p)), true); ic -= <i64>load<u16>(p, 6); p = r != 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.TESTJ32_RR_S: { const r = and<u32>(get<u32>(slotA(p)), get<u32>(slotB(p)), true); ic -= <i64>load<u16>(p, 6); p = <i32>r < 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.TESTJ32_RR_NS: { const r = and<u32>(get<u32>(slotA(p)), get<u32>(slotB(p)), true); ic -= <i64>load<u16>(p, 6); p = <i32>r >= 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.TESTJ32_RR_LE: { const r = and<u32>(get<u32>(slotA(p)), get<u32>(slotB(p)), true); ic -= <i64>load<u16>(p, 6); p = <i32>r <= 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.TESTJ32_RR_G: { const r = and<u32>(get<u32>(slotA(p)), get<u32>(slotB(p)), true); ic -= <i64>load<u16>(p, 6); p = <i32>r > 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.TESTJ64_RR_E: { const r = and<u64>(get<u64>(slotA(p)), get<u64>(slotB(p)), true); ic -= <i64>load<u16>(p, 6); p = r == 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.TESTJ64_RR_NE: { const r = and<u64>(get<u64>(slotA(p)), get<u64>(slotB(p)), true); ic -= <i64>load<u16>(p, 6); p = r != 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.TESTJ64_RR_S: { const r = and<u64>(get<u64>(slotA(p)), get<u64>(slotB(p)), true); ic -= <i64>load<u16>(p, 6); p = <i64>r < 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.TESTJ64_RR_NS: { const r = and<u64>(get<u64>(slotA(p)), get<u64>(slotB(p)), true); ic -= <i64>load<u16>(p, 6); p = <i64>r >= 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.TESTJ64_RR_LE: { const r = and<u64>(get<u64>(slotA(p)), get<u64>(slotB(p)), true); ic -= <i64>load<u16>(p, 6); p = <i64>r <= 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.TESTJ64_RR_G: { const r = and<u64>(get<u64>(slotA(p)), get<u64>(slotB(p)), true); ic -= <i64>load<u16>(p, 6); p = <i64>r > 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.TESTJ8_RR_E: { const r = and<u8>(get<u8>(slotA(p)), get<u8>(slotB(p)), true); ic -= <i64>load<u16>(p, 6); p = r == 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.TESTJ8_RR_NE: { const r = and<u8>(get<u8>(slotA(p)), get<u8>(slotB(p)), true); ic -= <i64>load<u16>(p, 6); p = r != 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.TESTJ8_RI_E: { const r = and<u8>(get<u8>(slotA(p)), imm<u8>(p), true); ic -= <i64>load<u16>(p, 6); p = r == 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.TESTJ8_RI_NE: { const r = and<u8>(get<u8>(slotA(p)), imm<u8>(p), true); ic -= <i64>load<u16>(p, 6); p = r != 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.TESTJ32_RI_E: { const r = and<u32>(get<u32>(slotA(p)), imm<u32>(p), true); ic -= <i64>load<u16>(p, 6); p = r == 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.TESTJ32_RI_NE: { const r = and<u32>(get<u32>(slotA(p)), imm<u32>(p), true); ic -= <i64>load<u16>(p, 6); p = r != 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.DECJ32_E: { const s = slotA(p); const r = dec<u32>(get<u32>(s), true); set<u32>(s, r); ic -= <i64>load<u16>(p, 6); p = r == 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.DECJ32_NE: { const s = slotA(p); const r = dec<u32>(get<u32>(s), true); set<u32>(s, r); ic -= <i64>load<u16>(p, 6); p = r != 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.DECJ64_E: { const s = slotA(p); const r = dec<u64>(get<u64>(s), true); set<u64>(s, r); ic -= <i64>load<u16>(p, 6); p = r == 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.DECJ64_NE: { const s = slotA(p); const r = dec<u64>(get<u64>(s), true); set<u64>(s, r); ic -= <i64>load<u16>(p, 6); p = r != 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.SUBJ32_RI_E: { const r = sub<u32>(get<u32>(slotC(p)), imm<u32>(p), true); set<u32>(slotA(p), r); ic -= <i64>load<u16>(p, 6); p = r == 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.SUBJ32_RI_NE: { const r = sub<u32>(get<u32>(slotC(p)), imm<u32>(p), true); set<u32>(slotA(p), r); ic -= <i64>load<u16>(p, 6); p = r != 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.SUBJ64_RI_E: { const r = sub<u64>(get<u64>(slotC(p)), imm<u64>(p), true); set<u64>(slotA(p), r); ic -= <i64>load<u16>(p, 6); p = r == 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.SUBJ64_RI_NE: { const r = sub<u64>(get<u64>(slotC(p)), imm<u64>(p), true); set<u64>(slotA(p), r); ic -= <i64>load<u16>(p, 6); p = r != 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.ADDJ32_RI_E: { const r = add<u32>(get<u32>(slotC(p)), imm<u32>(p), true); set<u32>(slotA(p), r); ic -= <i64>load<u16>(p, 6); p = r == 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.ADDJ32_RI_NE: { const r = add<u32>(get<u32>(slotC(p)), imm<u32>(p), true); set<u32>(slotA(p), r); ic -= <i64>load<u16>(p, 6); p = r != 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.ADDJ64_RI_E: { const r = add<u64>(get<u64>(slotC(p)), imm<u64>(p), true); set<u64>(slotA(p), r); ic -= <i64>load<u16>(p, 6); p = r == 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.ADDJ64_RI_NE: { const r = add<u64>(get<u64>(slotC(p)), imm<u64>(p), true); set<u64>(slotA(p), r); ic -= <i64>load<u16>(p, 6); p = r != 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.ANDJ32_RI_E: { const r = and<u32>(get<u32>(slotC(p)), imm<u32>(p), true); set<u32>(slotA(p), r); ic -= <i64>load<u16>(p, 6); p = r == 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.ANDJ32_RI_NE: { const r = and<u32>(get<u32>(slotC(p)), imm<u32>(p), true); set<u32>(slotA(p), r); ic -= <i64>load<u16>(p, 6); p = r != 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.ANDJ32_RR_E: { const r = and<u32>(get<u32>(slotC(p)), get<u32>(slotB(p)), true); set<u32>(slotA(p), r); ic -= <i64>load<u16>(p, 6); p = r == 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.ANDJ32_RR_NE: { const r = and<u32>(get<u32>(slotC(p)), get<u32>(slotB(p)), true); set<u32>(slotA(p), r); ic -= <i64>load<u16>(p, 6); p = r != 0 ? load<u32>(p, 24) : load<u32>(p, 28); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CALL: { const sp = get<u64>(RSP_SLOT) - 8; const h = hostW<u64>(sp, p); if (!h) break; store<u64>(h, load<u64>(p, 8)); wrote(h); set<u64>(RSP_SLOT, sp); ic -= <i64>load<u16>(p, 6); p = load<u32>(p, 24); if (ic >= FAST_LIMIT) continue; why = WHY_LEAVE; break; }
      case Op.CALL_R: {
        const target = get<u64>(slotA(p));
        if (!isCanonical(target)) { if (isAligned(get<u64>(RSP_SLOT) - 8, 8)) raise(GP, 0); break; }
        const sp = get<u64>(RSP_SLOT) - 8;
        const h = hostW<u64>(sp, p);
        if (!h) break;
        store<u64>(h, load<u64>(p, 8));
        wrote(h);
        set<u64>(RSP_SLOT, sp);
        ic -= <i64>load<u16>(p, 6);
        const j = jumpEntry(target);
        if (ic >= FAST_LIMIT && load<u64>(j) == ((target & 0x0000ffffffffffff) | load<u64>(TAG_HIGH))) {
          p = load<u32>(j, 8);
          continue;
        }
        store<u64>(RIP, target);
        why = WHY_JUMP;
        break;
      }
      case Op.JUMP_R: {
        const target = get<u64>(slotA(p));
        if (!isCanonical(target)) { raise(GP, 0); break; }
        ic -= <i64>load<u16>(p, 6);
        const j = jumpEntry(target);
        if (ic >= FAST_LIMIT && load<u64>(j) == ((target & 0x0000ffffffffffff) | load<u64>(TAG_HIGH))) {
          p = load<u32>(j, 8);
          continue;
        }
        store<u64>(RIP, target);
        why = WHY_JUMP;
        break;
      }
      case Op.RET: {
        const sp = get<u64>(RSP_SLOT);
        const h = hostR<u64>(sp, p);
        if (!h) break;
        const target = load<u64>(h);
        if (!isCanonical(target)) { raise(GP, 0); break; }
        set<u64>(RSP_SLOT, sp + 8 + imm<u64>(p));
        ic -= <i64>load<u16>(p, 6);
        const j = jumpEntry(target);
        if (ic >= FAST_LIMIT && load<u64>(j) == ((target & 0x0000ffffffffffff) | load<u64>(TAG_HIGH))) {
          p = load<u32>(j, 8);
          continue;
        }
        store<u64>(RIP, target);
        why = WHY_JUMP;
        break;
      }
      case Op.RARE: {
        store<u32>(CURRENT_OP, <u32>p);
        store<u64>(RIP, load<u64>(p, 8));
        store<u64>(INSTRUCTIONS, load<u64>(LIMIT) - <u64>ic + <u64>sideIndex(p));
        const r = execRare(p, sideRip(p));
        if (r == R_FAULT) break;
        ic -= <i64>load<u16>(p, 6);
        if (r != R_GO) {
          store<u64>(INSTRUCTIONS, load<u64>(LIMIT) - <u64>ic);
          return;
        }
        const target = load<u64>(RIP);
        const j = jumpEntry(target);
        if (ic >= FAST_LIMIT && load<u64>(j) == ((target & 0x0000ffffffffffff) | load<u64>(TAG_HIGH))) {
          p = load<u32>(j, 8);
          continue;
        }
        store<u64>(RIP, target);
        why = WHY_JUMP;
        break;
      }
      case Op.END: { ic -= <i64>load<u16>(p, 6); why = WHY_LEAVE; break; }
      case Op.FAULT: { raise(load<i32>(p, 12), load<i32>(p, 8)); break; }
      // --- links ---
      case Op.LINK: {
        const target = sideRip(p);
        const patch = load<u32>(p, 12);
        const epoch = arenaEpoch;
        store<u64>(RIP, target);
        store<u64>(INSTRUCTIONS, load<u64>(LIMIT) - <u64>ic);
        p = resume();
        if (!p) return;
        if (arenaEpoch == epoch && load<u64>(RIP) == target) store<u32>(patch, <u32>p);
        continue;
      }
      case Op.XJUMP: {
        const j = <usize>load<u32>(p, 2);
        if (load<u64>(j) == (load<u64>(p, 8) | load<u64>(TAG_HIGH))) {
          p = load<u32>(j, 8);
          continue;
        }
        store<u64>(RIP, sideRip(p));
        why = WHY_JUMP;
        break;
      }
      case Op.STALE: {
        const target = sideRip(p);
        const epoch = arenaEpoch;
        const old = p;
        store<u64>(RIP, target);
        store<u64>(INSTRUCTIONS, load<u64>(LIMIT) - <u64>ic);
        p = resume();
        if (!p) return;
        if (arenaEpoch == epoch && load<u64>(RIP) == target) {
          store<u32>(old, <u32>p, 8);
          store<u16>(old, <u16>Op.FORWARD);
        }
        continue;
      }
      case Op.FORWARD: { p = load<u32>(p, 8); continue; }
      case Op.RESYNC: {
        ic -= sideIndex(p);
        store<u64>(RIP, sideRip(p));
        why = WHY_JUMP;
        break;
      }
      // The cases of ../fusions.ts are put here by the build.
      // @fusions
      default: {
        store<u32>(CURRENT_OP, <u32>p); // for whoever looks at the wreck
        unreachable();
      }
    }
    if (why == WHY_FAULT) {
      settleFault(p);
      ic -= sideIndex(p);
    } else if (why == WHY_LEAVE) {
      store<u64>(RIP, sideRip(p));
      store<u64>(INSTRUCTIONS, load<u64>(LIMIT) - <u64>ic);
      return;
    }
    store<u64>(INSTRUCTIONS, load<u64>(LIMIT) - <u64>ic);
    if (ic < FAST_LIMIT && load<i32>(EXC_VECTOR) < 0) return;
    p = resume();
    if (!p || ic < FAST_LIMIT) return;
    why = WHY_FAULT;
  }
}
