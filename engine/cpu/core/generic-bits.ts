// Bit tests, byte swaps and CRC32.

import { CF, getArithFlags, setArithFlags } from "./flags";

/** BT BTS BTR BTC by kind 0..3 on a value and bit number; CF only. */
export function bitOperation<T>(kind: i32, v: T, bit: u32): T {
  const m: T = <T>(<T>1 << <T>bit);
  setArithFlags((getArithFlags() & ~CF) | ((v & m) != 0 ? CF : 0));
  if (kind == 1) return <T>(v | m);
  if (kind == 2) return <T>(v & ~m);
  if (kind == 3) return <T>(v ^ m);
  return v;
}

/** One step of the CRC32 instruction: the Castagnoli polynomial, bits reflected. */
export function crc32c(crc: u32, byte: u32): u32 {
  let c = crc ^ byte;
  for (let i = 0; i < 8; i++) c = c & 1 ? (c >> 1) ^ 0x82f63b78 : c >> 1;
  return c;
}

/** BSWAP in any size from 16 bits on. */
export function byteSwap<T>(v: T): T {
  if (sizeof<T>() == 2) return <T>(((<u32>v & 0xff) << 8) | ((<u32>v >> 8) & 0xff));
  return bswap<T>(v);
}
