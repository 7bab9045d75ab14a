import * as z from "zod";
import { NOTIFICATIONS, NOTIFY_URL_CHARACTERS, RETENTION_RANGES } from "../limits.ts";
import { coded, complain, describe, fields, PATH } from "./errors.ts";
import { list, number, oneOf } from "./values.ts";

/** What the service does with a job besides running it: whom it tells, how long it keeps it, who may see it. */

/** What happens to a job that others may be told of. */
export const JOB_EVENTS = ["job.queued", "job.running", "job.ended"] as const;
export type JobEventType = (typeof JOB_EVENTS)[number];
/** What `notify` may ask for; a batch's end is told if its common config asks for it. */
const NOTIFY_EVENTS = [...JOB_EVENTS, "batch.ended"] as const;

const URL_ERROR = coded(
  "bad-url",
  `${PATH} must be the address of an HTTP server, such as "https://ci.example.org/hook", of at most ${NOTIFY_URL_CHARACTERS} characters, without a user's name or password.`,
);

function isNotifiable(value: string): boolean {
  if (value.length > NOTIFY_URL_CHARACTERS || !URL.canParse(value)) return false;
  const { protocol, username, password, hostname } = new URL(value);
  return /^https?:$/.test(protocol) && username === "" && password === "" && hostname !== "";
}

const ADDRESS = z.string({ error: URL_ERROR }).refine(isNotifiable, URL_ERROR);

const SECRET_ERROR = coded(
  "bad-name",
  `${PATH} must be the name of a stored secret, at most 64 letters, digits, dots, dashes and underscores; never the secret itself.`,
);

const NOTIFICATION = fields({
  url: ADDRESS.meta({ description: "Where events are posted." }),
  events: list(oneOf(NOTIFY_EVENTS), "events", NOTIFY_EVENTS.length)
    .min(1, { error: `${PATH} is empty; name an event, or leave it out for ["job.ended"].` })
    .superRefine((events, context) => {
      if (new Set(events).size < events.length)
        complain(context, "duplicate", `${PATH} names an event twice; name each once.`);
    })
    .default(["job.ended"])
    .meta({ description: "What is told." }),
  secret: z
    .string({ error: SECRET_ERROR })
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, SECRET_ERROR)
    .optional()
    .meta({ description: "Name of the stored secret that deliveries are signed with." }),
});

/** An address alone is told of the end. */
export const NOTIFY = list(
  z.union([ADDRESS, NOTIFICATION], {
    error: ({ input }) =>
      `${PATH} must be an address, or {"url", "events", "secret"}, but it is ${describe(input)}.`,
  }),
  "addresses",
  NOTIFICATIONS,
).transform((entries) =>
  entries.map(
    (entry): z.output<typeof NOTIFICATION> =>
      typeof entry === "string" ? { url: entry, events: ["job.ended"] } : entry,
  ),
);

export const RETENTION = fields({
  days: number(RETENTION_RANGES.days, "days", false)
    .default(RETENTION_RANGES.days.default)
    .meta({ description: "Days after the end for which result, console and statistics are kept." }),
  failedMemoryHours: number(RETENTION_RANGES.failedMemoryHours, "hours", false)
    .nullable()
    .default(null)
    .meta({
      description:
        "Hours for which the memory of a guest that failed is kept; null for what the worker is set to (1).",
    }),
});

export const VISIBILITY = oneOf(["private", "public"]);
