/* struct start_info of xen/include/public/xen.h, as a 64-bit guest sees it. */

const MAGIC = "xen-3.0-x86_64";
export const START_INFO_BYTES = 1168;
/** SIF_MOD_START_PFN: mod_start is a page number. */
export const SIF_MOD_START_PFN = 1 << 3;

/** Byte offsets of the fields. */
export const START_INFO = {
  MAGIC: 0,
  NR_PAGES: 32,
  SHARED_INFO: 40,
  FLAGS: 48,
  STORE_MFN: 56,
  STORE_EVTCHN: 64,
  CONSOLE_MFN: 72,
  CONSOLE_EVTCHN: 80,
  PT_BASE: 88,
  NR_PT_FRAMES: 96,
  MFN_LIST: 104,
  MOD_START: 112,
  MOD_LEN: 120,
  CMD_LINE: 128,
  FIRST_P2M_PFN: 1152,
  NR_P2M_FRAMES: 1160,
} as const;

export interface StartInfo {
  readonly nrPages: number;
  /** Machine address of shared_info. */
  readonly sharedInfo: number;
  readonly storeMfn: number;
  readonly storePort: number;
  readonly consoleMfn: number;
  readonly consolePort: number;
  /** Virtual address of the L4. */
  readonly ptBase: bigint;
  readonly nrPtFrames: number;
  /** Virtual address of the p2m list. */
  readonly mfnList: bigint;
  /** A page number if `modStartIsPfn`, else a virtual address; 0 without an initrd. */
  readonly modStart: bigint;
  readonly modStartIsPfn: boolean;
  /** Bytes. */
  readonly modLen: number;
  /** At most 1023 bytes, without NUL. */
  readonly cmdline: Uint8Array;
  /** The p2m's pages if it is mapped outside the initial mapping (INIT_P2M), with its page tables; else 0. */
  readonly firstP2mPfn: number;
  readonly nrP2mFrames: number;
}

export function encodeStartInfo(info: StartInfo): Uint8Array {
  const bytes = new Uint8Array(START_INFO_BYTES);
  const view = new DataView(bytes.buffer);
  const word = (offset: number, value: number | bigint): void =>
    view.setBigUint64(offset, BigInt(value), true);
  bytes.set(new TextEncoder().encode(MAGIC), START_INFO.MAGIC);
  word(START_INFO.NR_PAGES, info.nrPages);
  word(START_INFO.SHARED_INFO, info.sharedInfo);
  view.setUint32(START_INFO.FLAGS, info.modStartIsPfn ? SIF_MOD_START_PFN : 0, true);
  word(START_INFO.STORE_MFN, info.storeMfn);
  view.setUint32(START_INFO.STORE_EVTCHN, info.storePort, true);
  word(START_INFO.CONSOLE_MFN, info.consoleMfn);
  view.setUint32(START_INFO.CONSOLE_EVTCHN, info.consolePort, true);
  word(START_INFO.PT_BASE, info.ptBase);
  word(START_INFO.NR_PT_FRAMES, info.nrPtFrames);
  word(START_INFO.MFN_LIST, info.mfnList);
  word(START_INFO.MOD_START, info.modStart);
  word(START_INFO.MOD_LEN, info.modLen);
  bytes.set(info.cmdline, START_INFO.CMD_LINE);
  word(START_INFO.FIRST_P2M_PFN, info.firstP2mPfn);
  word(START_INFO.NR_P2M_FRAMES, info.nrP2mFrames);
  return bytes;
}
