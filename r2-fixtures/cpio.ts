/**
 * Writer of cpio archives in the "newc" format, which is what Linux unpacks into its initial root
 * (Documentation/driver-api/early-userspace/buffer-format.rst).
 *
 * The output is reproducible: the same entries give the same bytes whatever their order, the machine or the day.
 * Entries are sorted by name, inode numbers are counted up, and owner, group and times are zero.
 */

/** One file of the archive. `mode` holds permission bits only (such as 0o755); the file type follows from `kind`. */
export type CpioEntry =
  | { readonly kind: "directory"; readonly name: string; readonly mode: number }
  | { readonly kind: "file"; readonly name: string; readonly mode: number; readonly data: Uint8Array }
  | { readonly kind: "symlink"; readonly name: string; readonly target: string }
  | {
      readonly kind: "character-device";
      readonly name: string;
      readonly mode: number;
      readonly major: number;
      readonly minor: number;
    };

/** st_mode's file-type bits (POSIX sys/stat.h). */
const FILE_TYPE = {
  directory: 0o040000,
  file: 0o100000,
  symlink: 0o120000,
  "character-device": 0o020000,
} as const;

const MAGIC = "070701";
const TRAILER_NAME = "TRAILER!!!";
const ALIGNMENT = 4;
/** Archives are padded to whole blocks, so that another archive may follow. */
const BLOCK_BYTES = 512;
const MAX_FIELD = 0xffff_ffff;

interface Header {
  readonly inode: number;
  readonly mode: number;
  readonly links: number;
  readonly fileBytes: number;
  readonly major: number;
  readonly minor: number;
  readonly nameBytes: number;
}

function hexField(value: number): string {
  if (!Number.isInteger(value) || value < 0 || value > MAX_FIELD) {
    throw new RangeError(`cpio: ${value} does not fit a header field`);
  }
  return value.toString(16).padStart(8, "0").toUpperCase();
}

function header(fields: Header): string {
  const owner = 0;
  const modified = 0;
  const deviceOfFile = 0;
  const checksum = 0;
  return (
    MAGIC +
    [
      fields.inode,
      fields.mode,
      owner,
      owner,
      fields.links,
      modified,
      fields.fileBytes,
      deviceOfFile,
      deviceOfFile,
      fields.major,
      fields.minor,
      fields.nameBytes,
      checksum,
    ]
      .map(hexField)
      .join("")
  );
}

function contents(entry: CpioEntry, encoder: TextEncoder): Uint8Array {
  if (entry.kind === "file") return entry.data;
  if (entry.kind === "symlink") return encoder.encode(entry.target);
  return new Uint8Array(0);
}

function mode(entry: CpioEntry): number {
  const permissions = entry.kind === "symlink" ? 0o777 : entry.mode;
  return FILE_TYPE[entry.kind] | permissions;
}

/** Names are relative, without "." or ".." parts, and given once; a parent must be an entry of its own. */
function checkNames(entries: readonly CpioEntry[]): void {
  const kinds = new Map<string, CpioEntry["kind"]>();
  for (const { name, kind } of entries) {
    const parts = name.split("/");
    if (parts.some((part) => part === "" || part === "." || part === "..")) {
      throw new RangeError(`cpio: bad name ${JSON.stringify(name)}`);
    }
    if (name === TRAILER_NAME) throw new RangeError(`cpio: ${name} ends the archive and cannot be a name`);
    if (kinds.has(name)) throw new RangeError(`cpio: ${name} is given twice`);
    kinds.set(name, kind);
  }
  for (const name of kinds.keys()) {
    const slash = name.lastIndexOf("/");
    if (slash < 0) continue;
    const parent = name.slice(0, slash);
    if (kinds.get(parent) !== "directory") throw new RangeError(`cpio: ${name} needs a directory ${parent}`);
  }
}

/**
 * Packs entries into a newc archive.
 *
 * Throws RangeError for a name that is absolute, not normal, given twice, or whose parent directory is missing.
 */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array {
  checkNames(entries);
  const encoder = new TextEncoder();
  const pieces: Uint8Array[] = [];
  let length = 0;
  const push = (bytes: Uint8Array): void => {
    pieces.push(bytes);
    length += bytes.length;
  };
  const align = (to: number): void => push(new Uint8Array(-length & (to - 1)));

  // Byte order, not locale order; a directory sorts before what is in it, because its name is a prefix.
  const sorted = [...entries].sort((a, b) => (a.name < b.name ? -1 : 1));
  sorted.forEach((entry, index) => {
    const data = contents(entry, encoder);
    const name = encoder.encode(`${entry.name}\0`);
    const device = entry.kind === "character-device" ? entry : { major: 0, minor: 0 };
    const fields: Header = {
      inode: index + 1,
      mode: mode(entry),
      links: entry.kind === "directory" ? 2 : 1,
      fileBytes: data.length,
      major: device.major,
      minor: device.minor,
      nameBytes: name.length,
    };
    push(encoder.encode(header(fields)));
    push(name);
    align(ALIGNMENT);
    push(data);
    align(ALIGNMENT);
  });
  const trailer = encoder.encode(`${TRAILER_NAME}\0`);
  const none = { inode: 0, mode: 0, links: 1, fileBytes: 0, major: 0, minor: 0 };
  push(encoder.encode(header({ ...none, nameBytes: trailer.length })));
  push(trailer);
  align(BLOCK_BYTES);

  const archive = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    archive.set(piece, at);
    at += piece.length;
  }
  return archive;
}
