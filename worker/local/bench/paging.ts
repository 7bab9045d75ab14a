/**
 * `npm run bench:paging`: what paging costs and what it could cost, on one boot of Debian (or of the fixture named). Prints the
 * tables of docs/paging.md: the core's own counts for several pools, the same references under other policies, row sizes of
 * the store, zero pages, and compression. Counts are exact and the same everywhere; times are this machine's.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import type { Paging } from "../../../engine/cpu/types.ts";
import { POOL_LIMITS } from "../../../engine/limits.ts";
import { create } from "../../../engine/machine.ts";
import { checksum, isZero } from "../../../engine/memory/checksum.ts";
import { MapPageStore } from "../../../engine/memory/page-store.ts";
import { type PreparedFixture, prepareFixture } from "../../../r2-fixtures/index.ts";
import { simulatePolicies } from "./paging-policies.ts";

const ENGINE = join(import.meta.dirname, "../../../engine");
const NodeModule = WebAssembly.Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module;
const PAGE = 4096;
const PAGES_PER_MIB = 256;
const POOLS_MIB = [2, 4, 8, 16, 24, 32, 48, 64];
const SIMULATED_MIB = [8, 16, 24, 32, 48];
const ROW_PAGES = [1, 4, 16, 64];
/** As in the worker: STORAGE_LIMITS.bufferedRows and .cachedRows, in pages. */
const BUFFERED_PAGES = 1024;
const CACHED_PAGES = 512;
const SLICE = 100_000_000;

interface Access {
  readonly gfn: number;
  readonly isWrite: boolean;
}

/** Remembers the order in which pages are asked for once the guest runs. */
class TracingStore extends MapPageStore {
  readonly trace: Access[] = [];
  isTracing = false;

  override read(gfn: number, into: Uint8Array): boolean {
    if (this.isTracing) this.trace.push({ gfn, isWrite: false });
    return super.read(gfn, into);
  }

  override write(gfn: number, page: Uint8Array): void {
    if (this.isTracing) this.trace.push({ gfn, isWrite: true });
    super.write(gfn, page);
  }
}

interface Boot {
  readonly paging: Paging;
  readonly cpuSeconds: number;
  readonly instructions: number;
  readonly trace: readonly Access[];
  /** All pages at the end. */
  readonly pages: readonly Uint8Array[];
}

async function boot(fixture: PreparedFixture, poolPages: number): Promise<Boot> {
  const store = new TracingStore();
  const read = (path: string): Uint8Array => new Uint8Array(readFileSync(path));
  const machine = await create(
    {
      core: new NodeModule(read(join(ENGINE, "cpu/core.wasm"))),
      emu64: read(join(ENGINE, "emu/emu64.elf")),
      poolPages,
    },
    {
      kernel: read(fixture.kernelPath),
      ...(fixture.initrdPath !== undefined && { initrd: read(fixture.initrdPath) }),
      cmdline: fixture.cmdline,
      memoryMiB: fixture.memoryMiB,
      seed: 1n,
      startTime: 1_767_225_600,
    },
    store,
  );
  store.isTracing = true;
  const before = process.cpuUsage();
  while (machine.run(SLICE).kind === "budget") machine.takeConsole();
  const { user, system } = process.cpuUsage(before);
  store.isTracing = false;
  const { paging, instructions } = machine;
  machine.checkpoint();
  const pages = Array.from({ length: fixture.memoryMiB * PAGES_PER_MIB }, (_, gfn) => {
    const page = new Uint8Array(PAGE);
    store.read(gfn, page);
    return page;
  });
  return { paging, cpuSeconds: (user + system) / 1e6, instructions, trace: store.trace, pages };
}

/** Rows and bytes that a store with rows of `rowPages` pages reads and writes for a trace. */
function rowsFor(trace: readonly Access[], rowPages: number): { reads: number; writes: number } {
  const cache = new Map<number, true>();
  const buffered = new Map<number, number>();
  let reads = 0;
  let writes = 0;
  const load = (row: number): void => {
    if (cache.delete(row)) cache.set(row, true);
    else {
      reads++;
      cache.set(row, true);
      if (cache.size > Math.max(1, CACHED_PAGES / rowPages)) cache.delete(cache.keys().next().value!);
    }
  };
  const flush = (): void => {
    for (const [row, pages] of buffered) {
      // A row that was written in part is completed from the store.
      if (pages < rowPages) load(row);
      cache.delete(row);
      writes++;
    }
    buffered.clear();
  };
  for (const { gfn, isWrite } of trace) {
    const row = Math.floor(gfn / rowPages);
    if (!isWrite) {
      if (!buffered.has(row)) load(row);
      continue;
    }
    if (!buffered.has(row) && buffered.size >= Math.max(1, BUFFERED_PAGES / rowPages)) flush();
    buffered.set(row, Math.min(rowPages, (buffered.get(row) ?? 0) + 1));
  }
  flush();
  return { reads, writes };
}

