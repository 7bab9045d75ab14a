import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { create, restore } from "../../engine/machine.ts";
import type { EngineParts } from "../../engine/machine-api.ts";
import { MapPageStore } from "../../engine/memory/page-store.ts";
import { Monitor } from "../../jobs/monitor.ts";
import { parseConfig } from "../../jobs/spec.ts";
import type { Outcome } from "../../jobs/verdict.ts";
import { Guest } from "../runner/guest.ts";
import { FigureKeeper, type PagingFigures } from "../runner/run-figures.ts";

const ENGINE = join(import.meta.dirname, "../../engine");
/** The Workers types know only compiled modules; in Node one can be made from bytes. */
const NodeModule = WebAssembly.Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module;

/** A guest, as files. */
export interface HashedGuest {
  readonly kernel: string;
  readonly initrd?: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/** What must not show in the hashes. */
export interface HashedRun {
  /** EngineParts.poolPages */
  readonly poolPages?: number;
  /** Instructions of a slice; default: as many as there are to the next hash. */
  readonly sliceInstructions?: number;
  /** After each slice the machine is thrown away and made anew from a checkpoint. */
  readonly restores?: boolean;
}

/**
 * Boots a guest in this process, without a worker, and calls `print` with the instruction count and the hash of the whole
 * state at the first moment at or after every `every` instructions at which a run is judged, and at the end.
 */
export async function stateHashes(
  guest: HashedGuest,
  every: number,
  print: (instructions: number, hash: string) => void,
  { poolPages, sliceInstructions = Number.POSITIVE_INFINITY, restores = false }: HashedRun = {},
): Promise<Outcome & { readonly paging: PagingFigures }> {
  const config = parseConfig(guest.config, () => Math.floor(Date.now() / 1000));
  const parts: EngineParts = {
    core: new NodeModule(await readFile(join(ENGINE, "cpu/core.wasm"))),
    emu64: await readFile(join(ENGINE, "emu/emu64.elf")),
    emu32pae: await readFile(join(ENGINE, "emu/emu32pae.elf")),
    ...(poolPages !== undefined && { poolPages }),
  };
  const store = new MapPageStore();
  const machine = await create(
    parts,
    {
      kernel: await readFile(guest.kernel),
      ...(guest.initrd !== undefined && { initrd: await readFile(guest.initrd) }),
      cmdline: config.cmdline,
      memoryMiB: config.memory,
      seed: BigInt(config.seed),
      startTime: config.startTime,
      cpu: config.cpu,
      mode: config.mode,
    },
    store,
  );
  let judged = new Guest(machine, new Monitor(config));
  let keeper = new FigureKeeper(machine, every, {});
  for (let printed = 0; ; ) {
    const { outcome } = judged.slice(Math.min(sliceInstructions, keeper.untilHash));
    keeper.moment(outcome !== undefined);
    const { paging, stateHashes: points = [] } = keeper.figures;
    for (const { instructions, hash } of points.slice(printed)) print(instructions, hash);
    printed = points.length;
    if (outcome !== undefined) return { ...outcome, paging };
    if (!restores) continue;
    const anew = restore(parts, judged.machine.checkpoint().state, store);
    judged = new Guest(anew, new Monitor(config, judged.monitor.save()));
    keeper = new FigureKeeper(anew, every, keeper.figures);
  }
}
