import type { CpuApi, CpuOptions, Paging } from "./cpu/types.ts";
import type { EngineParts, MachineConfig, RecordedInput } from "./machine-api.ts";
import type { PageStore } from "./memory/page-store.ts";
import { stateHash } from "./memory/state-hash.ts";
import { type StackSample, takeSample } from "./profile/sample.ts";
import { CONSOLE_PORT, XENSTORE_PORT } from "./xenner/abi.ts";
import type { ConsoleBackend, SavedConsole } from "./xenner/console.ts";
import { formatUuid } from "./xenner/uuid.ts";
import type { Xenstore } from "./xenner/xenstore/xenstore.ts";

const KIB_PER_MIB = 1024;

/** What the host half has in each mode. */
interface HostHalf {
  readonly console: ConsoleBackend;
  save(): { readonly console: SavedConsole };
}

/** What guests of all modes have in common: a processor, pages, the host half with its console, and the input so far. */
export abstract class XenGuest<C extends CpuApi, H extends HostHalf> {
  protected readonly cpu: C;
  protected readonly store: PageStore;
  readonly host: H;
  protected readonly inputs: RecordedInput[];

  constructor(cpu: C, store: PageStore, host: H, inputs: readonly RecordedInput[] = []) {
    this.cpu = cpu;
    this.store = store;
    this.host = host;
    this.inputs = [...inputs];
  }

  get instructions(): number {
    return this.cpu.instructions;
  }

  get guestNanoseconds(): number {
    return this.cpu.instructions + this.cpu.idleTicks;
  }

  /** Input so far, in order. */
  get recordedInput(): readonly RecordedInput[] {
    return this.inputs;
  }

  takeConsole(): Uint8Array {
    return this.host.console.takeOutput();
  }

  stateHash(): string {
    const { console, ...devices } = this.host.save();
    // Output that waits to be taken is no longer the guest's; when it is taken is the caller's business.
    const small = { ...devices, input: console.waitingInput, inputs: this.inputs };
    return stateHash(this.cpu, new TextEncoder().encode(JSON.stringify(small)));
  }

  sample(): StackSample {
    return takeSample(this.cpu);
  }

  get paging(): Paging {
    return this.cpu.paging;
  }

  get dirtyPages(): number {
    return this.cpu.memory.countDirtyPages();
  }

  protected recordInput(bytes: Uint8Array): void {
    this.inputs.push({ instructions: this.instructions, bytes: [...bytes] });
  }
}

/** The size of the pool as an option of the processor, if one is given. */
export function poolOf({ poolPages }: EngineParts): Pick<CpuOptions, "poolPages"> {
  return poolPages === undefined ? {} : { poolPages };
}

/** What a new guest finds in its xenstore. `pages`: page numbers of its rings. */
export function furnishXenstore(
  xenstore: Xenstore,
  { memoryMiB }: MachineConfig,
  uuid: Uint8Array,
  pages: { readonly console: number; readonly xenstore: number },
): void {
  xenstore.initialise();
  xenstore.populate({
    name: "guest",
    uuid: formatUuid(uuid),
    memoryKiB: memoryMiB * KIB_PER_MIB,
    consoleMfn: pages.console,
    consolePort: CONSOLE_PORT,
    storeMfn: pages.xenstore,
    storePort: XENSTORE_PORT,
  });
}
