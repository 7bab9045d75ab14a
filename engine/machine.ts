import { Cpu } from "./cpu/cpu.ts";
import { guestFactory } from "./guest.ts";

/** Guests on our own core: see MachineFactory in machine-api.ts. */
export const { create, restore } = guestFactory((options) => Cpu.create(options));
