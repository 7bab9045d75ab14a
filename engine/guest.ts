import { decodeCheckpoint, encodeCheckpoint } from "./checkpoint.ts";
import { featureMask } from "./cpu/models.ts";
import type { CpuApi, CpuOptions } from "./cpu/types.ts";
import { encodeCmdline, prepareDomain } from "./inspect.ts";
import { DOMAIN_LIMITS } from "./limits.ts";
import { LoadError } from "./loader/errors.ts";
import { sourceOf } from "./loader/source.ts";
import { MemorySpool, type Spool } from "./loader/spool.ts";
import type {
  EngineParts,
  HypercallStatistics,
  MachineApi,
  MachineConfig,
  MachineFactory,
  RecordedInput,
  SliceEnd,
} from "./machine-api.ts";
import { flushDirtyPages } from "./memory/flush.ts";
import type { PageStore } from "./memory/page-store.ts";
import { furnishXenstore, poolOf, XenGuest } from "./xen-guest.ts";
import { EVENT_VECTOR, emuRegion, LINES, STATISTICS, type WordBytes } from "./xenner/abi.ts";
import { buildDomain } from "./xenner/domain-builder.ts";
import { placeEmu } from "./xenner/emu-image.ts";
import { type SavedHost, type SharedPages, XennerHost } from "./xenner/host.ts";
import { decodeStatistics } from "./xenner/statistics.ts";
import { uuidFromSeed } from "./xenner/uuid.ts";

/** The JSON part of a checkpoint. */
interface SavedGuest {
  readonly ramPages: number;
  /** Of a 32-bit guest 4. */
  readonly wordBytes?: WordBytes;
  readonly pages: SharedPages;
  readonly inputs: readonly RecordedInput[];
  readonly host: SavedHost;
}

/**
 * One guest: a processor, and xenner behind its ports. Everything the guest can observe follows from its configuration,
 * the recorded input and its own instruction count; how its run is cut into slices does not show.
 */
export class Guest extends XenGuest<CpuApi, XennerHost> implements MachineApi {
  readonly #ramPages: number;
  readonly #wordBytes: WordBytes;
  readonly #pages: SharedPages;

  constructor(
    cpu: CpuApi,
    store: PageStore,
    ramPages: number,
    pages: SharedPages,
    saved?: SavedGuest,
    wordBytes: WordBytes = saved?.wordBytes ?? 8,
  ) {
    const host = new XennerHost(cpu.memory, emuRegion(ramPages, wordBytes), pages, saved?.host);
    super(cpu, store, host, saved?.inputs);
    this.#ramPages = ramPages;
    this.#wordBytes = wordBytes;
    this.#pages = pages;
    this.#setInterrupt();
  }

  run(budget: number): SliceEnd {
    const cpu = this.cpu;
    const host = this.host;
    const target = cpu.instructions + budget;
    for (;;) {
      host.advance(this.guestNanoseconds);
      this.#setInterrupt();
      if (host.end !== undefined) return host.end;
      const isFull = host.console.pendingOutput >= DOMAIN_LIMITS.consoleChunkBytes;
      if (cpu.instructions >= target || isFull) return { kind: "budget" };

      const exit = cpu.run(this.#limit(target));
      switch (exit.kind) {
        case "limit":
          break;
        case "in":
          cpu.completeIn(host.read(exit.port, exit.size));
          break;
        case "out":
          host.write(exit.port, exit.value, this.guestNanoseconds);
          break;
        case "halt":
          if (!exit.interruptsEnabled) {
            host.crash("the processor was halted with interrupts disabled, from which nothing wakes it");
          } else if (!this.#skipIdleTime()) {
            return { kind: "idle" };
          }
          break;
        case "shutdown":
          host.crash(`triple fault at rip 0x${cpu.getRegister("rip").toString(16)}`);
          break;
      }
    }
  }

  input(bytes: Uint8Array): void {
    this.recordInput(bytes);
    if (this.host.console.input(bytes)) this.host.raise(LINES.CONSOLE);
  }

  statistics(): HypercallStatistics {
    const { statistics } = emuRegion(this.#ramPages, this.#wordBytes);
    return decodeStatistics(this.cpu.memory.read(statistics, STATISTICS.bytes));
  }

  checkpoint(): { readonly state: Uint8Array; readonly pagesWritten: number } {
    const pagesWritten = flushDirtyPages(this.cpu.memory, this.store);
    const saved: SavedGuest = {
      ramPages: this.#ramPages,
      ...(this.#wordBytes === 4 && { wordBytes: 4 }),
      pages: this.#pages,
      inputs: this.inputs,
      host: this.host.save(),
    };
    return { state: encodeCheckpoint(saved, this.cpu.saveState()), pagesWritten };
  }

  /** The instruction count at which the processor has to stop: the slice ends, or the timer fires. */
  #limit(target: number): number {
    const { deadline } = this.host;
    if (deadline === undefined) return target;
    return Math.min(target, deadline - this.cpu.idleTicks);
  }

  /** Nothing happens before the timer fires: let it be that time now. False if nothing will ever happen. */
  #skipIdleTime(): boolean {
    if (this.host.isInterrupting) return true;
    const { deadline } = this.host;
    if (deadline === undefined) return false;
    this.cpu.idleTicks += Math.max(0, deadline - this.guestNanoseconds);
    return true;
  }

  #setInterrupt(): void {
    this.cpu.setInterrupt(this.host.isInterrupting ? EVENT_VECTOR : undefined);
  }
}

