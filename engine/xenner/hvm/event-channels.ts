/*
 * Event channels of an HVM guest (xen/include/public/event_channel.h), one virtual processor. Which port is what is here; how its
 * events are marked is shared-info.ts's, with the two-level ABI, or fifo-queues.ts's, once a guest has asked for it.
 */

import type { PhysicalMemory } from "../../cpu/types.ts";
import { CONSOLE_PORT, PAGE_BYTES, XENSTORE_PORT } from "../abi.ts";
import { GUEST_DOMID } from "../domain-builder.ts";
import { ERRNO } from "./errors.ts";
import {
  CONTROL_BLOCK_BYTES,
  FIFO_LINK_BITS,
  FifoQueues,
  PRIORITY_MIN,
  type SavedFifo,
} from "./fifo-queues.ts";
import type { SharedInfo } from "./shared-info.ts";

/** EVTCHNSTAT_*. */
const STATUS = { closed: 0, unbound: 1, interdomain: 2, virq: 4, ipi: 5 } as const;

export const DOMID_SELF = 0x7ff0;
const NR_VIRQS = 24;
/** The last port that can be bound, however many the ABI has words for: what xl.cfg's event_channels defaults to. */
const LAST_PORT = 1023;
export const VIRQ_TIMER = 0;

export type Channel =
  | { readonly kind: "unbound"; readonly domid: number }
  | { readonly kind: "interdomain"; readonly domid: number; readonly port: number }
  | { readonly kind: "virq"; readonly virq: number }
  | { readonly kind: "ipi" };

export interface SavedEventChannels {
  readonly channels: readonly (readonly [port: number, channel: Channel])[];
  /** Null: two-level ABI. */
  readonly fifo: SavedFifo | null;
}

export const EVTCHNOP = {
  bind_interdomain: 0,
  bind_virq: 1,
  bind_pirq: 2,
  close: 3,
  send: 4,
  status: 5,
  alloc_unbound: 6,
  bind_ipi: 7,
  bind_vcpu: 8,
  unmask: 9,
  reset: 10,
  init_control: 11,
  expand_array: 12,
  set_priority: 13,
} as const;

/** Bytes of each operation's argument, which is the same for both word sizes. */
export const EVTCHNOP_BYTES: readonly number[] = [12, 12, 12, 4, 4, 24, 8, 8, 8, 4, 2, 24, 8, 8];

/** What event channels lead to. */
export interface EventSinks {
  /** The guest notified the other end of its port. */
  notified(port: number): void;
  /** The upcall has become pending. */
  upcall(): void;
}

export class EventChannels {
  readonly #memory: PhysicalMemory;
  readonly #shared: SharedInfo;
  #fifo: FifoQueues | undefined;
  readonly #sinks: EventSinks;
  readonly #channels: Map<number, Channel>;

