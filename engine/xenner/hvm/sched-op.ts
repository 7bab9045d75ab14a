/* HYPERVISOR_sched_op of an HVM guest (xen/include/public/sched.h): what the processor waits for, and how it ends. */

import { ERRNO } from "./errors.ts";
import type { EventChannels } from "./event-channels.ts";
import { GuestStructure } from "./guest-structure.ts";
import type { GuestVirtual } from "./guest-virtual.ts";
import type { SharedInfo } from "./shared-info.ts";
import { POLL, SHUTDOWN } from "./structures.ts";

const SCHEDOP = { yield: 0, block: 1, shutdown: 2, poll: 3 } as const;
/** Most ports of one poll, as in Xen. */
const MAX_POLL_PORTS = 128;

/** What wakes the processor from a hypercall in which it waits; besides, any upcall does. */
export interface Wait {
  readonly ports: readonly number[];
  /** ns of guest time. */
  readonly until: number | null;
}

export type SchedResult =
  | { readonly kind: "done"; readonly value: number }
  | { readonly kind: "wait"; readonly wait: Wait }
  | { readonly kind: "shutdown"; readonly reason: number };

const done = (value: number): SchedResult => ({ kind: "done", value });

export function schedOp(
  guest: GuestVirtual,
  shared: SharedInfo,
  events: EventChannels,
  command: number,
  argument: bigint,
  wide: boolean,
): SchedResult {
  switch (command) {
    case SCHEDOP.yield:
      return done(0);
    case SCHEDOP.block:
      shared.clearUpcallMask();
      return { kind: "wait", wait: { ports: [], until: null } };
    case SCHEDOP.shutdown: {
      const request = GuestStructure.read(guest, argument, wide, SHUTDOWN);
      return request ? { kind: "shutdown", reason: request.number("reason") } : done(ERRNO.FAULT);
    }
    case SCHEDOP.poll:
      return poll(guest, events, argument, wide);
    default:
      return done(ERRNO.NOSYS);
  }
}

function poll(guest: GuestVirtual, events: EventChannels, argument: bigint, wide: boolean): SchedResult {
  const request = GuestStructure.read(guest, argument, wide, POLL);
  if (request === undefined) return done(ERRNO.FAULT);
  const count = request.number("nr_ports");
  if (count > MAX_POLL_PORTS) return done(ERRNO.INVAL);
  const bytes = guest.read(request.get("ports"), count * 4);
  if (bytes === undefined) return done(ERRNO.FAULT);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const ports = Array.from({ length: count }, (_, i) => view.getUint32(i * 4, true));
  if (ports.some((port) => port >= events.ports)) return done(ERRNO.INVAL);
  if (ports.some((port) => events.isMarked(port))) return done(0);
  // s_time_t in Xen: from 2^63 on it is long past.
  const timeout = Number(BigInt.asIntN(64, request.get("timeout")));
  if (timeout < 0) return done(0);
  // As for timers, a time beyond 2^53 ns (104 days) is as good as none.
  const until = timeout === 0 || !Number.isSafeInteger(timeout) ? null : timeout;
  return { kind: "wait", wait: { ports, until } };
}
