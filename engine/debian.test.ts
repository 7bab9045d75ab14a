import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { prepareFixture } from "../r2-fixtures/index.ts";
import { create } from "./machine.ts";
import type { EngineParts } from "./machine-api.ts";
import { MapPageStore } from "./memory/page-store.ts";

/*
 * A whole boot of Debian in each mode, four times: with slices of 1 M, 7 M and 100 M instructions and in one go, with pools of 24, 64
 * and 256 MiB and without a limit. At 20 points on the way, memory, processor and devices are the same to the bit. Takes
 * minutes, so it only runs when asked for: LONG=1 npx vitest run engine/debian.test.ts
 */

const POINTS = 20;
/** Instructions from point to point: a boot on the bare processor takes half as many. */
const MODES = [
  ["pv", 160_000_000],
  ["pvh", 80_000_000],
  ["hvm", 80_000_000],
] as const;
const FRAMES_PER_MIB = 256;

const NodeModule = WebAssembly.Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module;
const read = (path: string) => new Uint8Array(readFileSync(path));

test.runIf(process.env.LONG === "1").each(MODES)(
  "neither slices nor the pool change the state of Debian in mode %s",
  { timeout: 900_000 },
  async (mode, every) => {
    const fixture = await prepareFixture("debian-cloud", { log: () => {} });
    const parts: EngineParts = {
      core: new NodeModule(read(`${import.meta.dirname}/cpu/core.wasm`)),
      emu64: read(`${import.meta.dirname}/emu/emu64.elf`),
    };
    const config = {
      mode,
      kernel: read(fixture.kernelPath),
      ...(fixture.initrdPath !== undefined && { initrd: read(fixture.initrdPath) }),
      cmdline: fixture.cmdline,
      memoryMiB: fixture.memoryMiB,
      seed: 42n,
      startTime: 1_750_000_000,
    };
    const trail = async (poolMiB: number, slice: number): Promise<string[]> => {
      const machine = await create(
        { ...parts, poolPages: poolMiB * FRAMES_PER_MIB },
        config,
        new MapPageStore(),
      );
      const seen: string[] = [];
      let console = "";
      for (let point = 1; point <= POINTS; point++) {
        while (machine.instructions < point * every) {
          const end = machine.run(Math.min(slice, point * every - machine.instructions));
          console += new TextDecoder("latin1").decode(machine.takeConsole());
          if (end.kind !== "budget") expect.unreachable(`the guest ended: ${JSON.stringify(end)}`);
        }
        seen.push(`${machine.instructions} ${machine.stateHash()}`);
      }
      return [...seen, console];
    };
    const expected = await trail(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
    expect(new Set(expected).size).toBe(POINTS + 1);
    expect(expected.at(-1)).toContain("Linux version");
    expect(await trail(24, 1e6)).toEqual(expected);
    expect(await trail(64, 7e6)).toEqual(expected);
    expect(await trail(256, 100e6)).toEqual(expected);
  },
);
