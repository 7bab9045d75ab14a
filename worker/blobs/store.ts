import { HttpError } from "../errors.ts";
import { UPLOAD_LIMITS } from "../limits.ts";

/** A stored file. */
export interface Blob {
  readonly sha256: string;
  readonly size: number;
}

/** Where a blob is kept: under its own hash, so that equal files are one. */
export const keyOf = (sha256: string): string => `sha256/${sha256}`;

function hexOf(bytes: ArrayBuffer): string {
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function tooLarge(field: string): HttpError {
  const mebibytes = UPLOAD_LIMITS.blobBytes / (1024 * 1024);
  return new HttpError(
    413,
    "too-large",
    `${field} is larger than ${mebibytes} MiB, the most this worker takes; strip or compress it.`,
    { field },
  );
}

/** The stored blob of this hash, if there is one. */
export async function findBlob(bucket: R2Bucket, sha256: string): Promise<Blob | undefined> {
  const object = await bucket.head(keyOf(sha256));
  return object === null ? undefined : { sha256, size: object.size };
}

/** Stores a stream whose hash the sender names; R2 checks it. Nothing is read if the blob is there already. */
export async function putBlob(
  bucket: R2Bucket,
  sha256: string,
  body: ReadableStream<Uint8Array>,
  size: number,
): Promise<{ readonly blob: Blob; readonly created: boolean }> {
  const existing = await findBlob(bucket, sha256);
  if (existing !== undefined) {
    await body.cancel();
    return { blob: existing, created: false };
  }
  const fixed = new FixedLengthStream(size);
  const copied = body.pipeTo(fixed.writable);
  try {
    await Promise.all([bucket.put(keyOf(sha256), fixed.readable, { sha256 }), copied]);
  } catch (error) {
    // R2 answers a wrong checksum with error 10037.
    if (!(error instanceof Error) || !/10037|checksum|SHA-256/i.test(error.message)) throw error;
    throw new HttpError(
      422,
      "hash-mismatch",
      "The body's SHA-256 is not the one in the address; hash the file again and resend it.",
      {
        field: "sha256",
      },
    );
  }
  return { blob: { sha256, size }, created: true };
}

/** Gathers chunks into pieces of exactly `size` bytes, all but the last. */
export async function* pieces(chunks: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  let piece = new Uint8Array(size);
  let filled = 0;
  for await (let chunk of chunks) {
    while (chunk.length > 0) {
      const taken = Math.min(size - filled, chunk.length);
      piece.set(chunk.subarray(0, taken), filled);
      filled += taken;
      chunk = chunk.subarray(taken);
      if (filled === size) {
        yield piece;
        piece = new Uint8Array(size);
        filled = 0;
      }
    }
  }
  if (filled > 0) yield piece.subarray(0, filled);
}

/**
 * Stores a stream of unknown length and hash. It is hashed on its way; a file larger than one piece goes to a temporary
 * R2 upload first, which is completed and moved under its hash only if no blob of that hash exists. So no file is ever
 * held whole or kept twice. Throws HttpError 413 beyond the limit.
 *
 * @param admit is asked before a blob is stored that was not here; if it rejects, nothing stays
 */
export async function storeBlob(
  bucket: R2Bucket,
  chunks: AsyncIterable<Uint8Array>,
  field: string,
  admit: (blob: Blob) => Promise<void> = async () => {},
): Promise<Blob> {
  const digest = new crypto.DigestStream("SHA-256");
  const hasher = digest.getWriter();
  let size = 0;
  let first: Uint8Array | undefined;
  let upload: R2MultipartUpload | undefined;
  const uploaded: R2UploadedPart[] = [];
  try {
    for await (const piece of pieces(chunks, UPLOAD_LIMITS.r2PartBytes)) {
      size += piece.length;
      if (size > UPLOAD_LIMITS.blobBytes) throw tooLarge(field);
      await hasher.write(piece);
      if (first === undefined && upload === undefined) {
        first = piece;
        continue;
      }
      upload ??= await bucket.createMultipartUpload(`upload/${crypto.randomUUID()}`);
      if (first !== undefined) uploaded.push(await upload.uploadPart(1, first));
      first = undefined;
      uploaded.push(await upload.uploadPart(uploaded.length + 1, piece));
    }
    await hasher.close();
    const sha256 = hexOf(await digest.digest);
    const blob: Blob = { sha256, size };
    if ((await findBlob(bucket, sha256)) !== undefined) {
      await upload?.abort();
      return blob;
    }
    await admit(blob);
    if (upload === undefined) {
      await bucket.put(keyOf(sha256), first ?? new Uint8Array(0), { sha256 });
    } else {
      await moveUpload(bucket, await upload.complete(uploaded), sha256);
    }
    return blob;
  } catch (error) {
    // An unfinished digest rejects its promise; nobody waits for it any more.
    digest.digest.catch(() => {});
    await hasher.abort(error).catch(() => {});
    await upload?.abort().catch(() => {});
    throw error;
  }
}

async function moveUpload(bucket: R2Bucket, temporary: R2Object, sha256: string): Promise<void> {
  try {
    const object = await bucket.get(temporary.key);
    if (object === null) throw new Error(`the upload ${temporary.key} vanished`);
    await bucket.put(keyOf(sha256), object.body, { sha256 });
  } finally {
    await bucket.delete(temporary.key);
  }
}
