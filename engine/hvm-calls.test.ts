/*
 * Our own HVM guests, 32- and 64-bit (r2-fixtures/hvm-calls): every hypercall with good and bad arguments, by VMCALL, VMMCALL, one
 * hypercall page and two, in kernel and user mode, while shared_info's mapping moves, and while interrupts come that call, too; and FIFO event channels. The guest compares with what
 * Xen's headers and sources say, and prints what differs. Here it is run whole; in uneven slices; and through checkpoints, each
 * restored in a new machine, as after a kill or in another worker. That changes no byte of its hypercall pages and its code.
 * All of it entered by PVH; and whole and through checkpoints, by Linux's boot protocol, too, which is mode "hvm".
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { HVM_CALLS } from "../r2-fixtures/hvm-calls/build.ts";
import { check, toolchainVersion } from "./emu/toolchain.ts";
import { HYPERCALL_PAGES_BUILD, isModuleCurrent } from "./emu-hvm/pages-build.ts";
import { create, restore, statedMachine } from "./machine.ts";
import type { MachineApi } from "./machine-api.ts";
import { MapPageStore } from "./memory/page-store.ts";
import { PARTS, readBytes } from "./testing/parts.ts";
import { codePage, entriesWithCode, hvmHypercallPage } from "./xenner/hvm/hypercall-page.ts";

const GUESTS = HVM_CALLS.map(({ directory, output }) => ({
  name: output,
  kernel: readBytes(join(directory, output)),
}));
const ENTRIES = { pvh: "by PVH", hvm: "by Linux's boot protocol" } as const;
type Mode = keyof typeof ENTRIES;
const PAGE = 4096;
const CODE_START = 0x100000;
/** Text and read-only data of the guest. */
const CODE_PAGES = 4;
/** At least those that the machine of a 16 MiB guest has. */
const MACHINE_PAGES = 0x20000;
/** Of instructions, so that cuts fall anywhere; about as long as the runs. */
const SLICES = [1_000_003, 77_777, 3_333_331];
const MAX_TURNS = 2000;
const SINGLE_STEPS = 20_000;
const configOf = (kernel: Uint8Array, mode: Mode) =>
  ({ mode, kernel, cmdline: "", memoryMiB: 16, seed: 7n, startTime: 0 }) as const;

interface Run {
  readonly console: string;
  readonly instructions: number;
  readonly hash: string;
  readonly statistics: ReturnType<MachineApi["statistics"]>;
  /** SHA-256 of code and hypercall pages, by the end of each slice; only of runs through checkpoints. */
  readonly pages: ReadonlyMap<number, string>;
}

/** The guest's pages of code, and whichever pages look like hypercall pages, as a checkpoint has them. */
function codeAndHypercallPages(store: MapPageStore): string {
  const hash = createHash("sha256");
  const frame = new Uint8Array(PAGE);
  const firstBytes = [hvmHypercallPage(), entriesWithCode(), codePage()].map((page) => page.slice(0, 256));
  for (let gfn = 0; gfn < 0x1000; gfn++) {
    if (!store.read(gfn, frame)) continue;
    const isCode = gfn >= CODE_START / PAGE && gfn < CODE_START / PAGE + CODE_PAGES;
    const isHypercall = firstBytes.some((bytes) => bytes.every((byte, i) => frame[i] === byte));
    if (isCode || isHypercall) hash.update(`${gfn}`).update(frame);
  }
  return hash.digest("hex");
}

function copyOf(store: MapPageStore): MapPageStore {
  const copy = new MapPageStore();
  const frame = new Uint8Array(PAGE);
  for (let gfn = 0; gfn < MACHINE_PAGES; gfn++) if (store.read(gfn, frame)) copy.write(gfn, frame);
  return copy;
}

async function run(
  kernel: Uint8Array,
  slices: readonly number[],
  through: boolean,
  mode: Mode = "pvh",
): Promise<Run> {
  let store = new MapPageStore();
  let machine: MachineApi = await create(PARTS, configOf(kernel, mode), store);
  const pages = new Map<number, string>();
  let console = "";
  for (let turn = 0; turn < MAX_TURNS; turn++) {
    const end = machine.run(slices[turn % slices.length]!);
    console += new TextDecoder().decode(machine.takeConsole());
    if (end.kind !== "budget") {
      expect(end).toEqual({ kind: "shutdown", reason: "poweroff", code: 0 });
      const { instructions } = machine;
      return { console, instructions, hash: machine.stateHash(), statistics: machine.statistics(), pages };
    }
    if (!through) continue;
    const { state } = machine.checkpoint();
    const before = codeAndHypercallPages(store);
    pages.set(machine.instructions, before);
    // A copy, and another machine: nothing but the checkpoint is left of the first one.
    store = copyOf(store);
    expect(statedMachine(state)).toEqual({ mode, memoryMiB: 16 });
    machine = restore(PARTS, state, store);
    machine.run(0);
    machine.checkpoint();
    expect(codeAndHypercallPages(store)).toBe(before);
  }
  throw new Error("the guest does not end");
}

