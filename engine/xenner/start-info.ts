import type { WordBytes } from "./abi.ts";

/* struct start_info of xen/include/public/xen.h, as a guest of either word size sees it. */

const MAGIC = { 8: "xen-3.0-x86_64", 4: "xen-3.0-x86_32p" } as const;
export const START_INFO_BYTES = 1168;
export const START_INFO_BYTES_32 = 1112;
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

/** The same for a 32-bit guest. */
export const START_INFO_32 = {
  MAGIC: 0,
  NR_PAGES: 32,
  SHARED_INFO: 36,
  FLAGS: 40,
  STORE_MFN: 44,
  STORE_EVTCHN: 48,
  CONSOLE_MFN: 52,
  CONSOLE_EVTCHN: 56,
  PT_BASE: 60,
  NR_PT_FRAMES: 64,
  MFN_LIST: 68,
  MOD_START: 72,
  MOD_LEN: 76,
  CMD_LINE: 80,
  FIRST_P2M_PFN: 1104,
  NR_P2M_FRAMES: 1108,
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

/** The structure in the layout of a guest whose words have so many bytes. */
export function encodeStartInfo(info: StartInfo, wordBytes: WordBytes = 8): Uint8Array {
  const at = wordBytes === 8 ? START_INFO : START_INFO_32;
  const bytes = new Uint8Array(wordBytes === 8 ? START_INFO_BYTES : START_INFO_BYTES_32);
  const view = new DataView(bytes.buffer);
  const word = (offset: number, value: number | bigint): void => {
    if (wordBytes === 8) view.setBigUint64(offset, BigInt(value), true);
    else view.setUint32(offset, Number(value), true);
  };
  bytes.set(new TextEncoder().encode(MAGIC[wordBytes]), at.MAGIC);
  word(at.NR_PAGES, info.nrPages);
  word(at.SHARED_INFO, info.sharedInfo);
  view.setUint32(at.FLAGS, info.modStartIsPfn ? SIF_MOD_START_PFN : 0, true);
  word(at.STORE_MFN, info.storeMfn);
  view.setUint32(at.STORE_EVTCHN, info.storePort, true);
  word(at.CONSOLE_MFN, info.consoleMfn);
  view.setUint32(at.CONSOLE_EVTCHN, info.consolePort, true);
  word(at.PT_BASE, info.ptBase);
  word(at.NR_PT_FRAMES, info.nrPtFrames);
  word(at.MFN_LIST, info.mfnList);
  word(at.MOD_START, info.modStart);
  word(at.MOD_LEN, info.modLen);
  bytes.set(info.cmdline, at.CMD_LINE);
  word(at.FIRST_P2M_PFN, info.firstP2mPfn);
  word(at.NR_P2M_FRAMES, info.nrP2mFrames);
  return bytes;
}
