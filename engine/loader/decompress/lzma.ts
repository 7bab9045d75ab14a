import { LOADER_LIMITS } from "../../limits.ts";
import { LzmaDecoder, lzmaProperties } from "./lzma-decoder.ts";
import { type Output, StreamError } from "./output.ts";

/** Properties, dictionary size, uncompressed size. */
const HEADER_BYTES = 13;

/** Decompresses an LZMA-alone file (.lzma, LZMA SDK) that fills `input`. */
export function decompressLzma(input: Uint8Array, output: Output): void {
  if (input.length < HEADER_BYTES) throw new StreamError("the header is cut off", 0);
  const view = new DataView(input.buffer, input.byteOffset, input.length);
  const properties = lzmaProperties(input[0]!);
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
  const decoder = new LzmaDecoder(input, output);
  decoder.setProperties(properties.lc, properties.lp, properties.pb);
  decoder.resetState();
  decoder.resetDictionary(Math.max(dictionarySize, 4096));
  decoder.start(HEADER_BYTES, input.length);
  if (decoder.decodeUntil(output.expected)) return;
  if (hasEndMarker && !decoder.decodeEndMarker()) {
    throw new StreamError("the stream holds more than it states", decoder.offset);
  }
}