const canCompare = (() => {
  if (!existsSync("/usr/include/xen/xen.h")) return false;
  const record = readFileSync(join(HYPERCALL_PAGES_BUILD.directory, "pages.bin.toolchain"), "utf8").trim();
  try {
    execFileSync("gcc", ["-m32", "-E", "-x", "c", "/dev/null"], { stdio: "ignore" });
    return toolchainVersion() === record;
  } catch {
    return false;
  }
})();

test.skipIf(!canCompare && process.env.CI === undefined)(
  "guests and hypercall pages are built from their sources",
  () => {
    for (const build of [...HVM_CALLS, HYPERCALL_PAGES_BUILD]) check(build);
    expect(isModuleCurrent()).toBe(true);
  },
);

function expectOk({ console }: Run, mode: Mode): void {
  expect(console).not.toContain("FAIL");
  expect(console).toMatch(
    /^by .*\ndone: vmcall\ndone: vmmcall\ndone: one page\ndone: two pages\nHVM-OK (32|64): \d+ checks\n$/,
  );
  expect(console.split("\n")[0]).toBe(ENTRIES[mode]);
}

/** Of a run through checkpoints that came out as the whole one. */
function expectPagesAsTheyWere({ pages }: Run): void {
  expect(pages.size).toBeGreaterThan(10);
  // The pages change where the guest has them loaded, and where it calls after shared_info was mapped elsewhere.
  expect(new Set(pages.values()).size).toBeLessThan(pages.size);
}

describe.each(GUESTS)("$name", ({ kernel }) => {
  let whole: Run;
  beforeAll(async () => {
    whole = await run(kernel, [1e9], false);
  }, 120_000);

  test("every check holds, on every path", () => expectOk(whole, "pvh"));

  test("what can be served inside the guest is, and is told apart", () => {
    const rows = new Map(whole.statistics.hypercalls.map((row) => [row.subop ?? row.hypercall, row]));
    const inside = (name: string) => rows.get(name)?.inEmu ?? 0;
    for (const name of [
      "XENVER_version",
      "XENVER_pagesize",
      "XENVER_get_features",
      "SCHEDOP_yield",
      "VCPUOP_is_up",
    ])
      expect(inside(name), name).toBeGreaterThan(0);
    // Those that find an event pending leave.
    const unmask = rows.get("EVTCHNOP_unmask");
    expect(unmask?.inEmu).toBeGreaterThan(1000);
    expect(unmask?.byPort).toBeGreaterThan(100);
    for (const name of [
      "EVTCHNOP_send",
      "XENMEM_add_to_physmap",
      "HVMOP_get_param",
      "CONSOLEIO_write",
      "set_timer_op",
    ])
      expect(inside(name), name).toBe(0);
    const { calls, inEmu, byPort, byVmcall } = whole.statistics.totals;
    expect(inEmu + byPort + (byVmcall ?? 0)).toBe(calls);
    expect(inEmu).toBeGreaterThan(5000);
  });

  test("one instruction at a time where two pages are used first: the same run", async () => {
    const machine = await create(PARTS, configOf(kernel, "pvh"), new MapPageStore());
    let console = "";
    const take = (): void => {
      console += new TextDecoder().decode(machine.takeConsole());
    };
    while (!console.includes("done: one page")) {
      machine.run(10_000);
      take();
    }
    const steps = new Set(Array.from({ length: SINGLE_STEPS }, () => machine.run(1).kind));
    expect(steps).toEqual(new Set(["budget"]));
    expect(machine.run(1e9).kind).toBe("shutdown");
    take();
    expect(console).toBe(whole.console);
    expect([machine.instructions, machine.stateHash()]).toEqual([whole.instructions, whole.hash]);
  });

  test("in uneven slices: the same run", async () => {
    expect(await run(kernel, SLICES, false)).toEqual(whole);
  });

  test("through checkpoints and new machines: the same run, and the same bytes of code and hypercall pages", async () => {
    const through = await run(kernel, SLICES, true);
    expect({ ...through, pages: whole.pages }).toEqual(whole);
    expectPagesAsTheyWere(through);
  });

  test("in mode hvm: every check holds, and the same through checkpoints", async () => {
    const linux = await run(kernel, [1e9], false, "hvm");
    expectOk(linux, "hvm");
    expect(linux.hash).not.toBe(whole.hash);
    const called = ({ statistics }: Run) =>
      statistics.hypercalls.map(({ hypercall, subop, calls }) => [hypercall, subop, calls]);
    expect(called(linux)).toEqual(called(whole));
    const through = await run(kernel, SLICES, true, "hvm");
    expect({ ...through, pages: linux.pages }).toEqual(linux);
    expectPagesAsTheyWere(through);
  }, 120_000);
});
