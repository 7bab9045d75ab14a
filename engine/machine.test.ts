/*
 * hello, our own PV guest, runs on the real core with the real emu. However its run is cut into slices, and however often
 * it is put away in a checkpoint and taken out again, it prints the same bytes after the same number of instructions.
 * A pool of frames that is too small for it changes nothing either, and a hash of the whole state says so at many points.
 * Checkpoints that are not ours are refused.
 */
import { describe, expect, test } from "vitest";
import { CHECKPOINT_VERSION, CheckpointError } from "./checkpoint.ts";
import { POOL_LIMITS } from "./limits.ts";
import { LoadError } from "./loader/errors.ts";
import { create, restore } from "./machine.ts";
import type { MachineApi, SliceEnd } from "./machine-api.ts";
import { MapPageStore } from "./memory/page-store.ts";
import { PARTS, readBytes } from "./testing/parts.ts";

const config = {
  kernel: readBytes(`${import.meta.dirname}/../r2-fixtures/hello/hello.elf`),
  cmdline: "hello",
  memoryMiB: 16,
  seed: 42n,
  startTime: 1_750_000_000,
};

interface Finished {
  readonly console: string;
  readonly instructions: number;
  readonly guestNanoseconds: number;
  readonly end: SliceEnd;
}

/** Runs to the end in slices of `budget()` instructions; `between` may swap the machine for another. */
function finish(
  machine: MachineApi,
  budget: () => number,
  between = (current: MachineApi) => current,
): Finished {
  let console = "";
  for (;;) {
    const end = machine.run(budget());
    console += new TextDecoder("latin1").decode(machine.takeConsole());
    if (end.kind !== "budget") {
      const { instructions, guestNanoseconds } = machine;
      return { console, instructions, guestNanoseconds, end };
    }
    machine = between(machine);
  }
}

const undisturbed = finish(await create(PARTS, config, new MapPageStore()), () => 1e9);

test("hello runs to power-off, and idle time counts as time but not as instructions", () => {
  expect(undisturbed.end).toEqual({ kind: "shutdown", reason: "poweroff", code: 0 });
  expect(undisturbed.console).toContain("HELLO-OK");
  expect(undisturbed.guestNanoseconds).toBeGreaterThan(undisturbed.instructions);
});

describe("slices do not show", () => {
  test.each([1, 7, 1000, 65_537])("of %i instructions", async (size) => {
    // One instruction at a time takes too long for all of the run: change to larger slices after a while.
    let slices = 0;
    const machine = await create(PARTS, config, new MapPageStore());
    expect(finish(machine, () => (slices++ < 20_000 ? size : 100_000))).toEqual(undisturbed);
  });

  test("of irregular size, with the budget kept exactly", async () => {
    let state = 1;
    const machine = await create(PARTS, config, new MapPageStore());
    let before = 0;
    const budget = (): number => {
      state = (Math.imul(state, 48271) >>> 0) % 0x7fffffff;
      expect(machine.instructions - before).toBeGreaterThanOrEqual(0);
      before = machine.instructions;
      return 1 + (state % 5000);
    };
    expect(finish(machine, budget)).toEqual(undisturbed);
  });
});

