/** Damages byte arrays in a reproducible way, for fuzz tests. */
export class Mutator {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 .. bound-1 (xorshift32). */
  below(bound: number): number {
    let x = this.#state || 1;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state % bound;
  }

  /** A copy with one to four changes in its first `length` bytes. */
  damage(data: Uint8Array, length = data.length): Uint8Array {
    const copy = data.slice();
    for (let changes = 1 + this.below(4); changes > 0; changes--) {
      const at = this.below(length);
      switch (this.below(5)) {
        case 0:
          copy[at]! ^= 1 << this.below(8);
          break;
        case 1:
          copy[at] = this.below(256);
          break;
        case 2:
          copy.fill(this.below(2) * 0xff, at, Math.min(length, at + 1 + this.below(8)));
          break;
        case 3:
          copy[at] = 0xff;
          break;
        default:
          copy.set(data.subarray(this.below(length), length).slice(0, Math.min(16, length - at)), at);
      }
    }
    return copy;
  }
}
