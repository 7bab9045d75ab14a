import * as z from "zod";
import { CPU_DEFAULT, cpuError } from "../cpu.ts";
import { MEMORY_MIB } from "../limits.ts";
import { coded, complain, fields, PATH } from "./errors.ts";
import { number, oneOf, text } from "./values.ts";

/** Virtual processors of a guest: the core is one processor. */
export const VCPUS = 1;
export const MODES = ["pv", "pvh", "hvm"] as const;

const VCPUS_SCHEMA = z.literal(VCPUS, {
  error: ({ input }) =>
    typeof input === "number"
      ? coded(
          "out-of-range",
          `${PATH} is ${input}; guests have one virtual processor: set it to ${VCPUS}, or leave it out.`,
        )
      : `${PATH} must be ${VCPUS}: guests have one virtual processor.`,
});

const CPU = text('a processor such as "v2" or "v1,+popcnt"').superRefine((value, context) => {
  const error = cpuError(value);
  if (error !== undefined) complain(context, "bad-cpu", `${PATH} ${error}`);
});

/** What the guest's machine is: the fields, their defaults, what is said of them. */
const FIELDS = {
  mode: {
    schema: oneOf(MODES),
    standard: "pv",
    description:
      'How the guest is started: "pv" (Xen PV, 64-bit or 32-bit), "pvh" (PVH: the kernel needs XEN_ELFNOTE_PHYS32_ENTRY) or "hvm" (by Linux\'s own boot protocol, on a PC with Xen below).',
  },
  memory: {
    schema: number(MEMORY_MIB, "MiB", true),
    standard: MEMORY_MIB.default,
    description: "Guest RAM in MiB.",
  },
  vcpus: {
    schema: VCPUS_SCHEMA,
    standard: VCPUS,
    description: "Virtual processors: 1.",
  },
  cpu: {
    schema: CPU,
    standard: CPU_DEFAULT,
    description:
      'What the processor offers: "v1" or "v2" (the x86-64 levels), with features added and removed, as in "v1,+popcnt" or "v2,-sse4.2".',
  },
} as const;

/** The fields as they stand in a configuration. */
export const GUEST_FIELDS = {
  mode: FIELDS.mode.schema.default(FIELDS.mode.standard).meta({ description: FIELDS.mode.description }),
  memory: FIELDS.memory.schema
    .default(FIELDS.memory.standard)
    .meta({ description: FIELDS.memory.description }),
  vcpus: FIELDS.vcpus.schema.default(FIELDS.vcpus.standard).meta({ description: FIELDS.vcpus.description }),
  cpu: FIELDS.cpu.schema.default(FIELDS.cpu.standard).meta({ description: FIELDS.cpu.description }),
};
export const GUEST_NAMES = ["mode", "memory", "vcpus", "cpu"] as const;

/** The same fields in an object of their own: `{"guest": {"memory": 256}}` is `{"memory": 256}`. */
export const GUEST = fields({
  mode: FIELDS.mode.schema.optional().meta({ description: FIELDS.mode.description }),
  memory: FIELDS.memory.schema.optional().meta({ description: FIELDS.memory.description }),
  vcpus: FIELDS.vcpus.schema.optional().meta({ description: FIELDS.vcpus.description }),
  cpu: FIELDS.cpu.schema.optional().meta({ description: FIELDS.cpu.description }),
});