describe("the state hash", async () => {
  const POINTS = 13;
  const EVERY = 20_000;
  /** The hashes at each EVERY instructions. */
  async function trail(poolPages: number, slice: number, restores: boolean): Promise<string[]> {
    const hashes: string[] = [];
    const store = new MapPageStore();
    const these = { ...PARTS, poolPages };
    let machine = await create(these, config, store);
    for (let point = 1; point <= POINTS; point++) {
      while (machine.instructions < point * EVERY) {
        machine.run(Math.min(slice, point * EVERY - machine.instructions));
        // A hash that depended on the output nobody has taken would differ.
        if (restores) machine = restore(these, machine.checkpoint().state, store);
        else machine.takeConsole();
      }
      hashes.push(machine.stateHash());
    }
    return hashes;
  }
  const expected = await trail(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, false);

  test("is another at each point, and for another seed", async () => {
    // Some points lie within one repeated instruction that clears memory: the first moment after it counts for all.
    expect(new Set(expected).size).toBeGreaterThan(POINTS - 4);
    const other = await create(PARTS, { ...config, seed: 43n }, new MapPageStore());
    other.run(EVERY);
    expect(other.stateHash()).not.toBe(expected[0]);
  });

  test.each([
    [POOL_LIMITS.minPoolPages, Number.POSITIVE_INFINITY, false],
    [POOL_LIMITS.minPoolPages, 7001, true],
    [POOL_LIMITS.minPoolPages, 997, false],
    [550, 7001, false],
    [POOL_LIMITS.poolPages, 1997, true],
    [Number.POSITIVE_INFINITY, 1, false],
  ])("is the same for a pool of %f pages, slices of %f, restored: %s", async (pool, slice, restores) => {
    expect(await trail(pool, slice, restores)).toEqual(expected);
  });
});

describe("checkpoints", () => {
  test("taken every 1,997 instructions and restored each time: the same run", async () => {
    const store = new MapPageStore();
    let taken = 0;
    const result = finish(
      await create(PARTS, config, store),
      () => 1997,
      (machine) => {
        taken++;
        return restore(PARTS, machine.checkpoint().state, store);
      },
    );
    expect(taken).toBeGreaterThan(50);
    expect(result).toEqual(undisturbed);
  });

  test("write pages once, and keep console output that nobody has taken", async () => {
    const store = new MapPageStore();
    const machine = await create(PARTS, config, store);
    machine.run(1e9);
    const first = machine.checkpoint();
    expect(first.pagesWritten).toBeGreaterThan(100);
    expect(machine.checkpoint().pagesWritten).toBe(0);
    const text = (m: MachineApi) => new TextDecoder().decode(m.takeConsole());
    expect(text(restore(PARTS, first.state, store))).toBe(undisturbed.console);
  });

  test("statistics go on where they were", async () => {
    const store = new MapPageStore();
    const machine = await create(PARTS, config, store);
    machine.run(1e9);
    const statistics = machine.statistics();
    expect(statistics.totals.calls).toBeGreaterThan(20);
    const again = restore(PARTS, machine.checkpoint().state, store);
    expect(again.statistics()).toEqual(statistics);
    expect(again.run(1000)).toEqual(undisturbed.end);
  });

  test("that are damaged, cut off, of another version or nothing of the kind are refused", async () => {
    const store = new MapPageStore();
    const machine = await create(PARTS, config, store);
    machine.run(50_000);
    const { state } = machine.checkpoint();
    const refusal = (bytes: Uint8Array): string => {
      try {
        restore(PARTS, bytes, store);
      } catch (error) {
        if (error instanceof CheckpointError) return error.code;
        throw error;
      }
      return "accepted";
    };
    expect(refusal(state)).toBe("accepted");
    expect(refusal(state.map((byte, i) => (i === 500 ? byte ^ 1 : byte)))).toBe("damaged");
    expect(refusal(state.subarray(0, -1))).toBe("damaged");
    const other = state.slice();
    new DataView(other.buffer).setUint32(4, CHECKPOINT_VERSION + 1, true);
    expect(refusal(other)).toBe("wrong-version");
    expect(refusal(new Uint8Array(0))).toBe("not-a-checkpoint");
    expect(refusal(config.kernel)).toBe("not-a-checkpoint");
  });
});

test("the seed and the start time are the guest's, not the clock's", async () => {
  const again = finish(await create(PARTS, config, new MapPageStore()), () => 1e9);
  expect(again).toEqual(undisturbed);
});

test("a kernel that cannot be booted is a LoadError", async () => {
  const bad = (change: Partial<typeof config>) => create(PARTS, { ...config, ...change }, new MapPageStore());
  await expect(bad({ kernel: new Uint8Array(0) })).rejects.toThrow(LoadError);
  await expect(bad({ memoryMiB: 1 })).rejects.toThrow(LoadError);
  await expect(bad({ cmdline: "x".repeat(2000) })).rejects.toThrow(LoadError);
});
