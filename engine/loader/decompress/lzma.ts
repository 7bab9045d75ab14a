import { LOADER_LIMITS } from "../../limits.ts";
import type { Input } from "./input.ts";
import { LzmaDecoder, lzmaProperties } from "./lzma-decoder.ts";
import type { Output } from "./output.ts";
import { StreamError } from "./stream-error.ts";

/** Properties, dictionary size, uncompressed size. */
const HEADER_BYTES = 13;
const PIECE_BYTES = 64 * 1024;

/** Decompresses an LZMA-alone file (.lzma, LZMA SDK) that fills `input`. */
export async function decompressLzma(input: Input, output: Output): Promise<void> {
  const header = await input.take(HEADER_BYTES, "the header");
  const view = new DataView(header.buffer, header.byteOffset, HEADER_BYTES);
  const properties = lzmaProperties(header[0]!);
  if (properties === undefined) throw new StreamError("the properties byte is impossible", 0);
  const dictionarySize = view.getUint32(1, true);
  if (dictionarySize > LOADER_LIMITS.dictionaryBytes) {
    throw new StreamError(
      `a dictionary of ${dictionarySize} bytes exceeds ${LOADER_LIMITS.dictionaryBytes}`,
      1,
    );
  }
  const stated = view.getBigUint64(5, true);
  const hasEndMarker = stated === 0xffff_ffff_ffff_ffffn;
  if (!hasEndMarker && stated !== BigInt(output.expected)) {
    throw new StreamError(`the header states ${stated} bytes where the payload states ${output.expected}`, 5);
  }
  const decoder = new LzmaDecoder(output);
  decoder.setProperties(properties.lc, properties.lp, properties.pb);
  decoder.resetState();
  decoder.resetDictionary(Math.max(dictionarySize, 4096));
  await feed(decoder, input);
  decoder.start();
  for (;;) {
    const end = decoder.decodeUntil(output.expected);
    if (end === "end-marker") return;
    if (end === "stop") break;
    input.at += decoder.offset - input.offset;
    await feed(decoder, input);
  }
  input.at += decoder.offset - input.offset;
  await feed(decoder, input);
  if (hasEndMarker && !decoder.decodeEndMarker()) {
    throw new StreamError("the stream holds more than it states", decoder.offset);
  }
}

/** Shows the decoder what follows in the input, without taking it. */
async function feed(decoder: LzmaDecoder, input: Input): Promise<void> {
  await input.fill(PIECE_BYTES);
  const bytes = input.bytes.subarray(input.at);
  decoder.feed(bytes, input.offset, bytes.length === input.left);
}
