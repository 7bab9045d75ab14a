/** Checksums of compressed streams. */

/** ECMA-182, reflected, as two halves because a 64-bit shift on BigInt is far too slow for a whole kernel. */
const CRC64_POLYNOMIAL_HIGH = 0xc96c5795;
const CRC64_POLYNOMIAL_LOW = 0xd7870f42;

const crc64TableHigh = new Uint32Array(256);
const crc64TableLow = new Uint32Array(256);

for (let i = 0; i < 256; i++) {
  let high = 0;
  let low = i;
  for (let bit = 0; bit < 8; bit++) {
    const carry = low & 1;
    low = (low >>> 1) | (high << 31);
    high >>>= 1;
    if (carry) {
      high ^= CRC64_POLYNOMIAL_HIGH;
      low ^= CRC64_POLYNOMIAL_LOW;
    }
  }
  crc64TableHigh[i] = high;
  crc64TableLow[i] = low;
}

/** CRC-64 as in xz (reflected ECMA-182), of bytes that come in pieces. */
export class Crc64 {
  #low = -1;
  #high = -1;

  update(data: Uint8Array): void {
    let low = this.#low;
    let high = this.#high;
    for (let i = 0; i < data.length; i++) {
      const index = (low ^ data[i]!) & 0xff;
      low = ((low >>> 8) | (high << 24)) ^ crc64TableLow[index]!;
      high = (high >>> 8) ^ crc64TableHigh[index]!;
    }
    this.#low = low;
    this.#high = high;
  }

  /** Low and high 32 bits. */
  get value(): { readonly low: number; readonly high: number } {
    return { low: ~this.#low >>> 0, high: ~this.#high >>> 0 };
  }
}

const bzip2Table = new Uint32Array(256);
for (let i = 0; i < 256; i++) {
  let crc = i << 24;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x80000000 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  bzip2Table[i] = crc;
}

/** CRC-32 as in bzip2, most significant bit first, of bytes that come in pieces. */
export class Bzip2Crc {
  #crc = -1;

  update(data: Uint8Array): void {
    let crc = this.#crc;
    for (let i = 0; i < data.length; i++) crc = bzip2Table[((crc >>> 24) ^ data[i]!) & 0xff]! ^ (crc << 8);
    this.#crc = crc;
  }

  get value(): number {
    return ~this.#crc >>> 0;
  }
}
