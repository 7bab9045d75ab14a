// A user-mode processor state as bytes. The oracle's wire format and our own runner share this one layout, so that a
// comparison is a walk over two byte arrays.
//
//   0  u64 gpr[16] (encoding order)   128 u64 rip   136 u64 rflags   144 u64 fs base   152 u64 gs base
// 160  u16 es cs ss ds fs gs, 4 bytes of zero
// 176  512 bytes as FXSAVE64 stores them (SDM vol. 1 table 10-2), of which 464-511 are zero

export const STATE_BYTES = 688;
export const RIP = 128;
export const RFLAGS = 136;
export const FS_BASE = 144;
export const GS_BASE = 152;
export const SELECTORS = 160;
export const FX = 176;

/** Offsets inside the FXSAVE area. */
export const FX_FCW = 0;
export const FX_FSW = 2;
export const FX_FTW = 4;
export const FX_FOP = 6;
export const FX_FIP = 8;
export const FX_FDP = 16;
export const FX_MXCSR = 24;
export const FX_MXCSR_MASK = 28;
export const FX_ST = 32;
export const FX_XMM = 160;

/** Arithmetic and control flags in RFLAGS (SDM vol. 1 3.4.3). */
export const FLAG = {
  CF: 0x1,
  PF: 0x4,
  AF: 0x10,
  ZF: 0x40,
  SF: 0x80,
  TF: 0x100,
  IF: 0x200,
  DF: 0x400,
  OF: 0x800,
  NT: 0x4000,
  RF: 0x10000,
  AC: 0x40000,
  ID: 0x200000,
} as const;

/** CF PF AF ZF SF OF */
export const ARITHMETIC_FLAGS = 0x8d5;

/** Selectors of 64-bit Linux; the GDT of our runner has the same descriptors at the same places. */
export const SELECTOR = { USER32_CS: 0x23, USER_DS: 0x2b, USER_CS: 0x33 } as const;

export const SEGMENT_NAMES = ["es", "cs", "ss", "ds", "fs", "gs"] as const;

/** A state with a typed view for each kind of field. The bytes may lie inside a larger buffer at an 8-byte boundary. */
export class State {
  readonly bytes: Uint8Array;
  readonly u64: BigUint64Array;
  readonly view: DataView;

  constructor(bytes: Uint8Array = new Uint8Array(STATE_BYTES)) {
    this.bytes = bytes;
    this.u64 = new BigUint64Array(bytes.buffer, bytes.byteOffset, STATE_BYTES / 8);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, STATE_BYTES);
  }

  clone(): State {
    return new State(this.bytes.slice());
  }

  gpr(i: number): bigint {
    return this.u64[i]!;
  }
  setGpr(i: number, value: bigint): void {
    this.u64[i] = value;
  }
  get rip(): bigint {
    return this.u64[RIP / 8]!;
  }
  set rip(value: bigint) {
    this.u64[RIP / 8] = value;
  }
  get rflags(): number {
    return Number(this.u64[RFLAGS / 8]!);
  }
  set rflags(value: number) {
    this.u64[RFLAGS / 8] = BigInt(value);
  }
  get mxcsr(): number {
    return this.view.getUint32(FX + FX_MXCSR, true);
  }
  set mxcsr(value: number) {
    this.view.setUint32(FX + FX_MXCSR, value, true);
  }
  get fcw(): number {
    return this.view.getUint16(FX + FX_FCW, true);
  }
  set fcw(value: number) {
    this.view.setUint16(FX + FX_FCW, value, true);
  }
  get fsw(): number {
    return this.view.getUint16(FX + FX_FSW, true);
  }
  set fsw(value: number) {
    this.view.setUint16(FX + FX_FSW, value, true);
  }
  /** Abridged: bit n is set if physical register n is not empty. */
  get ftw(): number {
    return this.bytes[FX + FX_FTW]!;
  }
  set ftw(value: number) {
    this.bytes[FX + FX_FTW] = value;
  }
  /** ES CS SS DS FS GS */
  selector(i: number): number {
    return this.view.getUint16(SELECTORS + 2 * i, true);
  }
  setSelector(i: number, value: number): void {
    this.view.setUint16(SELECTORS + 2 * i, value, true);
  }
  /** A view of XMM register i, 16 bytes. */
  xmm(i: number): Uint8Array {
    return this.bytes.subarray(FX + FX_XMM + 16 * i, FX + FX_XMM + 16 * i + 16);
  }
  /** A view of ST(i) counted from the top, 10 bytes. */
  st(i: number): Uint8Array {
    return this.bytes.subarray(FX + FX_ST + 16 * i, FX + FX_ST + 16 * i + 10);
  }
}
