/** The domain's UUID (version 4), derived from the job's seed so that the same job is the same guest. */
export function uuidFromSeed(seed: bigint): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, splitMix64(seed, 1n));
  view.setBigUint64(8, splitMix64(seed, 2n));
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes;
}

/** Output `index` of SplitMix64 (Steele, Lea, Flood 2014) from `seed`. */
function splitMix64(seed: bigint, index: bigint): bigint {
  let z = BigInt.asUintN(64, seed + index * 0x9e3779b97f4a7c15n);
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}

/** "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" */
export function formatUuid(uuid: Uint8Array): string {
  const hex = [...uuid].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
