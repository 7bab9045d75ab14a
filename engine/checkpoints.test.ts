import { describe, expect, test } from "vitest";
import type { PreparedFixture } from "../r2-fixtures/index.ts";
import { create, restore, statedMachine } from "./machine.ts";
import type { MachineApi } from "./machine-api.ts";
import { MapPageStore } from "./memory/page-store.ts";
import { fixtureOrSkip, PARTS, readBytes } from "./testing/parts.ts";

/*
 * What checkpoints do to a guest, and what they write. Real guests run with checkpoints at random moments, half of which the
 * machine is thrown away after and made anew from the page store: state, console and instruction count are those of a run
 * that had none. And a guest with 512 MiB that does what one with 128 MiB does makes checkpoints of the same size.
 */

/** Counts what is written. */
class CountingStore extends MapPageStore {
  written = 0;
  override write(gfn: number, page: Uint8Array): void {
    this.written++;
    super.write(gfn, page);
  }
}

function begin(fixture: PreparedFixture, memoryMiB: number, store: MapPageStore): Promise<MachineApi> {
  const config = {
    kernel: readBytes(fixture.kernelPath),
    ...(fixture.initrdPath !== undefined && { initrd: readBytes(fixture.initrdPath) }),
    cmdline: fixture.cmdline,
    memoryMiB,
    seed: 42n,
    startTime: 1_750_000_000,
  };
  return Promise.resolve(create(PARTS, config, store));
}

interface Trail {
  readonly points: string[];
  readonly instructions: number;
  readonly console: string;
}

/** Runs to the end, or `most` instructions; `disturb` is called at random moments with the seed `disturbances`. */
async function run(
  fixture: PreparedFixture,
  every: number,
  most: number,
  disturb?: (machine: MachineApi, store: MapPageStore) => MachineApi,
): Promise<Trail> {
  const store = new MapPageStore();
  let machine = await begin(fixture, fixture.memoryMiB, store);
  let seed = 4711;
  const random = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  const points: string[] = [];
  let console = "";
  for (let next = every; machine.instructions < most; ) {
    const wanted =
      disturb === undefined ? next : Math.min(next, machine.instructions + Math.ceil(random() * every));
    const end = machine.run(wanted - machine.instructions);
    console += new TextDecoder("latin1").decode(machine.takeConsole());
    if (end.kind !== "budget") {
      points.push(machine.stateHash(), JSON.stringify(end));
      break;
    }
    if (machine.instructions >= next) {
      points.push(`${machine.instructions} ${machine.stateHash()}`);
      next += every;
    }
    if (disturb !== undefined) machine = disturb(machine, store);
  }
  return { points, instructions: machine.instructions, console };
}

describe.each([
  ["hello", 15_000, 10_000_000],
  ["grub-pv", 12_000_000, 120_000_000],
  ["hello32", 5_000_000, 100_000_000],
] as const)("%s", async (name, every, most) => {
  const fixture = await fixtureOrSkip(name);

  test.skipIf(fixture === undefined)(
    "does not notice checkpoints, nor being made anew from one",
    { timeout: 120_000 },
    async () => {
      const undisturbed = await run(fixture!, every, most);
      expect(undisturbed.points.length).toBeGreaterThan(8);
      expect(undisturbed.console).not.toBe("");
      let checkpoints = 0;
      const onlyWritten = await run(fixture!, every, most, (machine) => {
        machine.checkpoint();
        checkpoints++;
        return machine;
      });
      expect(onlyWritten).toEqual(undisturbed);
      const madeAnew = await run(fixture!, every, most, (machine, store) => {
        const { state } = machine.checkpoint();
        expect(statedMachine(state)).toEqual({ mode: fixture!.mode ?? "pv", memoryMiB: fixture!.memoryMiB });
        return checkpoints++ % 2 === 0 ? machine : restore(PARTS, state, store);
      });
      expect(madeAnew).toEqual(undisturbed);
      expect(checkpoints).toBeGreaterThan(20);
    },
  );

  test.skipIf(fixture === undefined)(
    "writes what changed, however much RAM it has",
    { timeout: 120_000 },
    async () => {
      const [small, large] = await Promise.all(
        [128, 512].map(async (memoryMiB) => {
          const store = new CountingStore();
          const machine = await begin(fixture!, memoryMiB, store);
          const pages: number[] = [];
          while (machine.instructions < most) {
            const { kind } = machine.run(every);
            const before = store.written;
            pages.push(machine.dirtyPages);
            expect(machine.checkpoint().pagesWritten).toBe(pages.at(-1));
            expect(store.written - before).toBe(pages.at(-1));
            expect(machine.dirtyPages).toBe(0);
            if (kind !== "budget") break;
          }
          return pages;
        }),
      );
      const sum = (pages: readonly number[]): number => pages.reduce((total, n) => total + n, 0);
      expect(sum(small!)).toBeGreaterThan(100);
      // More RAM means larger tables (p2m, page tables, emu's frame table and m2p: 21 bytes a page), written once.
      expect(sum(large!) - sum(small!)).toBeLessThan((384 * 256 * 32) / 4096);
      // Once they are there, nothing.
      expect(Math.abs(sum(large!.slice(-2)) - sum(small!.slice(-2)))).toBeLessThan(50);
    },
  );
});
