import { deflateRawSync, inflateRawSync } from "node:zlib";
import { SnapshotError } from "../../engine/snapshot-format.ts";

/*
 * Raw deflate. The platform's streams would do for files, but a page that a guest touches has to be there at once, and only
 * node:zlib decompresses synchronously. 64 KiB of a Debian's memory take 0.11 ms to decompress; level 1 takes 0.7 ms to
 * compress them to 23 %, level 6 takes 1.6 ms for 21 %.
 */
const LEVEL = 1;
/** workerd's zlib wants room for one more of its buffers (16 KiB) than it fills, or it says that the limit was exceeded. */
const SPARE_BYTES = 32 * 1024;

/** Compressed bytes, or `bytes` itself if that would not make them fewer. */
export function compress(bytes: Uint8Array): Uint8Array {
  const packed = deflateRawSync(bytes, { level: LEVEL });
  return packed.length < bytes.length ? packed : bytes;
}

/**
 * What `compress` was given.
 *
 * @throws SnapshotError if these are not `rawBytes` compressed bytes
 */
export function decompress(data: Uint8Array, rawBytes: number): Uint8Array {
  if (data.length === rawBytes) return data;
  let raw: Buffer;
  try {
    raw = inflateRawSync(data, { maxOutputLength: rawBytes + SPARE_BYTES });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new SnapshotError("damaged", `a record of the snapshot cannot be decompressed: ${why}`);
  }
  if (raw.length === rawBytes) return new Uint8Array(raw.buffer, raw.byteOffset, raw.length);
  throw new SnapshotError(
    "damaged",
    `a record of the snapshot has ${raw.length} bytes instead of ${rawBytes}`,
  );
}
