import type { Access, Permission } from "./nodes.ts";

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
  | "ENOMEM"
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
/** XENSTORE_REL_PATH_MAX: of a path, without /local/domain/ID/ if it begins so (is_valid_nodename of xenstored). */
export const PATH_MAX = 2048;

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
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

export function toText(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** For checkpoints: text would make six bytes of some. */
export function toBase64(bytes: Uint8Array): string {
  return btoa(toText(bytes));
}

export function fromBase64(text: string): Uint8Array {
  return toBytes(atob(text));
}

/** Permissions on the wire: "n0", "b1", … each with a NUL behind it. */
export function encodePermissions(permissions: readonly Permission[]): string {
  return permissions.map(({ access, domid }) => `${access}${domid}\0`).join("");
}

/** @throws XenstoreError EINVAL */
export function decodePermissions(strings: readonly string[]): Permission[] {
  if (strings.length === 0) throw new XenstoreError("EINVAL");
  return strings.map((string) => {
    if (!/^[nrwb][0-9]{1,5}$/.test(string)) throw new XenstoreError("EINVAL");
    return { access: string[0] as Access, domid: Number(string.slice(1)) };
  });
}
