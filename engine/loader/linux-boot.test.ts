/*
 * Kernels for Linux's boot protocol. A bzImage is made up with known fields in its setup header, at the offsets that
 * Documentation/arch/x86/boot.rst gives; what the loader takes from it, what boot_params then holds, and what is refused, are
 * compared with them. An ELF file is entered where its header says. Where Debian's kernel is at hand, its vmlinux, taken out
 * of its bzImage, boots without one: it prints its first lines on the serial port.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { FixtureUnavailable, type PreparedFixture, prepareFixture } from "../../r2-fixtures/index.ts";
import { create } from "../machine.ts";
import { MapPageStore } from "../memory/page-store.ts";
import { encodeBootParams } from "../platform/boot-params.ts";
import { planLinux } from "../xenner/hvm/linux-domain.ts";
import { LoadError } from "./errors.ts";
import { openKernel } from "./kernel.ts";
import { type LinuxKernel, loadLinuxKernel } from "./linux-boot.ts";
import { MemorySpool } from "./spool.ts";
import { buildElf, NOTE, xenNotes } from "./testing/build-elf.ts";

const MIB = 1024 * 1024;
const SETUP_SECTORS = 3;
const CODE_BYTES = 0x4000;

type Width = "setUint8" | "setUint16" | "setUint32" | "setBigUint64";
type Field = readonly [width: Width, offset: number, value: number | bigint];

/** A bzImage of protocol 2.15 with a 64-bit entry point, and what is to be different. */
function bzImage(...changes: readonly Field[]): Uint8Array {
  const bytes = new Uint8Array((SETUP_SECTORS + 1) * 512 + CODE_BYTES);
  const view = new DataView(bytes.buffer);
  const fields: readonly Field[] = [
    ["setUint8", 0x1f1, SETUP_SECTORS],
    ["setUint32", 0x1f4, CODE_BYTES / 16],
    ["setUint16", 0x1fe, 0xaa55],
    ["setUint8", 0x200, 0xeb],
    ["setUint8", 0x201, 0x6a],
    ["setUint32", 0x202, 0x53726448],
    ["setUint16", 0x206, 0x020f],
    ["setUint16", 0x20e, 0x400],
    ["setUint8", 0x211, 1],
    ["setUint32", 0x22c, 0x7fffffff],
    ["setUint32", 0x230, 0x200000],
    ["setUint8", 0x234, 1],
    ["setUint16", 0x236, 0x7f],
    ["setUint32", 0x238, 2047],
    ["setBigUint64", 0x258, 0x1000000n],
    ["setUint32", 0x260, 8 * MIB],
  ];
  for (const [width, offset, value] of [...fields, ...changes]) {
    if (width === "setBigUint64") view.setBigUint64(offset, BigInt(value), true);
    else view[width](offset, Number(value), true);
  }
  bytes.set(new TextEncoder().encode("6.99.0-test #1\0"), 0x600);
  bytes.fill(0x90, (SETUP_SECTORS + 1) * 512);
  return bytes;
}

const loaded = (file: Uint8Array): Promise<LinuxKernel> => loadLinuxKernel(file, new MemorySpool());
const refusal = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "accepted",
    (error: unknown) => (error instanceof LoadError ? error.code : error),
  );

test("a bzImage goes where it wants to be, and is entered in 64-bit mode", async () => {
  expect(await loaded(bzImage())).toMatchObject({
    format: "bzImage",
    version: "6.99.0-test #1",
    bits: 64,
    entry: 0x1000200,
    physicalStart: 0x1000000,
    physicalEnd: 0x1000000 + 8 * MIB,
    segments: [{ physicalAddress: 0x1000000, fileBytes: CODE_BYTES, memoryBytes: CODE_BYTES }],
    initrdMax: 0x7fffffff,
  });
});

test("without a 64-bit entry point in 32-bit mode; one that cannot be moved at 1 MiB", async () => {
  expect(await loaded(bzImage(["setUint16", 0x236, 0]))).toMatchObject({ bits: 32, entry: 0x1000000 });
  expect(await loaded(bzImage(["setUint8", 0x234, 0]))).toMatchObject({ entry: 0x100200 });
});

test("what is refused", async () => {
  expect(await refusal(loaded(bzImage(["setUint16", 0x206, 0x0209])))).toBe("bad-bzimage");
  expect(await refusal(loaded(bzImage(["setUint8", 0x211, 0])))).toBe("bad-bzimage");
  expect(await refusal(loaded(bzImage(["setUint32", 0x260, 16])))).toBe("bad-bzimage");
  expect(await refusal(loaded(bzImage().subarray(0, 0x1000)))).toBe("truncated");
  expect(await refusal(loaded(new Uint8Array(8192)))).toBe("not-a-kernel");
  const low = buildElf({ entry: 0x8000n, segments: [{ paddr: 0x8000n, bytes: new Uint8Array(64) }] });
  expect(await refusal(loaded(low))).toBe("bad-elf");
});

