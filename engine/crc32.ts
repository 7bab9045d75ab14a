const POLYNOMIAL = 0xedb88320;

const table = new Uint32Array(256);
for (let i = 0; i < 256; i++) {
  let crc = i;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  table[i] = crc;
}

/** CRC-32 as in gzip, xz and Ethernet (reflected 0x04c11db7), of bytes that come in pieces. */
export class Crc32 {
  #crc = -1;

  update(data: Uint8Array): void {
    let crc = this.#crc;
    for (let i = 0; i < data.length; i++) crc = table[(crc ^ data[i]!) & 0xff]! ^ (crc >>> 8);
    this.#crc = crc;
  }

  /** The CRC of what came so far. */
  get value(): number {
    return ~this.#crc >>> 0;
  }
}

/** CRC-32 of `data`. */
export function crc32(data: Uint8Array): number {
  const crc = new Crc32();
  crc.update(data);
  return crc.value;
}
