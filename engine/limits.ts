/**
 * Every bound the engine puts on what a kernel file or a guest may make it do. Files and guests are hostile, so each
 * loop and each allocation that they can influence ends at one of these.
 */

const KiB = 1024;
const MiB = 1024 * KiB;

/** Bounds of the kernel loader (engine/loader). */
export const LOADER_LIMITS = {
  /** Largest kernel file as uploaded, in bytes. */
  kernelFileBytes: 128 * MiB,
  /** Largest decompressed kernel, in bytes. Debian's 6.1 vmlinux has 60 MB, an allyesconfig one about 400 MB. */
  decompressedBytes: 512 * MiB,
  /** Largest initrd, in bytes. */
  initrdBytes: 512 * MiB,
  /** Most program headers looked at. Linux has 5, a core file with 65535 segments is no kernel. */
  programHeaders: 128,
  /** Most section headers looked at when searching for notes; -ffunction-sections builds have thousands. */
  sectionHeaders: 65_536,
  /** Most notes read from one segment or section. */
  notes: 1024,
  /** Longest string taken from a note or from `__xen_guest`, in bytes. */
  noteStringBytes: 4 * KiB,
  /** Largest LZMA dictionary, in bytes; the kernel build uses at most 128 MiB (zstd) and 64 MiB (xz). */
  dictionaryBytes: 256 * MiB,
  /** Most blocks in one compressed stream; bounds the time a stream of empty blocks can take. */
  compressedBlocks: 65_536,
  /** Bytes of a file that are read at a time; in between others get their turn. */
  inputPieceBytes: 256 * KiB,
  /** Decompressed bytes that stay in memory for matches to repeat. Debian's kernels reach further back 18,000 times in 3.5 M. */
  historyBytes: 8 * MiB,
  /** New bytes beside the history before it moves. */
  windowRoomBytes: 2 * MiB,
  /** Chunks of a decompressed image in memory, 64 KiB each. */
  imageChunks: 32,
  /** Chunks that matches may make a decompressor read again; bounds the time a stream can take that reaches back at random. */
  farReads: 100_000,
} as const;

/** Bounds of the domain (engine/xenner, engine/machine.ts). */
export const DOMAIN_LIMITS = {
  /** Least guest RAM in MiB. */
  minMemoryMiB: 4,
  /** Most guest RAM in MiB: the initial page tables cover at most 1 GiB of it, and emu's m2p is sized for this. */
  maxMemoryMiB: 4096,
  /** Longest command line in bytes, without the terminating NUL (MAX_GUEST_CMDLINE of xen/include/public/xen.h). */
  cmdlineBytes: 1023,
  /** Longest message emu may hand over before giving up, in bytes. */
  panicMessageBytes: 4 * KiB,
  /** Console output kept between two calls of takeConsole, in bytes; a slice that produces more ends early. */
  consoleChunkBytes: 1 * MiB,
  /** Console input waiting for room in the ring, in bytes. */
  consoleInputBytes: 64 * KiB,
} as const;

/** Bounds of the pool of frames that guest pages are resident in (engine/cpu). */
export const POOL_LIMITS = {
  /** Most resident pages unless a machine is told otherwise: half of the 128 MB that an isolate of Workers has. */
  poolPages: (64 * MiB) / (4 * KiB),
  /** Smallest pool: the frames that the core must not take from an instruction in execution, and some to work with. */
  minPoolPages: 512,
} as const;

/** Bounds of what one instruction may make the host do (engine/cpu). */
export const DEVICE_LIMITS = {
  /** Accesses of one instruction to device registers that are served; the others find nothing. None that is meant so needs more than two. */
  accesses: 16,
} as const;

/** Bounds of the timers that a guest may set (engine/platform). */
export const TIMER_LIMITS = {
  /** Shortest period, in ns: each tick makes the processor stop. KVM's min_timer_period_us is 200. */
  minPeriod: 10_000,
} as const;

/** Bounds of the xenstore (engine/xenner/xenstore); the names in brackets are xenstored's options. */
export const XENSTORE_LIMITS = {
  /** Nodes a guest may own (quota-nodes, -N). */
  nodesPerDomain: 1000,
  /** Watches a guest may hold (quota-watches, -W). */
  watchesPerDomain: 128,
  /** Transactions a guest may have open (quota-transactions, -t). */
  transactionsPerDomain: 10,
  /** Bytes of one node: value, permissions and child names (quota entry-size, -S). */
  nodeBytes: 2048,
  /** Permission entries of one node (quota-perms, -A). */
  permissionsPerNode: 5,
  /** Nodes one transaction may touch (quota transaction-nodes). */
  nodesPerTransaction: 1024,
  /** Bytes of a guest's nodes, transactions, watches and what waits for room in its ring (quota memory, -Q). */
  bytesPerDomain: 2560 * KiB,
  /** Bytes of replies and watch events waiting for room in the ring, above which no more requests are taken. */
  queuedBytes: 512 * KiB,
  /** Requests served per notification, so that a guest that consumes no replies cannot keep the host busy. */
  requestsPerNotification: 64,
} as const;

/** Bounds of the profile of a run (engine/profile). */
export const PROFILE_LIMITS = {
  /** Instructions between two samples to begin with. */
  interval: 1_000_000,
  /** Most samples; then the distance doubles. */
  samples: 4096,
  /** Linux's kernel stacks are as large, and aligned to it: THREAD_SIZE of arch/x86/include/asm/page_64_types.h. */
  stackBytes: 16 * KiB,
  /** As much of a stack is looked at. */
  sampledStackBytes: 4 * KiB,
  /**
   * Distinct addresses of all samples, beyond which no new ones are taken from stacks. Debian's boot has a few thousand; a guest that
   * wrote its stacks for it could else have half a million kept.
   */
  addresses: 32_768,
  /** Most words of a stack that are kept, if they can be return addresses. */
  wordsPerSample: 64,
  /** Most frames of an unwound stack. */
  frames: 64,
  /** Most symbols of a kernel. */
  symbols: 1_000_000,
} as const;
