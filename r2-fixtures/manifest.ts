/** What a console must and must not show: regular expressions, as a job's config takes them. */
export interface Expectation {
  /** The run passes when each of these has been seen. */
  readonly pass: readonly string[];
  /** The run fails as soon as one of these is seen. */
  readonly fail: readonly string[];
}

/** A file taken out of a Debian package. */
export interface PackagedFile {
  /** Binary package, architecture amd64. A package without the file itself is followed to the one it depends on. */
  readonly package: string;
  /** For a meta package: the dependency that holds the file. */
  readonly dependency?: RegExp;
  /** Matches the one wanted path inside the package, without the leading "./". */
  readonly path: RegExp;
  /** What the cache calls it: where several files are taken from one package. Default: the package's name. */
  readonly lock?: string;
}

export interface FixtureDescription {
  readonly name: string;
  readonly description: string;
  /** Where the kernel comes from: a Debian package, or a file of this folder. */
  readonly kernel: PackagedFile | { readonly file: string };
  /** Whether the test initramfs of initramfs/ goes with it. */
  readonly testInitramfs: boolean;
  readonly cmdline: string;
  readonly memoryMiB: number;
  /** The only guest mode that it is for; undefined: "pv", and others for kernels that know them. */
  readonly mode?: "pvh";
  readonly expect: Expectation;
}

/** The busybox of the test initramfs. */
export const BUSYBOX: PackagedFile = { package: "busybox-static", path: /^(usr\/)?bin\/busybox$/ };

/** What initramfs/init prints at its end, and what a Linux prints instead when it dies. */
const INIT_EXPECTATION: Expectation = { pass: ["BOOT-OK"], fail: ["Kernel panic", "BOOT-FAILED"] };

const KERNEL_PATH = /^boot\/vmlinuz-[^/]+$/;

export const FIXTURES: readonly FixtureDescription[] = [
  {
    name: "hello",
    description: "our own 64-bit PV guest in assembly: prints HELLO-OK and powers off; needs no download",
    kernel: { file: "hello/hello.elf" },
    testInitramfs: false,
    cmdline: "",
    memoryMiB: 16,
    expect: { pass: ["HELLO-OK"], fail: ["HELLO-FAILED"] },
  },
  {
    name: "hello32",
    description:
      "our own 32-bit PV guest in C: every hypercall with good and bad arguments; needs no download",
    kernel: { file: "hello32/hello32.elf" },
    testInitramfs: false,
    cmdline: "",
    memoryMiB: 16,
    expect: { pass: ["HELLO-OK"], fail: ["HELLO-FAILED", "FAILED: "] },
  },
  {
    name: "debian-cloud",
    description: "Debian's newest cloud kernel with a busybox initramfs that works, sleeps and powers off",
    kernel: {
      package: "linux-image-cloud-amd64",
      dependency: /^linux-image-[0-9].*-cloud-amd64$/,
      path: KERNEL_PATH,
    },
    testInitramfs: true,
    cmdline: "console=hvc0",
    memoryMiB: 128,
    expect: INIT_EXPECTATION,
  },
  {
    name: "debian-generic",
    description: "Debian's newest standard kernel with the same initramfs",
    kernel: { package: "linux-image-amd64", dependency: /^linux-image-[0-9].*-amd64$/, path: KERNEL_PATH },
    testInitramfs: true,
    cmdline: "console=hvc0",
    memoryMiB: 128,
    expect: INIT_EXPECTATION,
  },
  {
    /*
     * An ELF64 made by grub-mkimage. Notes: GUEST_OS "GRUB", LOADER "generic", XEN_VERSION "xen-3.0", ENTRY 0,
     * VIRT_BASE 0; no HYPERCALL_PAGE: it calls by a bare `syscall` instruction. Two loadable segments, text with bss at
     * virtual 0 and the modules behind it (which start at an odd, unaligned address), 6.5 MB in all; it needs no module
     * and no command line (words of the form key=value become GRUB variables). The embedded configuration looks for
     * GRUB or grub.cfg on the domain's disks; where there are none it ends at the prompt.
     */
    name: "grub-pv",
    description: "GRUB as a PV guest: with no disk to boot from it stops at its prompt",
    kernel: { package: "grub-xen-host", path: /^usr\/lib\/grub-xen\/grub-x86_64-xen\.bin$/ },
    testInitramfs: false,
    cmdline: "",
    memoryMiB: 128,
    expect: { pass: ["grub>"], fail: [] },
  },
  {
    /*
     * As grub-pv, but an ELF32 with the same notes and PAE_MODE "yes", whose length goes past the end of the file. It calls by
     * `int $0x82`, and takes console input by polling the ring.
     */
    name: "grub-pv32",
    description: "GRUB as a 32-bit PV guest: with no disk to boot from it stops at its prompt",
    kernel: {
      package: "grub-xen-host",
      path: /^usr\/lib\/grub-xen\/grub-i386-xen\.bin$/,
      lock: "grub-xen-host-i386",
    },
    testInitramfs: false,
    cmdline: "",
    memoryMiB: 128,
    expect: { pass: ["grub>"], fail: [] },
  },
  {
    /*
     * An ELF32 with a note PHYS32_ENTRY. It runs without paging, takes one hypercall page by the MSR, maps shared_info and grant
     * frames by XENMEM_add_to_physmap, and then is as the one above.
     */
    name: "grub-pvh",
    description: "GRUB as a 32-bit PVH guest, which calls by its hypercall page: it stops at its prompt",
    kernel: {
      package: "grub-xen-host",
      path: /^usr\/lib\/grub-xen\/grub-i386-xen_pvh\.bin$/,
      lock: "grub-xen-host-pvh",
    },
    testInitramfs: false,
    cmdline: "",
    memoryMiB: 128,
    mode: "pvh",
    expect: { pass: ["grub>"], fail: [] },
  },
];
