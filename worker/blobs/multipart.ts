import { HttpError } from "../errors.ts";
import { UPLOAD_LIMITS } from "../limits.ts";

/** One part of a multipart/form-data body (RFC 7578). Its bytes must be read before the next part is asked for. */
export interface Part {
  readonly name: string;
  readonly bytes: AsyncIterable<Uint8Array>;
}

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();
const HEADER_END = ENCODER.encode("\r\n\r\n");

/** Position of `needle` in `hay`, or -1. */
function find(hay: Uint8Array, needle: Uint8Array, from = 0): number {
  const first = needle[0] ?? 0;
  for (let at = hay.indexOf(first, from); at >= 0; at = hay.indexOf(first, at + 1)) {
    if (at + needle.length > hay.length) return -1;
    let i = 1;
    while (i < needle.length && hay[at + i] === needle[i]) i++;
    if (i === needle.length) return at;
  }
  return -1;
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b;
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

/** Names for bytes as they are (RFC 2045, section 6.2). */
const NO_CODING: ReadonlySet<string> = new Set(["7bit", "8bit", "binary"]);

const malformed = (what: string): HttpError =>
  new HttpError(
    400,
    "bad-multipart",
    `The multipart body is malformed: ${what}. Let your client build it, such as curl -F.`,
  );

/** The boundary named by a Content-Type header; undefined if the type is another one. Throws HttpError. */
export function boundaryOf(contentType: string): string | undefined {
  if (!/^multipart\/form-data\s*(;|$)/i.test(contentType)) return undefined;
  const match = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType);
  const boundary = match?.[1] ?? match?.[2];
  if (boundary === undefined) throw malformed("its Content-Type names no boundary");
  return boundary;
}

/** Reads parts one after the other as they come in; holds one chunk at a time. */
class MultipartReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #delimiter: Uint8Array;
  // The first delimiter has no line break before it when there is no preamble; this one stands in for it.
  #buffer: Uint8Array = ENCODER.encode("\r\n");

  constructor(body: ReadableStream<Uint8Array>, boundary: string) {
    this.#reader = body.getReader();
    this.#delimiter = ENCODER.encode(`\r\n--${boundary}`);
  }

  async *parts(most: number): AsyncGenerator<Part> {
    for await (const _ of this.#untilDelimiter()) {
      // The preamble says nothing.
    }
    for (let index = 0; !(await this.#atEnd()); index++) {
      if (index >= most) throw malformed(`it has more than ${most} parts`);
      const name = await this.#headers();
      const bytes = this.#untilDelimiter();
      yield { name, bytes };
      for await (const _ of bytes) {
        // Whatever the consumer left.
      }
    }
    await this.#reader.cancel();
  }

  async #more(): Promise<void> {
    const { done, value } = await this.#reader.read().catch((error: unknown) => {
      // Whoever is told of it looks at the body.
      this.#reader.releaseLock();
      throw error;
    });
    if (done) throw malformed("it ends before its closing boundary");
    this.#buffer = join(this.#buffer, value);
  }

  /** After a delimiter: consumes the rest of its line; true for the closing one ("--"). */
  async #atEnd(): Promise<boolean> {
    while (this.#buffer.length < 2) await this.#more();
    if (this.#buffer[0] === 0x2d && this.#buffer[1] === 0x2d) return true;
    let end = find(this.#buffer, ENCODER.encode("\r\n"));
    while (end < 0) {
      if (this.#buffer.length > UPLOAD_LIMITS.partHeaderBytes)
        throw malformed("a boundary line does not end");
      await this.#more();
      end = find(this.#buffer, ENCODER.encode("\r\n"));
    }
    // The line break stays: it is where "\r\n\r\n" begins if the part has no headers.
    this.#buffer = this.#buffer.subarray(end);
    return false;
  }

  /** Consumes a part's headers; returns its name. */
  async #headers(): Promise<string> {
    let end = find(this.#buffer, HEADER_END);
    while (end < 0) {
      if (this.#buffer.length > UPLOAD_LIMITS.partHeaderBytes)
        throw malformed("a part's headers are too long");
      await this.#more();
      end = find(this.#buffer, HEADER_END);
    }
    const headers = DECODER.decode(this.#buffer.subarray(0, end));
    this.#buffer = this.#buffer.subarray(end + HEADER_END.length);
    const coding = /^content-transfer-encoding:\s*(\S+)/im.exec(headers)?.[1]?.toLowerCase();
    if (coding !== undefined && !NO_CODING.has(coding))
      throw malformed("a part has a Content-Transfer-Encoding, which RFC 7578 does without");
    const name = /^content-disposition:.*?;\s*name=(?:"([^"]*)"|([^\s;]+))/im.exec(headers);
    if (name === null) throw malformed("a part has no name");
    return name[1] ?? name[2] ?? "";
  }

  /** Everything up to the next delimiter, which is consumed. */
  async *#untilDelimiter(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const at = find(this.#buffer, this.#delimiter);
      if (at >= 0) {
        const chunk = this.#buffer.subarray(0, at);
        this.#buffer = this.#buffer.subarray(at + this.#delimiter.length);
        if (chunk.length > 0) yield chunk;
        return;
      }
      // All but what could be the beginning of a delimiter is content.
      const safe = this.#buffer.length - (this.#delimiter.length - 1);
      if (safe > 0) {
        const chunk = this.#buffer.subarray(0, safe);
        this.#buffer = this.#buffer.slice(safe);
        yield chunk;
      }
      await this.#more();
    }
  }
}

/** The parts of a multipart/form-data body, streamed; `most` of them. Throws HttpError 400 on a malformed body. */
export function multipartParts(
  body: ReadableStream<Uint8Array>,
  boundary: string,
  most: number = UPLOAD_LIMITS.parts,
): AsyncGenerator<Part> {
  return new MultipartReader(body, boundary).parts(most);
}
