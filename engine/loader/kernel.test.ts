/*
 * Someone sends a file and calls it a kernel. A Xen PV kernel, as ELF or inside a bzImage, comes out as segments, entry
 * point and notes; anything else gets an error that says what it is, where that was seen, and what to do. Files made up
 * by random damage must end in one or the other, never in another exception.
 */
import { gzipSync as nodeGzip } from "node:zlib";
import { describe, expect, test } from "vitest";
import { LoadError } from "./errors.ts";
import { loadKernel } from "./kernel.ts";
import {
  buildBzImage,
  buildElf,
  KERNEL_BASE,
  NOTE,
  pvKernel,
  pvNotes,
  xenNotes,
} from "./testing/build-elf.ts";
import { Mutator } from "./testing/mutator.ts";

const gzipSync = (data: Uint8Array): Uint8Array => new Uint8Array(nodeGzip(data));

async function refusal(file: Uint8Array): Promise<LoadError> {
  try {
    await loadKernel(file);
  } catch (error) {
    if (error instanceof LoadError) return error;
    throw error;
  }
  throw new Error("the file was accepted");
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function withMagic(offset: number, bytes: readonly number[]): Uint8Array {
  const file = new Uint8Array(4096);
  file.set(bytes, offset);
  return file;
}

describe("a PV kernel", () => {
  test("as ELF: segments by physical address, entry and base from the notes", async () => {
    const kernel = await loadKernel(pvKernel());
    expect(kernel.format).toBe("elf");
    expect(kernel.entry).toBe(KERNEL_BASE + 0x100000n);
    expect(kernel.virtBase).toBe(KERNEL_BASE);
    expect([kernel.physicalStart, kernel.physicalEnd]).toEqual([0x100000, 0x102000]);
    expect(kernel.segments).toHaveLength(1);
    const { fileOffset, fileBytes } = kernel.segments[0]!;
    expect(fileBytes).toBe(8192);
    expect(kernel.image.bytes(fileOffset, fileBytes).every((byte) => byte === 0xf4)).toBe(true);
    expect(kernel.hypercallPage).toBeUndefined();
    expect(kernel.acceptsUnmappedInitrd).toBe(false);
  });

  test("with every note that matters", async () => {
    const kernel = await loadKernel(
      pvKernel(
        pvNotes(
          [NOTE.HYPERCALL_PAGE, KERNEL_BASE + 0x101000n],
          [NOTE.INIT_P2M, 0x8000000000n],
          [NOTE.MOD_START_PFN, 1n],
        ),
      ),
    );
    expect(kernel.hypercallPage).toBe(0x101000);
    expect(kernel.initP2m).toBe(0x8000000000n);
    expect(kernel.acceptsUnmappedInitrd).toBe(true);
  });

  test("inside a bzImage, gzipped and uncompressed", async () => {
    const elf = pvKernel();
    const gzipped = await loadKernel(buildBzImage({ payload: gzipSync(elf) }));
    expect(gzipped).toMatchObject({ format: "bzImage", compression: "gzip", physicalStart: 0x100000 });
    expect((await loadKernel(buildBzImage({ payload: elf }))).compression).toBeUndefined();
  });

  test("with its notes in a section instead of a segment", async () => {
    const kernel = await loadKernel(
      buildElf({
        segments: [{ paddr: 0x100000n, bytes: new Uint8Array(4096) }],
        sections: [{ name: ".note.Xen", type: 7, bytes: pvNotes() }],
      }),
    );
    expect(kernel.notes.source).toBe("SHT_NOTE");
  });

  test("from before ELF notes, with a __xen_guest string", async () => {
    const guest =
      "GUEST_OS=linux,GUEST_VER=2.6,XEN_VER=xen-3.0,VIRT_BASE=0xffffffff80000000,ELF_PADDR_OFFSET=0xffffffff80000000," +
      "VIRT_ENTRY=0xffffffff80100000,HYPERCALL_PAGE=0x101,FEATURES=,LOADER=generic\0";
    const kernel = await loadKernel(
      buildElf({
        segments: [{ paddr: KERNEL_BASE + 0x100000n, bytes: new Uint8Array(8192) }],
        sections: [{ name: "__xen_guest", type: 1, bytes: text(guest) }],
      }),
    );
    expect(kernel).toMatchObject({
      entry: KERNEL_BASE + 0x100000n,
      physicalStart: 0x100000,
      hypercallPage: 0x101000,
    });
    expect(kernel.notes.source).toBe("__xen_guest");
  });
});

describe("what is no PV kernel is told what it is", () => {
  const cases: readonly [name: string, file: Uint8Array, code: string, says: RegExp][] = [
    ["an empty file", new Uint8Array(0), "empty", /^kernel: the file is empty\. Send/],
    ["a text file", text("#!/bin/sh\necho hello\n"), "not-a-kernel", /text file/],
    ["zeros", new Uint8Array(5000), "not-a-kernel", /5000 bytes are zero/],
    ["an initramfs", text("070701000000"), "not-a-kernel", /cpio archive.*as the initrd/],
    ["a gzipped file", gzipSync(pvKernel()), "not-a-kernel", /compressed with gzip.*decompressed/],
    ["a Windows program", withMagic(0, [0x4d, 0x5a]), "not-a-kernel", /EFI or Windows/],
    [
      "an ARM zImage",
      withMagic(0x24, [0x18, 0x28, 0x6f, 0x01]),
      "wrong-architecture",
      /32-bit ARM \(zImage\).*0x24/,
    ],
    ["an arm64 Image", withMagic(0x38, [0x41, 0x52, 0x4d, 0x64]), "wrong-architecture", /64-bit ARM/],
    [
      "an ARM ELF",
      pvKernel(pvNotes(), { bits: 32, machine: 40 }),
      "wrong-architecture",
      /32-bit ARM; guests are x86-64/,
    ],
    ["a PowerPC ELF", pvKernel(pvNotes(), { machine: 21 }), "wrong-architecture", /PowerPC/],
    [
      "an i386 PV kernel without PAE",
      pvKernel(pvNotes(), { bits: 32 }),
      "mode-not-offered",
      /two levels.*PAE only/,
    ],
    [
      "an ELF without Xen notes",
      pvKernel(new Uint8Array(0)),
      "no-xen-notes",
      /no Xen ELF notes.*CONFIG_XEN_PV/,
    ],
    ["a PVH kernel", pvKernel(xenNotes([[NOTE.PHYS32_ENTRY, 0x100000n]])), "hvm-only", /PVH/],
    [
      "a PVH kernel with other notes of PV guests, as Linux for 32 bits has them",
      pvKernel(
        xenNotes([
          [NOTE.XEN_VERSION, "xen-3.0"],
          [NOTE.GUEST_OS, "linux"],
          [NOTE.LOADER, "generic"],
          [NOTE.VIRT_BASE, KERNEL_BASE],
          [NOTE.PHYS32_ENTRY, 0x100000n],
        ]),
        { entry: 0x100000n },
      ),
      "hvm-only",
      /PVH/,
    ],
    ["an object file", pvKernel(pvNotes(), { type: 1 }), "bad-elf", /object file/],
    ["an ELF without segments", buildElf({}), "bad-elf", /no program headers/],
  ];
  test.each(cases)("%s", async (_name, file, code, says) => {
    const error = await refusal(file);
    expect(error.code).toBe(code);
    expect(error.field).toBe("kernel");
    expect(error.message).toMatch(says);
  });
});

describe("notes that contradict the image", () => {
  const cases: readonly [name: string, notes: Uint8Array, says: RegExp][] = [
    ["entry outside", pvNotes([NOTE.ENTRY, 0x1234n]), /0x1234 lies outside the image.*XEN_ELFNOTE_ENTRY/],
    ["hypercall page outside", pvNotes([NOTE.HYPERCALL_PAGE, KERNEL_BASE]), /XEN_ELFNOTE_HYPERCALL_PAGE/],
    ["hypercall page unaligned", pvNotes([NOTE.HYPERCALL_PAGE, KERNEL_BASE + 0x100800n]), /not a page/],
    [
      "image in the hypervisor's hole",
      pvNotes([NOTE.VIRT_BASE, 0xffff800000000000n]),
      /not in the guest's part/,
    ],
    [
      "image at a non-canonical address",
      pvNotes([NOTE.VIRT_BASE, 0x1000000000000000n]),
      /not in the guest's part/,
    ],
    ["unaligned base", pvNotes([NOTE.VIRT_BASE, KERNEL_BASE + 8n]), /not the start of a page/],
    ["p2m in the image", pvNotes([NOTE.INIT_P2M, KERNEL_BASE + 0x100000n]), /overlap/],
    ["p2m in the hole", pvNotes([NOTE.INIT_P2M, 0xffff810000000000n]), /XEN_ELFNOTE_INIT_P2M/],
    ["another Xen", pvNotes([NOTE.XEN_VERSION, "xen-2.0"]), /"xen-2\.0"/],
    ["another loader", pvNotes([NOTE.GUEST_OS, "x"], [NOTE.LOADER, "special"]), /"special"/],
    [
      "a number of three bytes",
      pvNotes([NOTE.ENTRY, new Uint8Array(3)]),
      /segment 1, note 6 \(XEN_ELFNOTE_ENTRY\)/,
    ],
    ["cut off", pvNotes().slice(0, -8), /past the end.*segment 1, note 5/],
    [
      "physical address below the offset",
      pvNotes([NOTE.PADDR_OFFSET, 0x200000n]),
      /no address in memory.*segment 0/,
    ],
  ];
  test.each(cases)("%s", async (_name, notes, says) => {
    const error = await refusal(pvKernel(notes));
    expect(["bad-note", "bad-elf"]).toContain(error.code);
    expect(error.message).toMatch(says);
  });
});

describe("a file that ends early", () => {
  test("every prefix of an ELF and of a bzImage is refused", async () => {
    const elf = pvKernel();
    const bzImage = buildBzImage({ payload: gzipSync(elf) });
    for (const [name, file] of [
      ["ELF", elf],
      ["bzImage", bzImage],
    ] as const) {
      // The builder pads its last part to 16 bytes; those may be missing.
      for (let length = 0; length <= file.length - 17; length += length < 700 ? 1 : 53) {
        const { code } = await refusal(file.slice(0, length));
        expect(["empty", "truncated", "not-a-kernel"], `${name} cut to ${length}`).toContain(code);
      }
    }
  });

  test("a bzImage cut off behind its payload says how long it should be", async () => {
    const file = buildBzImage({ payload: gzipSync(pvKernel()) });
    const error = await refusal(file.slice(0, file.length - 32));
    expect(error.code).toBe("truncated");
    expect(error.message).toContain(`its header says ${file.length}`);
  });
});

describe("a bzImage that contradicts itself", () => {
  const payload = gzipSync(pvKernel());
  const cases: readonly [name: string, file: Uint8Array, code: string][] = [
    ["an old protocol", buildBzImage({ payload, version: 0x0204 }), "bad-bzimage"],
    ["a zImage", buildBzImage({ payload, loadflags: 0 }), "bad-bzimage"],
    ["no payload", buildBzImage({ payload, payloadLength: 0 }), "bad-bzimage"],
    ["a payload outside", buildBzImage({ payload, payloadOffset: 0xfffffff0 }), "bad-bzimage"],
    ["a longer kernel than file", buildBzImage({ payload, syssize: 0xffffffff }), "truncated"],
    ["a payload that is no ELF", buildBzImage({ payload: gzipSync(new Uint8Array(100)) }), "bad-bzimage"],
    ["an unknown compression", buildBzImage({ payload: text("LZO would be here") }), "unknown-compression"],
    [
      "a damaged payload",
      buildBzImage({ payload: payload.map((b, i) => (i === 40 ? b ^ 0x55 : b)) }),
      "corrupt-payload",
    ],
  ];
  test.each(cases)("%s", async (_name, file, code) => {
    expect((await refusal(file)).code).toBe(code);
  });
});

describe("sizes that lie", () => {
  test.each([
    ["segment past the end", { filesz: 1n << 40n, memsz: 1n << 41n }, "truncated"],
    ["segment offset past the end", { offset: 1n << 60n }, "truncated"],
    ["more file than memory", { memsz: 16n }, "bad-elf"],
    ["more memory than any machine", { memsz: 1n << 62n }, "bad-elf"],
  ])("%s", async (_name, change, code) => {
    const file = buildElf({
      segments: [
        { paddr: 0x100000n, bytes: new Uint8Array(64), ...change },
        { type: 4, bytes: pvNotes() },
      ],
    });
    expect((await refusal(file)).code).toBe(code);
  });

  test("a thousand notes of nothing end at the limit", async () => {
    expect((await refusal(pvKernel(new Uint8Array(12 * 5000)))).message).toContain("more than 1024 notes");
  });
});

test("20,000 damaged files: a kernel or a LoadError, nothing else", async () => {
  const sectioned = buildElf({
    segments: [{ paddr: 0x100000n, bytes: new Uint8Array(256) }],
    sections: [
      { name: ".note.Xen", type: 7, bytes: pvNotes() },
      { name: "__xen_guest", type: 1, bytes: text("GUEST_OS=linux,VIRT_BASE=0x0\0") },
    ],
  });
  const small = {
    segments: [
      { paddr: 0x100000n, bytes: new Uint8Array(256) },
      { type: 4, bytes: pvNotes() },
    ],
  };
  const seeds = [pvKernel(pvNotes(), small), buildBzImage({ payload: buildElf(small) }), sectioned];
  const mutator = new Mutator(20260801);
  let accepted = 0;
  for (let round = 0; round < 20_000; round++) {
    // Headers are where a change matters; the bodies of these files are at most a few hundred bytes.
    const damaged = mutator.damage(seeds[round % seeds.length]!);
    try {
      await loadKernel(damaged);
      accepted++;
    } catch (error) {
      expect(error).toBeInstanceOf(LoadError);
    }
  }
  expect(accepted).toBeGreaterThan(100);
  expect(accepted).toBeLessThan(19_000);
});

describe("32-bit kernels", () => {
  const PAE_MODE = 9;
  const BASE = 0xc0000000n;
  const notes = (...extra: readonly (readonly [number, bigint | string | Uint8Array])[]): Uint8Array =>
    pvNotes([NOTE.VIRT_BASE, BASE], [NOTE.ENTRY, BASE + 0x100000n], ...extra);
  const kernel = (of: Uint8Array): Uint8Array => pvKernel(of, { bits: 32 });

  test.each(["yes", "yes[extended-cr3]", "yes,bimodal", "bimodal"])('with PAE mode "%s"', async (mode) => {
    expect(await loadKernel(kernel(notes([PAE_MODE, mode])))).toMatchObject({
      wordBytes: 4,
      entry: BASE + 0x100000n,
      virtBase: BASE,
    });
    expect((await loadKernel(pvKernel())).wordBytes).toBe(8);
  });

  test("of the years before ELF notes, by the string of __xen_guest", async () => {
    const guest = "GUEST_OS=test,XEN_VER=xen-3.0,VIRT_BASE=0xC0000000,LOADER=generic,PAE=";
    const file = (pae: string): Uint8Array =>
      buildElf({
        bits: 32,
        entry: 0xc0100000n,
        segments: [{ paddr: 0xc0100000n, vaddr: 0xc0100000n, bytes: new Uint8Array(4096) }],
        sections: [{ name: "__xen_guest", type: 1, bytes: text(`${guest}${pae}\0`) }],
      });
    expect(await loadKernel(file("yes"))).toMatchObject({ wordBytes: 4, physicalStart: 0x100000 });
    expect((await refusal(file("no"))).code).toBe("mode-not-offered");
  });

  test("must lie below the hypervisor", async () => {
    const high = notes([NOTE.VIRT_BASE, 0xf5700000n], [NOTE.ENTRY, 0xf5800000n], [PAE_MODE, "yes"]);
    expect((await refusal(kernel(high))).message).toMatch(/not in the guest's part/);
  });

  test("a text ends at its NUL, though its note says it goes on past the end (GRUB)", async () => {
    const longer = notes([PAE_MODE, "yes"]);
    new DataView(longer.buffer).setUint32(longer.length - 16, 12, true);
    expect((await loadKernel(kernel(longer))).notes.paeMode).toBe("yes");
    const number = notes([PAE_MODE, "yes"], [NOTE.VIRT_BASE, text("yes\0")]);
    new DataView(number.buffer).setUint32(number.length - 16, 8, true);
    expect((await refusal(kernel(number))).message).toMatch(/past the end/);
  });
});
