/* HYPERVISOR_grant_table_op of an HVM guest (xen/include/public/grant_table.h): version 1, frames by XENMEM_add_to_physmap. */

import { MAX_GRANT_FRAMES } from "../abi.ts";
import { GUEST_DOMID } from "../domain-builder.ts";
import { ERRNO } from "./errors.ts";
import { DOMID_SELF } from "./event-channels.ts";
import { GuestStructure } from "./guest-structure.ts";
import type { GuestVirtual } from "./guest-virtual.ts";
import { refuseDomain } from "./memory-op.ts";
import { GET_VERSION, QUERY_SIZE, SET_VERSION, SETUP_TABLE } from "./structures.ts";

const GNTTABOP = { setup_table: 2, query_size: 6, set_version: 8, get_version: 10 } as const;
/** GNTST_*, as an unsigned 16-bit number. */
const OKAY = 0n;
const GENERAL_ERROR = 0xffffn;
const BAD_DOMAIN = 0xfffen;

export function grantTableOp(
  guest: GuestVirtual,
  command: number,
  argument: bigint,
  count: number,
  wide: boolean,
): number {
  if (count === 0) return 0;
  const finish = (request: GuestStructure): number => (request.write(guest) ? 0 : ERRNO.FAULT);
  switch (command) {
    case GNTTABOP.query_size: {
      if (count !== 1) return ERRNO.INVAL;
      const request = GuestStructure.read(guest, argument, wide, QUERY_SIZE);
      if (request === undefined) return ERRNO.FAULT;
      if (!isSelf(request.number("dom"))) return finish(request.set("status", BAD_DOMAIN));
      const frames = BigInt(MAX_GRANT_FRAMES);
      return finish(request.set("nr_frames", frames).set("max_nr_frames", frames).set("status", OKAY));
    }
    case GNTTABOP.setup_table: {
      if (count !== 1) return ERRNO.INVAL;
      const request = GuestStructure.read(guest, argument, wide, SETUP_TABLE);
      if (request === undefined) return ERRNO.FAULT;
      if (!isSelf(request.number("dom"))) return finish(request.set("status", BAD_DOMAIN));
      const fits = request.number("nr_frames") <= MAX_GRANT_FRAMES;
      return finish(request.set("status", fits ? OKAY : GENERAL_ERROR));
    }
    case GNTTABOP.set_version: {
      const request = GuestStructure.read(guest, argument, wide, SET_VERSION);
      if (request === undefined) return ERRNO.FAULT;
      const version = request.number("version");
      if (version === 2) return ERRNO.NOSYS;
      return version === 1 ? finish(request.set("version", 1n)) : ERRNO.INVAL;
    }
    case GNTTABOP.get_version: {
      const request = GuestStructure.read(guest, argument, wide, GET_VERSION);
      if (request === undefined) return ERRNO.FAULT;
      const refused = refuseDomain(request.number("dom"));
      if (refused !== 0) return refused;
      return finish(request.set("version", 1n));
    }
    default:
      return ERRNO.NOSYS;
  }
}

function isSelf(domid: number): boolean {
  return domid === DOMID_SELF || domid === GUEST_DOMID;
}
