/**
 * Undoes the x86 branch filter of xz: the targets of CALL and JMP rel32, which the compressor made absolute, become
 * relative again.
 *
 * The filter cannot see instruction boundaries. It remembers for the last three bytes whether they were opcodes
 * (`#recent`, one bit each, newest lowest) and leaves an operand alone that looks like a part of an earlier one.
 */
export class X86Branches {
  /** Offset that the next byte had for the compressor. */
  #offset: number;
  #recent = 0;
  /** Where the last opcode byte was, from the next byte. */
  #previous = -1;

  /** `start` is the offset that the first byte had for the compressor. */
  constructor(start: number) {
    this.#offset = start;
  }

  /**
   * Decodes `code` in place; returns how many of its bytes are finished. The others must be the first ones of the next
   * call; there are at most four. With `isLast` all are finished.
   */
  decode(code: Uint8Array, isLast: boolean): number {
    const last = code.length - 5;
    const start = this.#offset;
    let recent = this.#recent;
    let previous = this.#previous;
    let i = 0;
    for (; i <= last; i++) {
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
    const finished = isLast ? code.length : Math.min(i, code.length);
    this.#offset = start + finished;
    this.#recent = recent;
    // Far enough back is all the same.
    this.#previous = Math.max(previous - finished, -16);
    return finished;
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
