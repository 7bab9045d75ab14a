import { crc32 } from "./crc32.ts";

/*
 * The bytes of a checkpoint: magic, version, length and CRC-32 of the body; the body is a JSON document (devices and
 * clock) and the processor's own state. Memory is not in it, it is in the page store.
 */

/** "XNRK", little-endian. */
const MAGIC = 0x4b524e58;
/** Changes with the meaning of anything inside. */
export const CHECKPOINT_VERSION = 2;
/** The oldest that can still be read: what differs, each device tells by the shape of its state. */
const OLDEST_VERSION = 1;

/** Whether a checkpoint of this version can be read. */
export function isReadable(version: number): boolean {
  return version >= OLDEST_VERSION && version <= CHECKPOINT_VERSION;
}
const HEADER_BYTES = 16;

/** A checkpoint that cannot be restored. */
export class CheckpointError extends Error {
  override readonly name = "CheckpointError";
  readonly code: "not-a-checkpoint" | "wrong-version" | "damaged";

  constructor(code: CheckpointError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

export function encodeCheckpoint(devices: unknown, cpu: Uint8Array): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(devices));
  const bytes = new Uint8Array(HEADER_BYTES + 4 + json.length + cpu.length);
  const view = new DataView(bytes.buffer);
  const body = bytes.subarray(HEADER_BYTES);
  view.setUint32(HEADER_BYTES, json.length, true);
  body.set(json, 4);
  body.set(cpu, 4 + json.length);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, CHECKPOINT_VERSION, true);
  view.setUint32(8, body.length, true);
  view.setUint32(12, crc32(body), true);
  return bytes;
}

/** @throws CheckpointError */
export function decodeCheckpoint(bytes: Uint8Array): { devices: unknown; cpu: Uint8Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_BYTES + 4 || view.getUint32(0, true) !== MAGIC) {
    throw new CheckpointError("not-a-checkpoint", "these bytes are no checkpoint");
  }
  const version = view.getUint32(4, true);
  if (!isReadable(version)) {
    throw new CheckpointError(
      "wrong-version",
      `the checkpoint has version ${version}, this reads versions ${OLDEST_VERSION} to ${CHECKPOINT_VERSION}`,
    );
  }
  const body = bytes.subarray(HEADER_BYTES);
  if (view.getUint32(8, true) !== body.length || view.getUint32(12, true) !== crc32(body)) {
    throw new CheckpointError("damaged", "the checkpoint's length or checksum is wrong");
  }
  const jsonLength = view.getUint32(HEADER_BYTES, true);
  const json = new TextDecoder().decode(body.subarray(4, 4 + jsonLength));
  return { devices: JSON.parse(json), cpu: body.slice(4 + jsonLength) };
}
