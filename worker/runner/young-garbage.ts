/** One word of small objects for so many bytes of a buffer. */
const BYTES_PER_WORD = 16;

/** Keeps the optimiser from leaving the allocation out. */
export let ballast: readonly undefined[] = [];

/**
 * Call after an array buffer of so many bytes has become garbage. V8 decides by the size of its small objects when to look
 * for young garbage; buffers hang on objects of a few bytes, so tens of megabytes of rows that were read from SQLite would
 * pile up in an isolate that has little to spare. Some small garbage with each of them lets them go sooner: after some 60
 * rows of 64 KiB instead of a thousand.
 */
export function noteGarbage(bytes: number): void {
  ballast = new Array<undefined>(Math.ceil(bytes / BYTES_PER_WORD));
}
