import type { ByteSource } from "../../engine/loader/source.ts";
import { type Blob, keyOf } from "./store.ts";

/** A blob that was there has been removed, by a rule of the bucket or by hand. */
export class MissingBlob extends Error {
  override readonly name = "MissingBlob";
}

/** A blob as the engine reads it: range by range, so that it is never in memory as a whole. */
export class BlobSource implements ByteSource {
  readonly size: number;
  readonly #bucket: R2Bucket;
  readonly #blob: Blob;
  readonly #what: string;
  #buffer = new ArrayBuffer(0);

  /** `what` names the blob in messages: "kernel", "initrd". */
  constructor(bucket: R2Bucket, blob: Blob, what: string) {
    this.size = blob.size;
    this.#bucket = bucket;
    this.#blob = blob;
    this.#what = what;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    // R2 has no empty ranges.
    if (length === 0) return new Uint8Array(0);
    const { sha256 } = this.#blob;
    const object = await this.#bucket.get(keyOf(sha256), { range: { offset, length } });
    if (object === null) throw new MissingBlob(`the ${this.#what} ${sha256} is no longer stored`);
    // The same buffer each time: it goes to the stream and comes back.
    const room = this.#buffer.byteLength >= length ? this.#buffer : new ArrayBuffer(length);
    const reader = (object.body as ReadableStream<Uint8Array>).getReader({ mode: "byob" });
    const { value } = await reader.readAtLeast(length, new Uint8Array(room, 0, length));
    await reader.cancel();
    if (value === undefined || value.length !== length) {
      throw new Error(
        `of the ${this.#what} ${sha256} only ${value?.length ?? 0} of ${length} bytes were read`,
      );
    }
    this.#buffer = value.buffer as ArrayBuffer;
    return value;
  }
}