  constructor(memory: PhysicalMemory, shared: SharedInfo, sinks: EventSinks, saved?: SavedEventChannels) {
    this.#memory = memory;
    this.#shared = shared;
    if (saved?.fifo) this.#fifo = new FifoQueues(memory, () => shared.markUpcall(), saved.fifo);
    this.#sinks = sinks;
    this.#channels = new Map(
      saved?.channels ?? [
        [XENSTORE_PORT, { kind: "interdomain", domid: 0, port: 1 }],
        [CONSOLE_PORT, { kind: "interdomain", domid: 0, port: 2 }],
      ],
    );
  }

  /** The other end of a port, or the hypervisor, notifies the guest. */
  raise(port: number): void {
    if (this.#channels.has(port) && this.#marks.mark(port)) this.#sinks.upcall();
  }

  /** Ports are below this. */
  get ports(): number {
    return this.#marks.ports;
  }

  isMarked(port: number): boolean {
    return this.#marks.isMarked(port);
  }

  raiseVirq(virq: number): void {
    for (const [port, channel] of this.#channels) {
      if (channel.kind === "virq" && channel.virq === virq) this.raise(port);
    }
  }

  /** HYPERVISOR_event_channel_op; `argument` is read, and changed where there is something to give back. */
  operate(op: number, argument: DataView): number {
    const word = (offset: number): number => argument.getUint32(offset, true);
    const domid = (offset: number): number => argument.getUint16(offset, true);
    switch (op) {
      case EVTCHNOP.alloc_unbound:
        if (!isSelf(domid(0))) return refuse(domid(0));
        return this.#bind({ kind: "unbound", domid: isSelf(domid(2)) ? GUEST_DOMID : domid(2) }, argument, 4);
      case EVTCHNOP.bind_interdomain:
        return this.#bindInterdomain(domid(0), word(4), argument);
      case EVTCHNOP.bind_virq:
        if (word(0) >= NR_VIRQS) return ERRNO.INVAL;
        if (word(4) !== 0) return ERRNO.NOENT;
        for (const channel of this.#channels.values()) {
          if (channel.kind === "virq" && channel.virq === word(0)) return ERRNO.EXIST;
        }
        return this.#bind({ kind: "virq", virq: word(0) }, argument, 8);
      case EVTCHNOP.bind_ipi:
        if (word(0) !== 0) return ERRNO.NOENT;
        return this.#bind({ kind: "ipi" }, argument, 4);
      case EVTCHNOP.close:
        return this.#close(word(0));
      case EVTCHNOP.send:
        return this.#send(word(0));
      case EVTCHNOP.status:
        return this.#status(domid(0), argument);
      case EVTCHNOP.bind_vcpu:
        if (word(4) !== 0) return ERRNO.NOENT;
        return this.#bindVcpu(word(0));
      case EVTCHNOP.unmask:
        if (word(0) >= this.ports) return ERRNO.INVAL;
        if (this.#marks.unmask(word(0))) this.#sinks.upcall();
        return 0;
      case EVTCHNOP.reset:
        if (!isSelf(domid(0))) return refuse(domid(0));
        for (const port of [...this.#channels.keys()]) this.#close(port);
        this.#fifo = undefined;
        this.#shared.setTwoLevel(true);
        return 0;
      case EVTCHNOP.init_control:
        return this.#initControl(Number(argument.getBigUint64(0, true)), word(8), word(12), argument);
      case EVTCHNOP.expand_array:
        return this.#expandArray(Number(argument.getBigUint64(0, true)));
      case EVTCHNOP.set_priority:
        if (!this.#channels.has(word(0))) return ERRNO.INVAL;
        if (this.#fifo === undefined) return ERRNO.NOSYS;
        if (word(4) > PRIORITY_MIN) return ERRNO.INVAL;
        this.#fifo.setPriority(word(0), word(4));
        return 0;
      default:
        // No physical interrupts.
        return ERRNO.NOSYS;
    }
  }

  save(): SavedEventChannels {
    return {
      channels: [...this.#channels].sort(([a], [b]) => a - b),
      fifo: this.#fifo?.save() ?? null,
    };
  }

  get #marks(): SharedInfo | FifoQueues {
    return this.#fifo ?? this.#shared;
  }

  /** The first one changes to FIFO queues; what is pending is queued as soon as it has a word. */
  #initControl(gfn: number, offset: number, vcpu: number, argument: DataView): number {
    if (vcpu !== 0) return ERRNO.NOENT;
    if (offset > PAGE_BYTES - CONTROL_BLOCK_BYTES || offset % 8 !== 0) return ERRNO.INVAL;
    if (this.#fifo !== undefined || !this.#isPage(gfn)) return ERRNO.INVAL;
    const shared = this.#shared;
    const fifo = new FifoQueues(this.#memory, () => shared.markUpcall(), {
      control: gfn * PAGE_BYTES + offset,
    });
    for (const port of this.#channels.keys()) if (shared.isMarked(port)) fifo.openPending(port);
    this.#fifo = fifo;
    shared.setTwoLevel(false);
    argument.setUint8(16, FIFO_LINK_BITS);
    return 0;
  }

  #expandArray(gfn: number): number {
    if (this.#fifo === undefined) return ERRNO.OPNOTSUPP;
    if (!this.#isPage(gfn)) return ERRNO.INVAL;
    const upcall = this.#fifo.expand(gfn);
    if (upcall) this.#sinks.upcall();
    return upcall === undefined ? ERRNO.NOSPC : 0;
  }

  #isPage(gfn: number): boolean {
    return gfn < this.#memory.bytes / PAGE_BYTES;
  }

  #bind(channel: Channel, argument: DataView, offset: number): number {
    let port = 1;
    while (this.#channels.has(port)) port++;
    if (port > LAST_PORT) return ERRNO.NOSPC;
    this.#channels.set(port, channel);
    this.#fifo?.open(port);
    this.#marks.clear(port);
    argument.setUint32(offset, port, true);
    return 0;
  }

  #bindInterdomain(remote: number, port: number, argument: DataView): number {
    // The only other domain is dom0, and it has no port that waits for one of the guest's.
    if (remote === 0) return ERRNO.INVAL;
    if (!isSelf(remote)) return ERRNO.SRCH;
    const other = this.#channels.get(port);
    if (other?.kind !== "unbound" || other.domid !== GUEST_DOMID) return ERRNO.INVAL;
    const result = this.#bind({ kind: "interdomain", domid: GUEST_DOMID, port }, argument, 8);
    if (result !== 0) return result;
    const local = argument.getUint32(8, true);
    this.#channels.set(port, { kind: "interdomain", domid: GUEST_DOMID, port: local });
    // A notification may have been lost before the binding.
    this.raise(local);
    return 0;
  }

  #close(port: number): number {
    const channel = this.#channels.get(port);
    if (channel === undefined) return ERRNO.INVAL;
    if (channel.kind === "interdomain" && channel.domid === GUEST_DOMID) {
      this.#channels.set(channel.port, { kind: "unbound", domid: GUEST_DOMID });
    }
    this.#channels.delete(port);
    this.#marks.clear(port);
    return 0;
  }

  #send(port: number): number {
    const channel = this.#channels.get(port);
    switch (channel?.kind) {
      case "interdomain":
        if (channel.domid === GUEST_DOMID) this.raise(channel.port);
        else this.#sinks.notified(port);
        return 0;
      case "ipi":
        this.raise(port);
        return 0;
      case "unbound":
        return 0;
      default:
        return ERRNO.INVAL;
    }
  }

  #bindVcpu(port: number): number {
    const channel = this.#channels.get(port);
    if (channel === undefined) return ERRNO.INVAL;
    // VIRQ_TIMER and VIRQ_DEBUG are a processor's own, as are IPIs.
    if (channel.kind === "ipi" || (channel.kind === "virq" && channel.virq < 2)) return ERRNO.INVAL;
    return 0;
  }

  #status(domid: number, argument: DataView): number {
    if (!isSelf(domid)) return refuse(domid);
    const port = argument.getUint32(4, true);
    if (port >= this.ports) return ERRNO.INVAL;
    const channel = this.#channels.get(port);
    argument.setUint32(8, STATUS[channel?.kind ?? "closed"], true);
    argument.setUint32(12, 0, true);
    if (channel?.kind === "unbound") argument.setUint16(16, channel.domid, true);
    if (channel?.kind === "virq") argument.setUint32(16, channel.virq, true);
    if (channel?.kind === "interdomain") {
      argument.setUint16(16, channel.domid, true);
      argument.setUint32(20, channel.port, true);
    }
    return 0;
  }
}

function isSelf(domid: number): boolean {
  return domid === DOMID_SELF || domid === GUEST_DOMID;
}

/** Another domain than the guest's own: dom0 is there, and not to be touched. */
function refuse(domid: number): number {
  return domid === 0 ? ERRNO.PERM : ERRNO.SRCH;
}
