/**
 * Undoes, in place, the x86 branch filter of xz: the targets of CALL and JMP rel32, which the compressor made absolute,
 * become relative again. `start` is the offset that the first byte had for the compressor.
 *
 * The filter cannot see instruction boundaries. It remembers for the last three bytes whether they were opcodes
 * (`recent`, one bit each, newest lowest) and leaves an operand alone that looks like a part of an earlier one.
 */
export function decodeX86Branches(code: Uint8Array, start: number): void {
  const last = code.length - 5;
  let recent = 0;
  let previous = -1;
  for (let i = 0; i <= last; i++) {
    if ((code[i]! & 0xfe) !== 0xe8) continue;
    const gap = i - previous;
    previous = i;
    recent = gap > 3 ? 0 : (recent << (gap - 1)) & 7;
    if (recent !== 0) {
      // Which operand byte of the opcode before would be the top byte of this operand.
      const shared = code[i + 4 - sharedBytes(recent)]!;
      if (!mayOverlap(recent) || isSignByte(shared)) {
        recent = ((recent << 1) | 1) & 7;
        continue;
      }
    }
    if (!isSignByte(code[i + 4]!)) {
      recent = ((recent << 1) | 1) & 7;
      continue;
    }
    let target = code[i + 1]! | (code[i + 2]! << 8) | (code[i + 3]! << 16) | (code[i + 4]! << 24);
    for (;;) {
      const relative = (target - (start + i + 5)) | 0;
      if (recent === 0) {
        target = relative;
        break;
      }
      const shift = sharedBytes(recent) * 8;
      if (!isSignByte((relative >>> (24 - shift)) & 0xff)) {
        target = relative;
        break;
      }
      target = relative ^ ((1 << (32 - shift)) - 1);
    }
    // Only 25 bits are kept; the rest is sign.
    target = (target << 7) >> 7;
    code[i + 1] = target;
    code[i + 2] = target >>> 8;
    code[i + 3] = target >>> 16;
    code[i + 4] = target >>> 24;
    i += 4;
    // The opcode just converted counts as no opcode for what follows.
    recent = 0;
  }
}

function isSignByte(byte: number): boolean {
  return byte === 0x00 || byte === 0xff;
}

function sharedBytes(recent: number): number {
  return recent === 1 ? 1 : recent < 4 ? 2 : 3;
}

function mayOverlap(recent: number): boolean {
  return recent === 1 || recent === 2 || recent === 4;
}
