import { HttpError, messageOf } from "../errors.ts";
import { chunksOf } from "../request-body.ts";

/**
 * A request's body, read no further than `most` bytes.
 *
 * @throws HttpError 413 if it is larger
 */
export async function bodyOf(
  body: ReadableStream<Uint8Array> | null,
  most: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body === null ? [] : chunksOf(body)) {
    size += chunk.length;
    if (size > most)
      throw new HttpError(413, "too-large", `The body is larger than ${most} bytes.`, { field: "body" });
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** How long a file is that is sent as the body. @throws HttpError 411 if the header does not say so */
export function lengthOf(contentLength: string | undefined): number {
  if (contentLength !== undefined && /^\d+$/.test(contentLength)) return Number(contentLength);
  throw new HttpError(
    411,
    "length-required",
    "Send the file with a Content-Length, as curl --upload-file does.",
    { field: "content-length" },
  );
}

/**
 * A request's body as JSON.
 *
 * @param example what is asked for, as whoever sent no JSON is told
 * @throws HttpError 413 if it is larger than `most` bytes, 400 if it is no JSON
 */
export async function jsonOf(
  body: ReadableStream<Uint8Array> | null,
  most: number,
  example: string,
): Promise<unknown> {
  const text = new TextDecoder().decode(await bodyOf(body, most));
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const why = messageOf(error);
    throw new HttpError(400, "bad-json", `The body is not valid JSON (${why}); send ${example}.`, {
      field: "body",
    });
  }
}
