import type { Script } from "./scripted-machine.ts";

/** Limits that let a guest run for hours, and a scripted one for longer than any test: what is to be found running still runs on a fast machine. */
export const NO_LIMITS = {
  guestSeconds: 86_400,
  instructions: 1_000_000_000_000,
  silentSeconds: 86_400,
  silentInstructions: 1_000_000_000_000,
} as const;

/** The config of a job that ends when it is canceled. */
export const UNLIMITED = { limits: NO_LIMITS } as const;

/** A guest that goes on until UNLIMITED is over; to be canceled. */
export const ENDLESS: Script = { name: "endless", events: [{ at: 1_000_000, print: "up\n" }] };
