/* The xenstore wire protocol: xen/include/public/io/xs_wire.h, docs/misc/xenstore.txt of Xen. */

/** enum xsd_sockmsg_type. */
export const XS = {
  CONTROL: 0,
  DIRECTORY: 1,
  READ: 2,
  GET_PERMS: 3,
  WATCH: 4,
  UNWATCH: 5,
  TRANSACTION_START: 6,
  TRANSACTION_END: 7,
  INTRODUCE: 8,
  RELEASE: 9,
  GET_DOMAIN_PATH: 10,
  WRITE: 11,
  MKDIR: 12,
  RM: 13,
  SET_PERMS: 14,
  WATCH_EVENT: 15,
  ERROR: 16,
  IS_DOMAIN_INTRODUCED: 17,
  RESUME: 18,
  SET_TARGET: 19,
  RESET_WATCHES: 21,
  DIRECTORY_PART: 22,
} as const;

export type XenstoreErrno =
  | "E2BIG"
  | "EACCES"
  | "EAGAIN"
  | "EBUSY"
  | "EEXIST"
  | "EINVAL"
  | "ENOENT"
  | "ENOSPC"
  | "ENOSYS"
  | "EPERM";

/** An error that goes to the client as XS_ERROR. */
export class XenstoreError extends Error {
  override readonly name = "XenstoreError";
  readonly errno: XenstoreErrno;

  constructor(errno: XenstoreErrno) {
    super(errno);
    this.errno = errno;
  }
}

export const HEADER_BYTES = 16;
/** XENSTORE_PAYLOAD_MAX: a longer message is a protocol violation. */
export const PAYLOAD_MAX = 4096;
export const ABS_PATH_MAX = 3072;
export const REL_PATH_MAX = 2048;

export interface Message {
  readonly type: number;
  readonly requestId: number;
  readonly transactionId: number;
  readonly payload: Uint8Array;
}

export function encodeMessage(message: Message): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + message.payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, message.type, true);
  view.setUint32(4, message.requestId, true);
  view.setUint32(8, message.transactionId, true);
  view.setUint32(12, message.payload.length, true);
  bytes.set(message.payload, HEADER_BYTES);
  return bytes;
}

/** Strings on the wire are bytes; one character is one byte. */
export function toBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

export function toText(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