test("a kernel with an entry point for Xen PV only is refused, unless it is a Linux", async () => {
  for (const name of ["hello", "hello32"]) {
    const file = readFileSync(`${import.meta.dirname}/../../r2-fixtures/${name}/${name}.elf`);
    expect(await refusal(loaded(file))).toBe("pv-only");
  }
  const withNotes = (...notes: readonly (readonly [number, bigint | string])[]): Uint8Array =>
    buildElf({
      entry: 0x100000n,
      segments: [
        { paddr: 0x100000n, bytes: new Uint8Array(64) },
        { type: 4, bytes: xenNotes([[NOTE.ENTRY, 0x100000n], ...notes]) },
      ],
    });
  expect(await refusal(loaded(withNotes([NOTE.GUEST_OS, "Mini-OS"])))).toBe("pv-only");
  expect(await refusal(loaded(withNotes([NOTE.GUEST_OS, "linux"])))).toBe("accepted");
  // It may begin in another way, too: a loader of Linux's protocol is then the guest's choice.
  expect(await refusal(loaded(withNotes([NOTE.PHYS32_ENTRY, 0x100000n])))).toBe("accepted");
});

test("the initrd lies at the end of RAM, below what the kernel allows, and everything fits or not", async () => {
  const kernel = await loaded(bzImage());
  expect(planLinux(kernel, 5000, (32 * MIB) / 4096).initrd).toEqual({
    address: 32 * MIB - 8192,
    bytes: 5000,
  });
  const lower = await loaded(bzImage(["setUint32", 0x22c, 28 * MIB - 1]));
  expect(planLinux(lower, 4096, (32 * MIB) / 4096).initrd?.address).toBe(28 * MIB - 4096);
  expect(() => planLinux(kernel, 4096, (24 * MIB) / 4096)).toThrow(/at least 25 MiB/);
  expect(() => planLinux(kernel, 0, (4096 * MIB) / 4096)).toThrow(/at most 3 GiB/);
});

test("boot_params: the kernel's own header, and what the loader says", async () => {
  const file = bzImage(["setUint32", 0x250, 0x12345678]);
  const { setupHeader } = await loaded(file);
  const bytes = encodeBootParams({
    setupHeader,
    kernel: 0x1000000,
    cmdline: 0x20000,
    initrd: { address: 0x1f00000, bytes: 77 },
    rsdp: 0xf0000,
    memoryMap: [
      { address: 0, size: 0x9fc00, type: 1 },
      { address: 0x100000, size: 0x700000, type: 2 },
    ],
  });
  const view = new DataView(bytes.buffer);
  const words = [0x214, 0x218, 0x21c, 0x228, 0x250].map((offset) => view.getUint32(offset, true));
  expect(words).toEqual([0x1000000, 0x1f00000, 77, 0x20000, 0x12345678]);
  expect([bytes[0x210], bytes[0x211], bytes[0x1e8], bytes[0x1ef]]).toEqual([0xff, 1, 2, 0]);
  expect(view.getBigUint64(0x70, true)).toBe(0xf0000n);
  expect([view.getBigUint64(0x2d0 + 20, true), view.getBigUint64(0x2d0 + 28, true)]).toEqual([
    0x100000n,
    0x700000n,
  ]);
  // Behind the header there is nothing of the file's.
  expect(bytes.subarray(0x26c, 0x2d0).every((byte) => byte === 0)).toBe(true);
});

async function debian(): Promise<PreparedFixture | undefined> {
  try {
    return await prepareFixture("debian-cloud", { log: () => {} });
  } catch (error) {
    if (!(error instanceof FixtureUnavailable) || process.env.CI === "true") throw error;
    console.warn(`\n*** SKIPPING a vmlinux in mode hvm: ${error.message}\n`);
    return undefined;
  }
}
const fixture = await debian();
/** It has printed its command line by then. */
const INSTRUCTIONS = 60_000_000;

test.skipIf(fixture === undefined)("a vmlinux boots without its bzImage", { timeout: 120_000 }, async () => {
  const NodeModule = WebAssembly.Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module;
  const read = (path: string) => new Uint8Array(readFileSync(path));
  const { image } = await openKernel(read(fixture!.kernelPath), new MemorySpool(), 512 * MIB);
  const vmlinux = new Uint8Array(image.length);
  image.copy(0, vmlinux);
  const parts = {
    core: new NodeModule(read(`${import.meta.dirname}/../cpu/core.wasm`)),
    emu64: read(`${import.meta.dirname}/../emu/emu64.elf`),
  };
  const cmdline = "earlyprintk=serial,ttyS0 vmlinux=yes";
  const machine = await create(
    parts,
    { mode: "hvm", kernel: vmlinux, cmdline, memoryMiB: 128, seed: 1n, startTime: 0 },
    new MapPageStore(),
  );
  expect(machine.run(INSTRUCTIONS)).toEqual({ kind: "budget" });
  const console = new TextDecoder().decode(machine.takeConsole());
  expect(console).toMatch(/Linux version 6\./);
  expect(console).toMatch(/Hypervisor detected: Xen HVM/);
  expect(console).toMatch(/Command line: earlyprintk=serial,ttyS0 vmlinux=yes/);
});
