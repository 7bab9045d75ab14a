import { LOADER_LIMITS } from "../limits.ts";
import { Bytes } from "./bytes.ts";
import { BZIMAGE_HEAD_BYTES } from "./bzimage.ts";
import { detectCompression } from "./decompress/index.ts";
import { wrongMachine } from "./elf.ts";
import { LoadError, REMEDY_COMPLETE_FILE } from "./errors.ts";
import type { ByteSource } from "./source.ts";

/* What people send instead of a kernel, so that the answer can say what it is. */

const REMEDY_KERNEL =
  "Send an x86-64 kernel built with Xen PV support, as bzImage (vmlinuz) or ELF (vmlinux)";
/** Bytes looked at to tell text from data. */
const TEXT_SAMPLE_BYTES = 512;

interface Signature {
  readonly offset: number;
  readonly bytes: readonly number[];
  readonly error: () => LoadError;
}

const SIGNATURES: readonly Signature[] = [
  // Documentation/arch/arm/booting.rst: the magic word of a zImage.
  {
    offset: 0x24,
    bytes: [0x18, 0x28, 0x6f, 0x01],
    error: () => wrongMachine("32-bit ARM (zImage)", "offset 0x24"),
  },
  {
    offset: 0x24,
    bytes: [0x01, 0x6f, 0x28, 0x18],
    error: () => wrongMachine("big-endian ARM (zImage)", "offset 0x24"),
  },
  // Documentation/arch/arm64/booting.rst and riscv/boot-image-header.rst.
  {
    offset: 0x38,
    bytes: [0x41, 0x52, 0x4d, 0x64],
    error: () => wrongMachine("64-bit ARM (Image)", "offset 0x38"),
  },
  {
    offset: 0x38,
    bytes: [0x52, 0x53, 0x43, 0x05],
    error: () => wrongMachine("RISC-V (Image)", "offset 0x38"),
  },
  {
    offset: 0,
    bytes: [0x30, 0x37, 0x30, 0x37, 0x30],
    error: () =>
      unknown(
        "this is a cpio archive, that is, an initramfs",
        "Send it as the initrd, and a kernel as the kernel",
      ),
  },
  {
    offset: 0,
    bytes: [0x27, 0x05, 0x19, 0x56],
    error: () => unknown("this is a U-Boot image", REMEDY_KERNEL),
  },
];

/** The error for a file that is neither ELF nor bzImage; `head` is its beginning. */
export async function notAKernel(source: ByteSource, head: Uint8Array): Promise<LoadError> {
  if (source.size === 0) {
    return new LoadError({ code: "empty", what: "the file is empty", remedy: REMEDY_KERNEL });
  }
  for (const { offset, bytes, error } of SIGNATURES) {
    if (bytes.every((byte, i) => head[offset + i] === byte)) return error();
  }
  const compression = detectCompression(head);
  if (compression !== undefined) {
    return unknown(`the file itself is compressed with ${compression}`, "Send it decompressed");
  }
  if (head[0] === 0x4d && head[1] === 0x5a) return startsLikePe(head);
  if (isText(head)) return unknown("this is a text file, not a kernel", REMEDY_KERNEL);
  if (await isZeros(source)) return unknown(`all ${source.size} bytes are zero`, REMEDY_COMPLETE_FILE);
  return unknown("the file is neither an ELF executable nor a bzImage", REMEDY_KERNEL);
}

function unknown(what: string, remedy: string): LoadError {
  return new LoadError({ code: "not-a-kernel", what, where: "offset 0x0", remedy });
}

/** A bzImage with an EFI stub starts with "MZ" too: one that is cut off before its setup header ends up here. */
function startsLikePe(head: Uint8Array): LoadError {
  if (!new Bytes(head).has(0, BZIMAGE_HEAD_BYTES)) {
    return new LoadError({
      code: "truncated",
      what: `the file has only ${head.length} bytes and ends before the setup header of a bzImage`,
      where: "offset 0x1f1",
      remedy: REMEDY_COMPLETE_FILE,
    });
  }
  return unknown("this is an EFI or Windows program, not a bzImage", REMEDY_KERNEL);
}

/** Reads no further than the first byte that is not zero. */
async function isZeros(source: ByteSource): Promise<boolean> {
  for (let at = 0; at < source.size; at += LOADER_LIMITS.inputPieceBytes) {
    const piece = await source.read(at, Math.min(LOADER_LIMITS.inputPieceBytes, source.size - at));
    if (!piece.every((byte) => byte === 0)) return false;
  }
  return true;
}

function isText(head: Uint8Array): boolean {
  return head
    .subarray(0, TEXT_SAMPLE_BYTES)
    .every((byte) => byte >= 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d || byte === 0x1b);
}