const isZeroPage = (page: Uint8Array): boolean => isZero(new Uint32Array(page.buffer));

function rowOf(pages: readonly Uint8Array[], row: number, rowPages: number): Uint8Array {
  const joined = new Uint8Array(rowPages * PAGE);
  for (let i = 0; i < rowPages; i++) joined.set(pages[row * rowPages + i] ?? new Uint8Array(PAGE), i * PAGE);
  return joined;
}

function microsecondsEach(count: number, work: () => void): string {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return ((user + system) / count).toFixed(0);
}

function compression(pages: readonly Uint8Array[]): readonly object[] {
  const rowPages = 16;
  const rows = Array.from({ length: pages.length / rowPages }, (_, row) =>
    rowOf(pages, row, rowPages),
  ).filter((row) => !isZero(new Uint32Array(row.buffer)));
  const plain = rows.length * rowPages * PAGE;
  const table: object[] = [
    {
      rows: "as they are",
      MiB: (plain / 2 ** 20).toFixed(1),
      "pack us": microsecondsEach(rows.length, () => {
        for (const row of rows) checksum(new Uint32Array(row.buffer));
      }),
      "unpack us": 0,
    },
  ];
  for (const level of [1, 6]) {
    let packed: Uint8Array[] = [];
    const pack = microsecondsEach(rows.length, () => {
      packed = rows.map((row) => deflateRawSync(row, { level }));
    });
    const unpack = microsecondsEach(rows.length, () => {
      for (const row of packed) inflateRawSync(row);
    });
    const bytes = packed.reduce((sum, row) => sum + row.length, 0);
    const mib = (bytes / 2 ** 20).toFixed(1);
    table.push({ rows: `deflate, level ${level}`, MiB: mib, "pack us": pack, "unpack us": unpack });
  }
  return table;
}

const fixture = await prepareFixture(process.argv[2] ?? "debian-cloud", {
  log: (line) => console.error(line),
});
console.error(`${fixture.name}, ${fixture.memoryMiB} MiB; ${POOLS_MIB.length + 1} boots`);
const boots = new Map<number, Boot>();
for (const mib of [...POOLS_MIB, Number.POSITIVE_INFINITY]) {
  boots.set(mib, await boot(fixture, mib * PAGES_PER_MIB));
  console.error(`booted with a pool of ${mib} MiB`);
}

console.log("The core's clock");
console.table(
  [...boots].map(([mib, { paging, cpuSeconds, instructions }]) => ({
    "pool MiB": mib,
    instructions,
    "page-ins": paging.pagesIn,
    evictions: paging.evictions,
    "pages written": paging.pagesOut,
    "processor s": cpuSeconds.toFixed(1),
  })),
);

const smallest = boots.get(POOL_LIMITS.minPoolPages / PAGES_PER_MIB)!;
const references = smallest.trace.filter(({ isWrite }) => !isWrite).map(({ gfn }) => gfn);
console.log(`Other policies on the ${references.length} references that a pool of 2 MiB misses: page-ins`);
console.table(
  SIMULATED_MIB.map((mib) => ({
    "pool MiB": mib,
    ...simulatePolicies(references, mib * PAGES_PER_MIB),
    "the core": boots.get(mib)!.paging.pagesIn,
  })),
);

for (const mib of [8, 24]) {
  console.log(`Rows of the store with a pool of ${mib} MiB`);
  console.table(
    ROW_PAGES.map((rowPages) => {
      const { reads, writes } = rowsFor(boots.get(mib)!.trace, rowPages);
      const mebibytes = (rows: number): string => ((rows * rowPages * PAGE) / 2 ** 20).toFixed(0);
      return {
        "pages a row": rowPages,
        "rows read": reads,
        "MiB read": mebibytes(reads),
        "rows written": writes,
        "MiB written": mebibytes(writes),
      };
    }),
  );
}

const { pages } = smallest;
const zero = pages.filter(isZeroPage).length;
const rows = Array.from({ length: pages.length / 16 }, (_, row) => pages.slice(row * 16, row * 16 + 16));
const zeroRows = rows.filter((row) => row.every(isZeroPage)).length;
console.log(
  `Zero pages at the end: ${zero} of ${pages.length}; ${zeroRows * 16} of them in rows of nothing else, ${zero - zeroRows * 16} beside others`,
);
console.log("Compression of the rows of 16 pages that are not zero, processor time for each");
console.table(compression(pages));
