/**
 * Gives an array buffer's memory back at once; the buffer is empty from here on, and so is every view of it.
 *
 * V8 decides by the size of its small objects when to look for garbage, and buffers hang on objects of a few bytes: tens of
 * megabytes of rows that were read from a database would pile up where there is little to spare. A buffer that is
 * transferred to an empty one leaves nothing to collect.
 */
export function freeBuffer(buffer: ArrayBuffer): void {
  buffer.transfer(0);
}
