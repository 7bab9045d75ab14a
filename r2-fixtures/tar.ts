/** A regular file met in a tar stream. */
export interface TarMember {
  /** As stored, without a leading "./". */
  readonly name: string;
  readonly data: Uint8Array;
}

const BLOCK_BYTES = 512;
/** Header fields: POSIX ustar interchange format (IEEE Std 1003.1, pax). */
const NAME = { offset: 0, length: 100 } as const;
const SIZE = { offset: 124, length: 12 } as const;
const TYPE_OFFSET = 156;
const MAGIC = { offset: 257, text: "ustar" } as const;
const PREFIX = { offset: 345, length: 155 } as const;
/** GNU tar: the data of this member is the name of the next one. */
const TYPE_GNU_LONG_NAME = "L";
const TYPES_OF_FILES: readonly string[] = ["0", "\0"];
/** Nothing that is wanted here is larger. */
const MAX_MEMBER_BYTES = 256 * 1024 * 1024;

/** Reads a byte stream in pieces of a wanted size. */
class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #buffered: Uint8Array[] = [];
  #available = 0;

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  /** The next `length` bytes; undefined if the stream ended before all of them. */
  async take(length: number): Promise<Uint8Array | undefined> {
    if (!(await this.#fill(length))) return undefined;
    const result = new Uint8Array(length);
    let at = 0;
    this.#consume(length, (part) => {
      result.set(part, at);
      at += part.length;
    });
    return result;
  }

  async skip(length: number): Promise<boolean> {
    let left = length;
    while (left > 0) {
      if (!(await this.#fill(1))) return false;
      const now = Math.min(left, this.#available);
      this.#consume(now, () => {});
      left -= now;
    }
    return true;
  }

  async #fill(length: number): Promise<boolean> {
    while (this.#available < length) {
      const next = await this.#chunks.next();
      if (next.done === true) return false;
      this.#buffered.push(next.value);
      this.#available += next.value.length;
    }
    return true;
  }

  #consume(length: number, each: (part: Uint8Array) => void): void {
    let left = length;
    while (left > 0) {
      const first = this.#buffered[0]!;
      const part = first.subarray(0, left);
      each(part);
      left -= part.length;
      if (part.length === first.length) this.#buffered.shift();
      else this.#buffered[0] = first.subarray(part.length);
    }
    this.#available -= length;
  }
}

function text(
  block: Uint8Array,
  { offset, length }: { readonly offset: number; readonly length: number },
): string {
  const field = block.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}

/**
 * Reads a tar stream to its end and returns the regular files whose name (without "./") matches.
 *
 * Throws Error for a stream that is no tar archive or ends too early.
 */
export async function readTar(stream: AsyncIterable<Uint8Array>, wanted: RegExp): Promise<TarMember[]> {
  const reader = new ByteReader(stream);
  const members: TarMember[] = [];
  let longName: string | undefined;
  for (;;) {
    const block = await reader.take(BLOCK_BYTES);
    if (block === undefined) throw new Error("tar: the archive ends without its end mark");
    if (block.every((byte) => byte === 0)) break;
    if (text(block, { offset: MAGIC.offset, length: MAGIC.text.length }) !== MAGIC.text) {
      throw new Error("tar: a header has no ustar magic");
    }
    const size = Number.parseInt(text(block, SIZE).trim(), 8);
    if (!Number.isSafeInteger(size) || size < 0) throw new Error("tar: a header has no valid size");
    const type = String.fromCharCode(block[TYPE_OFFSET]!);
    // GNU's own header ("ustar  ") uses the place of the prefix for times.
    const prefix = block[MAGIC.offset + MAGIC.text.length] === 0 ? text(block, PREFIX) : "";
    const shortName = prefix === "" ? text(block, NAME) : `${prefix}/${text(block, NAME)}`;
    const name = (longName ?? shortName).replace(/^\.\//, "");
    longName = undefined;
    const padding = -size & (BLOCK_BYTES - 1);
    const isWanted = TYPES_OF_FILES.includes(type) && wanted.test(name);
    if (isWanted || type === TYPE_GNU_LONG_NAME) {
      if (size > MAX_MEMBER_BYTES)
        throw new Error(`tar: ${name} has ${size} bytes, limit ${MAX_MEMBER_BYTES}`);
      const data = await reader.take(size);
      if (data === undefined) throw new Error(`tar: the archive ends within ${name}`);
      if (isWanted) members.push({ name, data });
      else longName = text(data, { offset: 0, length: size });
      await reader.skip(padding);
    } else if (!(await reader.skip(size + padding))) {
      throw new Error(`tar: the archive ends within ${name}`);
    }
  }
  // The writer of a pipe must see it read to the end.
  while (await reader.skip(BLOCK_BYTES)) {}
  return members;
}
