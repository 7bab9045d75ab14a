/** Odd, with bits spread evenly: from the golden ratio, and two of its relatives. */
const MULTIPLIER = 0x9e3779b1;
const MULTIPLIER_2 = 0x85ebca77;
const MULTIPLIER_3 = 0xc2b2ae3d;

/** Takes in one word. For a given `hash` different words give different results, and the other way round. */
export function mixWord(hash: number, word: number): number {
  const h = Math.imul(hash ^ word, MULTIPLIER);
  return h ^ (h >>> 15);
}

/**
 * A checksum of 32 bits over a row of words. Any change that is confined to one word is certain to show, whatever the
 * others are; another goes unseen once in 2^32. It is for damage, not for adversaries: four independent lanes make it
 * several times as fast as a CRC.
 */
export function checksum(words: Uint32Array, seed = 0): number {
  let a = seed ^ 0x243f6a88;
  let b = seed ^ 0x85a308d3;
  let c = seed ^ 0x13198a2e;
  let d = seed ^ 0x03707344;
  const whole = words.length & ~3;
  for (let i = 0; i < whole; i += 4) {
    // A rotation after the product, so that high bits reach low ones before the next word comes.
    a = Math.imul(a ^ words[i]!, MULTIPLIER);
    a = (a << 13) | (a >>> 19);
    b = Math.imul(b ^ words[i + 1]!, MULTIPLIER);
    b = (b << 13) | (b >>> 19);
    c = Math.imul(c ^ words[i + 2]!, MULTIPLIER);
    c = (c << 13) | (c >>> 19);
    d = Math.imul(d ^ words[i + 3]!, MULTIPLIER);
    d = (d << 13) | (d >>> 19);
  }
  let hash = mixWord(mixWord(mixWord(a, b), c), d);
  for (let i = whole; i < words.length; i++) hash = mixWord(hash, words[i]!);
  return finish(mixWord(hash, words.length));
}

/** Spreads what the last steps left together. */
function finish(hash: number): number {
  let h = Math.imul(hash ^ (hash >>> 16), MULTIPLIER_2);
  h = Math.imul(h ^ (h >>> 13), MULTIPLIER_3);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Bytes that are not whole words are filled up here: again and again, because an isolate gets its memory back late. */
let padding = new Uint8Array(0);
/** What is longer gets a buffer of its own. */
const PADDING_BYTES = 64 * 1024;

/** The checksum of any bytes: the last word is filled up with zeros, and the length counts. */
export function checksumBytes(bytes: Uint8Array, seed = 0): number {
  if (bytes.byteOffset % 4 === 0 && bytes.length % 4 === 0) {
    return checksum(new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4), seed ^ bytes.length);
  }
  const whole = (bytes.length + 3) & ~3;
  if (padding.length === 0) padding = new Uint8Array(PADDING_BYTES);
  const padded = whole <= PADDING_BYTES ? padding : new Uint8Array(whole);
  padded.set(bytes);
  padded.fill(0, bytes.length, whole);
  return checksum(new Uint32Array(padded.buffer, 0, whole / 4), seed ^ bytes.length);
}

/** Whether every word is zero. */
export function isZero(words: Uint32Array): boolean {
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
  return true;
}
