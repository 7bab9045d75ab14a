// Entry of the x87: which function executes an escape opcode D8-DF. SDM vol. 2 appendix A, tables.
import { FDP, FIP, FOP, FSW, SOFT_B, X87_RIP } from "./layout";
import { readable } from "./mmu";
import { raiseNoError } from "./exception";
import { arithMemory, arithRegisters, compareFlags, compareMemory, compareRegisters, examine, squareRoot, testZero } from "./x87-arith";
import { changeSign, conditionalMove, exchange, loadBcd, loadConstant, loadExtended, loadFloat, loadInteger, loadRegister, storeBcd, storeExtended,
  storeFloat, storeInteger, storeRegister, storeRegisterQuietly, unpackMemory } from "./x87-transfer";
import { clearExceptions, initialize, loadControl, loadEnvironment, restoreState, rotateTop, saveState, storeControl, storeEnvironment, storeStatus,
  storeStatusAx } from "./x87-env";
import { C1, pop, setConditions, setEmpty, x87Begin } from "./x87-state";
import { extract, partialRemainder, roundToInteger, scale } from "./x87-math";
import { transcendental } from "./x87-transcendental";

const VECTOR_MF: i32 = 16;

/** FWAIT, and the start of every waiting instruction: #MF if an unmasked exception is pending. 0: #MF is pending. */
export function x87Wait(): i32 {
  return load<u16>(FSW) & 0x80 ? raiseNoError(VECTOR_MF) : 1;
}

/** Notes the instruction in FIP and FOP, as every instruction but the control ones does. */
@inline
function notePointers(opcode: i32, modrm: i32): void {
  store<u64>(FIP, load<u64>(X87_RIP));
  store<u16>(FOP, <u16>(((opcode & 7) << 8) | modrm));
}

/** D8, DA, DC, DE memory forms: arithmetic and comparison with m32, m32int, m64, m16int. */
function memoryArithmetic(opcode: i32, group: i32, ea: u64): i32 {
  const kind = (opcode >> 1) & 3;
  const p = readable(ea, kind == 0 || kind == 1 ? 4 : kind == 2 ? 8 : 2);
  if (!p) return 0;
  x87Begin();
  unpackMemory(SOFT_B, p, kind);
  if (group == 2 || group == 3) compareMemory(group == 3);
  else arithMemory(group);
  return 1;
}

/** D9, DB, DD, DF memory forms that load or store data. */
function memoryTransfer(opcode: i32, group: i32, ea: u64): i32 {
  const size = opcode == 0xd9 || opcode == 0xdb ? 4 : opcode == 0xdd ? 8 : 2;
  const integer = opcode == 0xdb || opcode == 0xdf;
  switch (group) {
    case 0: return integer ? loadInteger(ea, size) : loadFloat(ea, size);
    case 1: return storeInteger(ea, size, true, true);
    case 2: case 3: return integer ? storeInteger(ea, size, false, group == 3) : storeFloat(ea, size, group == 3);
    case 4: return loadBcd(ea);
    case 5: return opcode == 0xdb ? loadExtended(ea) : loadInteger(ea, 8);
    case 6: return storeBcd(ea);
    default: return opcode == 0xdb ? storeExtended(ea) : storeInteger(ea, 8, false, true);
  }
}

function memoryForm(opcode: i32, modrm: i32, small: bool, ea: u64): i32 {
  const group = (modrm >> 3) & 7;
  // Control instructions; the N forms do not wait.
  if (opcode == 0xd9 && group >= 4) {
    if (group == 6) return storeEnvironment(ea, small);
    if (group == 7) return storeControl(ea);
    if (!x87Wait()) return 0;
    return group == 4 ? loadEnvironment(ea, small) : loadControl(ea);
  }
  if (opcode == 0xdd && group >= 4) {
    if (group == 6) return saveState(ea, small);
    if (group == 7) return storeStatus(ea);
    return x87Wait() ? restoreState(ea, small) : 0;
  }
  if (!x87Wait()) return 0;
  const done = opcode & 1 ? memoryTransfer(opcode, group, ea) : memoryArithmetic(opcode, group, ea);
  if (done) {
    notePointers(opcode, modrm);
    store<u64>(FDP, ea);
  }
  return done;
}

