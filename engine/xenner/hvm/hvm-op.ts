/* HYPERVISOR_hvm_op (xen/include/public/hvm/hvm_op.h): the parameters a guest may read and write, and the upcall vector. */

import { CONSOLE_PORT, XENSTORE_PORT } from "../abi.ts";
import { ERRNO } from "./errors.ts";
import { GuestStructure } from "./guest-structure.ts";
import type { GuestVirtual } from "./guest-virtual.ts";
import { refuseDomain } from "./memory-op.ts";
import { HVM_PARAM, UPCALL_VECTOR } from "./structures.ts";

export const HVMOP = { set_param: 0, get_param: 1, flush_tlbs: 5, set_evtchn_upcall_vector: 23 } as const;

/** HVM_PARAM_*. */
const PARAM = {
  CALLBACK_IRQ: 0,
  STORE_PFN: 1,
  STORE_EVTCHN: 2,
  CONSOLE_PFN: 17,
  CONSOLE_EVTCHN: 18,
} as const;
const NR_PARAMS = 39;
/** HVM_PARAM_CALLBACK_TYPE_VECTOR, in the top byte. */
const CALLBACK_TYPE_VECTOR = 2n;
const FIRST_VECTOR = 16;

export interface SavedHvmOp {
  /** HVM_PARAM_CALLBACK_IRQ, as a decimal number. */
  readonly callback: string;
  /** 0 if there is none. */
  readonly upcallVector: number;
}

export class HvmOp {
  readonly #guest: GuestVirtual;
  readonly #pages: { readonly xenstore: number; readonly console: number };
  readonly #upcall: () => void;
  #callback = 0n;
  #upcallVector = 0;

  constructor(
    guest: GuestVirtual,
    pages: { readonly xenstore: number; readonly console: number },
    upcall: () => void,
    saved?: SavedHvmOp,
  ) {
    this.#guest = guest;
    this.#pages = pages;
    this.#upcall = upcall;
    if (saved === undefined) return;
    this.#callback = BigInt(saved.callback);
    this.#upcallVector = saved.upcallVector;
  }

  /** The vector requested from the local APIC when the upcall becomes pending; 0 for none. */
  get upcallVector(): number {
    return this.#upcallVector;
  }

  /** The vector that is injected, past the local APIC, as long as the upcall is pending; undefined for none. */
  get callbackVector(): number | undefined {
    if (this.#upcallVector !== 0 || this.#callback >> 56n !== CALLBACK_TYPE_VECTOR) return undefined;
    return Number(this.#callback & 0xffn);
  }

  operate(op: number, argument: bigint, wide: boolean): number {
    switch (op) {
      case HVMOP.set_param:
      case HVMOP.get_param:
        return this.#parameter(op, argument, wide);
      case HVMOP.flush_tlbs:
        return argument === 0n ? 0 : ERRNO.INVAL;
      case HVMOP.set_evtchn_upcall_vector:
        return this.#setUpcallVector(argument, wide);
      default:
        return ERRNO.NOSYS;
    }
  }

  save(): SavedHvmOp {
    return { callback: this.#callback.toString(), upcallVector: this.#upcallVector };
  }

  #parameter(op: number, argument: bigint, wide: boolean): number {
    const request = GuestStructure.read(this.#guest, argument, wide, HVM_PARAM);
    if (request === undefined) return ERRNO.FAULT;
    const refused = refuseDomain(request.number("domid"));
    const index = request.number("index");
    if (index >= NR_PARAMS) return ERRNO.INVAL;
    if (refused !== 0) return refused;
    if (op === HVMOP.set_param) {
      if (index !== PARAM.CALLBACK_IRQ) return ERRNO.PERM;
      this.#callback = request.get("value");
      return 0;
    }
    const value = this.#valueOf(index);
    if (value === undefined) return ERRNO.PERM;
    return request.set("value", value).write(this.#guest) ? 0 : ERRNO.FAULT;
  }

  #valueOf(index: number): bigint | undefined {
    switch (index) {
      case PARAM.CALLBACK_IRQ:
        return this.#callback;
      case PARAM.STORE_PFN:
        return BigInt(this.#pages.xenstore);
      case PARAM.STORE_EVTCHN:
        return BigInt(XENSTORE_PORT);
      case PARAM.CONSOLE_PFN:
        return BigInt(this.#pages.console);
      case PARAM.CONSOLE_EVTCHN:
        return BigInt(CONSOLE_PORT);
      default:
        return undefined;
    }
  }

  #setUpcallVector(argument: bigint, wide: boolean): number {
    const request = GuestStructure.read(this.#guest, argument, wide, UPCALL_VECTOR);
    if (request === undefined) return ERRNO.FAULT;
    if (request.number("vector") < FIRST_VECTOR) return ERRNO.INVAL;
    if (request.number("vcpu") !== 0) return ERRNO.NOENT;
    this.#upcallVector = request.number("vector");
    // Xen asserts it at once: what became pending before would not be told again.
    this.#upcall();
    return 0;
  }
}