/** @throws LoadError mode-not-offered */
function emuFor({ emu64, emu32pae }: EngineParts, wordBytes: WordBytes): Uint8Array {
  const emu = wordBytes === 8 ? emu64 : emu32pae;
  if (emu !== undefined) return emu;
  throw new LoadError({
    code: "mode-not-offered",
    what: "this is a 32-bit (i386) kernel; of Xen PV guests only 64-bit ones are offered here",
    where: "ELF header, offset 0x4",
    remedy: "Send a 64-bit kernel",
  });
}

/** What stays the same for all guests on one kind of processor. */
export type CreateCpu = (options: CpuOptions) => CpuApi;

/** A factory for guests on processors made by `createCpu`. */
export function guestFactory(createCpu: CreateCpu) {
  return {
    /** @throws LoadError for a kernel, initrd, memory size or command line that cannot be booted */
    async create(
      parts: EngineParts,
      config: MachineConfig,
      store: PageStore,
      spool: Spool = new MemorySpool(),
    ): Promise<Guest> {
      const initrd = config.initrd === undefined ? undefined : sourceOf(config.initrd);
      const prepared = await prepareDomain(config.kernel, config.memoryMiB, initrd?.size ?? 0, spool);
      const { kernel, layout } = prepared;
      const cmdline = encodeCmdline(config.cmdline);
      const emu = placeEmu(emuFor(parts, kernel.wordBytes), layout.ramPages);
      const cpu = createCpu({
        module: parts.core,
        pages: emu.region.machinePages,
        ...poolOf(parts),
        store,
        seed: config.seed,
        ...(config.cpu !== undefined && { features: featureMask(config.cpu) }),
      });
      const uuid = uuidFromSeed(config.seed);
      const entry = await buildDomain(cpu.memory, {
        kernel,
        layout,
        ...(initrd !== undefined && initrd.size > 0 && { initrd }),
        cmdline,
        emu,
        startTime: config.startTime,
        uuid,
        rest: () => spool.rest(),
      });
      spool.clear();
      if (kernel.wordBytes === 8) {
        cpu.enterLongMode(entry.cr3);
      } else {
        cpu.enterProtectedMode();
        cpu.setRegister("rsi", BigInt(entry.cr3));
      }
      cpu.setRegister("rip", entry.rip);
      cpu.setRegister("rdi", entry.rdi);
      const pages = { xenstore: layout.xenstore, console: layout.console };
      const guest = new Guest(cpu, store, layout.ramPages, pages, undefined, kernel.wordBytes);
      furnishXenstore(guest.host.xenstore, config, uuid, layout);
      return guest;
    },

    /** @throws CheckpointError for bytes that are not a checkpoint, or of a version that cannot be read */
    restore(parts: EngineParts, state: Uint8Array, store: PageStore): Guest {
      const { devices, cpu: cpuState } = decodeCheckpoint(state);
      // The checksum vouches for what `checkpoint` wrote.
      const saved = devices as SavedGuest;
      const cpu = createCpu({
        module: parts.core,
        pages: emuRegion(saved.ramPages, saved.wordBytes).machinePages,
        ...poolOf(parts),
        store,
      });
      cpu.loadState(cpuState);
      return new Guest(cpu, store, saved.ramPages, saved.pages, saved);
    },
  } satisfies MachineFactory;
}