/** D9 E0-FF. */
function unary(modrm: i32): void {
  if (modrm >= 0xe8 && modrm <= 0xee) {
    loadConstant(modrm - 0xe8);
    return;
  }
  switch (modrm) {
    case 0xe0: changeSign(true); break;
    case 0xe1: changeSign(false); break;
    case 0xe4: testZero(); break;
    case 0xe5: examine(); break;
    case 0xf4: extract(); break;
    case 0xf5: partialRemainder(true); break;
    case 0xf6: case 0xf7: // FDECSTP, FINCSTP
      setConditions(C1, 0);
      rotateTop(modrm == 0xf6 ? 7 : 1);
      break;
    case 0xf8: partialRemainder(false); break;
    case 0xfa: squareRoot(); break;
    case 0xfc: roundToInteger(); break;
    case 0xfd: scale(); break;
    default: transcendental(modrm);
  }
}

/** DA and DB register forms: conditional moves and comparisons. */
function conditionalForms(opcode: i32, group: i32, modrm: i32): void {
  const i = <u32>(modrm & 7);
  if (group < 4) conditionalMove(group, opcode == 0xdb, i);
  else if (opcode == 0xda) compareRegisters(1, true, 2);
  else compareFlags(i, group == 5, false);
}

/** D9, DD, DF register forms, with the aliases that the manuals leave out (DD C8, DF C8, DF D0 ...). */
function registerTransfer(opcode: i32, group: i32, modrm: i32): void {
  const i = <u32>(modrm & 7);
  if (group == 1) exchange(i);
  else if (opcode == 0xd9) {
    if (group >= 4) unary(modrm);
    else if (group == 0) loadRegister(i);
    else if (group == 3) storeRegisterQuietly(i);
    // else FNOP
  } else if (group == 0) {
    setConditions(C1, 0);
    setEmpty(i);
    if (opcode == 0xdf) pop();
  } else if (group <= 3) storeRegister(i, opcode == 0xdf || group == 3);
  else if (opcode == 0xdd) compareRegisters(i, true, group == 5 ? 1 : 0);
  else compareFlags(i, group == 5, true);
}

/** D8, DC, DE register forms. */
function registerArithmetic(opcode: i32, group: i32, modrm: i32): void {
  const i = <u32>(modrm & 7);
  if (group != 2 && group != 3) arithRegisters(group, i, opcode != 0xd8, opcode == 0xde);
  else if (opcode == 0xde && group == 3) compareRegisters(1, false, 2);
  else compareRegisters(i, false, group == 3 || opcode == 0xde ? 1 : 0);
}

function registerForm(opcode: i32, modrm: i32): i32 {
  const group = (modrm >> 3) & 7;
  if (opcode == 0xdb && group == 4) {
    if (modrm == 0xe2) clearExceptions();
    else if (modrm == 0xe3) initialize();
    return 1; // E0, E1, E4: FENI, FDISI, FSETPM do nothing since the 387
  }
  if (opcode == 0xdf && group == 4) {
    storeStatusAx();
    return 1;
  }
  if (!x87Wait()) return 0;
  if (opcode == 0xda || opcode == 0xdb) conditionalForms(opcode, group, modrm);
  else if (opcode & 1) registerTransfer(opcode, group, modrm);
  else registerArithmetic(opcode, group, modrm);
  if (opcode != 0xd9 || modrm != 0xd0) notePointers(opcode, modrm);
  return 1;
}

/**
 * Executes an x87 instruction that exists (x87-decode.ts). `op` points to the micro-op: u8 at 2 opcode D8-DF, 3 ModRM, 4 memory form, 5 operand size
 * 16. `ea` is the linear address of a memory form; X87_RIP holds the instruction's RIP. Returns 1, or 0 when an exception
 * is pending. An unmasked x87 exception is only noted: the next waiting instruction raises #MF. CR0 has been checked.
 */
export function execX87(op: usize, ea: u64): i32 {
  const opcode = <i32>load<u8>(op, 2);
  const modrm = <i32>load<u8>(op, 3);
  if (load<u8>(op, 4)) return memoryForm(opcode, modrm, load<u8>(op, 5) != 0, ea);
  return registerForm(opcode, modrm);
}
