import { ARCHITECTURES } from "../cpu.ts";
import { JOB_STATES } from "../states.ts";
import { VERDICTS } from "../verdict.ts";
import { type Json, reference } from "./parts.ts";

/*
 * What answers look like, for whoever makes a client of the document. Fields may be added to each of them, so a client leaves alone
 * what it does not know.
 */

const STRING: Json = { type: "string" };
const COUNT: Json = { type: "integer", minimum: 0 };
const NUMBER: Json = { type: "number", minimum: 0 };
const BOOLEAN: Json = { type: "boolean" };
const TIME: Json = { type: "string", format: "date-time" };
const SHA256: Json = { type: "string", pattern: "^[0-9a-f]{64}$" };
const ID: Json = { type: "string", pattern: "^[0-9a-f]{32}$" };

export const orNull = (schema: Json): Json => ({ anyOf: [schema, { type: "null" }] });
export const listOf = (items: Json): Json => ({ type: "array", items });
/** An object with these fields; those of `optional` need not be there. */
export const object = (properties: Json, optional: Json = {}): Json => ({
  type: "object",
  properties: { ...properties, ...optional },
  required: Object.keys(properties),
});
/** A page of a list. */
const page = (name: string, items: Json): Json =>
  object({
    [name]: listOf(items),
    next: { ...orNull(STRING), description: "`?cursor=` of the following page; null after the last." },
  });

const SELF: Json = object({ self: STRING });
const MAP_OF_COUNTS: Json = { type: "object", additionalProperties: COUNT };
const STRINGS: Json = { type: "object", additionalProperties: STRING };

const FINDING: Json = object({ verdict: { enum: VERDICTS }, code: STRING, message: STRING });
/** What a job and its entry in lists have in common. */
const JOB_FIELDS: Json = {
  id: ID,
  state: { enum: JOB_STATES },
  verdict: { enum: [...VERDICTS, null] },
  reason: orNull(STRING),
  reasonCode: orNull(STRING),
  fixture: orNull(STRING),
  owner: STRING,
  visibility: { enum: ["private", "public"] },
  batch: orNull(ID),
  createdAt: TIME,
  startedAt: orNull(TIME),
  endedAt: orNull(TIME),
  seconds: { ...NUMBER, description: "From its making to its end, or to now." },
  runSeconds: NUMBER,
  guestSeconds: NUMBER,
  instructions: COUNT,
  mips: orNull(NUMBER),
  consoleBytes: COUNT,
};
const FILE: Json = object({ sha256: SHA256, size: COUNT });

const COUNTED: Json = {
  calls: COUNT,
  inEmu: { ...COUNT, description: "Served inside the guest." },
  byPort: COUNT,
  errors: COUNT,
  instructions: COUNT,
};
const COUNTED_ELSE: Json = { byVmcall: COUNT };

const ATTEMPT: Json = object({
  at: TIME,
  milliseconds: NUMBER,
  status: orNull(COUNT),
  error: orNull(STRING),
});
const QUOTAS: Json = object({
  concurrentJobs: orNull(COUNT),
  instructionsPerDay: orNull(COUNT),
  storageBytes: orNull(COUNT),
});
const HOOK: Json = {
  id: STRING,
  source: { enum: ["github", "generic"] },
  event: STRING,
  state: { enum: ["accepted", "done", "failed"] },
  receivedAt: TIME,
  attempts: COUNT,
  error: orNull(STRING),
  runs: listOf(object({ kind: { enum: ["job", "batch"] }, id: ID, rule: orNull(STRING), links: SELF })),
};
const TOKEN: Json = {
  id: STRING,
  name: STRING,
  scopes: listOf({ enum: ["read", "run", "admin"] }),
  quotas: QUOTAS,
  createdAt: TIME,
  expiresAt: orNull(TIME),
  usage: object({ concurrentJobs: COUNT, instructionsToday: COUNT, storageBytes: COUNT }),
};
const REPAIR: Json = object({
  phase: STRING,
  jobs: COUNT,
  forgotten: COUNT,
  removed: COUNT,
  failures: COUNT,
  lastError: orNull(STRING),
  startedAt: TIME,
  endedAt: orNull(TIME),
});

/** components.schemas of answers. */
export const ANSWER_SCHEMAS: Json = {
  Job: object(
    {
      ...JOB_FIELDS,
      findings: listOf(FINDING),
      kernel: FILE,
      initrd: orNull(FILE),
      config: reference("Config"),
      links: object({ self: STRING, console: STRING, hypercalls: STRING, snapshots: STRING }),
    },
    {
      architecture: { enum: [...ARCHITECTURES, null] },
      milestones: { type: "object", additionalProperties: object({ instructions: COUNT }) },
      lastError: orNull(STRING),
      keptUntil: orNull(TIME),
    },
  ),
  JobSummary: object({
    ...JOB_FIELDS,
    kernel: { ...SHA256, description: "SHA-256 of the kernel." },
    labels: STRINGS,
    cmdline: STRING,
    memory: COUNT,
    mode: STRING,
    links: SELF,
  }),
  JobPage: page("jobs", reference("JobSummary")),
  Hypercalls: object({
    hypercalls: listOf(object({ hypercall: STRING, subop: orNull(STRING), ...COUNTED }, COUNTED_ELSE)),
    totals: object({ ...COUNTED, shareInEmu: { type: "number", minimum: 0, maximum: 1 } }, COUNTED_ELSE),
    traps: MAP_OF_COUNTS,
    upcalls: COUNT,
    cr3Switches: COUNT,
  }),
  Blob: FILE,
  Fixtures: object({
    fixtures: listOf(
      object(
        { name: STRING, kernel: object({ sha256: SHA256 }), defaults: reference("Config") },
        { initrd: object({ sha256: SHA256 }) },
      ),
    ),
  }),
  Snapshot: object({
    from: {
      ...reference("SnapshotReference"),
      description: "What a job says as its `from` to start from it.",
    },
    name: STRING,
    bytes: COUNT,
    instructions: COUNT,
    guestSeconds: NUMBER,
    memory: COUNT,
    kernel: SHA256,
    createdAt: TIME,
    expiresAt: TIME,
    links: SELF,
  }),
  Snapshots: object({ snapshots: listOf(reference("Snapshot")) }),
  Delivery: object({
    id: STRING,
    kind: { enum: ["webhook", "status"] },
    job: orNull(ID),
    batch: orNull(ID),
    webhookId: STRING,
    type: STRING,
    url: STRING,
    state: { enum: ["pending", "delivered", "failed", "superseded"] },
    attempts: COUNT,
    createdAt: TIME,
    deliveredAt: orNull(TIME),
    nextAttemptAt: orNull(TIME),
    lastStatus: orNull(COUNT),
    lastError: orNull(STRING),
    log: listOf(ATTEMPT),
    links: object({ redeliver: STRING }),
  }),
  Deliveries: object({ deliveries: listOf(reference("Delivery")) }),
  DeliveryPage: page("deliveries", reference("Delivery")),
  WebhookSecret: object(
    { name: STRING },
    { secret: { ...STRING, description: "One that was made here; it is told this once." } },
  ),
  WebhookSecrets: object({ secrets: listOf(object({ name: STRING, createdAt: TIME })) }),
  AcceptedHook: object({ ...HOOK, duplicate: BOOLEAN }),
  HookPage: page("deliveries", object(HOOK)),
  StoredHooksConfig: object({
    version: { type: "integer", minimum: 1 },
    createdAt: TIME,
    by: STRING,
    config: { type: "object" },
  }),
  Tokens: object({ tokens: listOf(object(TOKEN)) }),
  NewToken: object({
    ...TOKEN,
    token: { ...STRING, description: "Its text. It is in this answer, and nowhere else." },
  }),
  LoginLink: object({ url: STRING }),
  Repair: REPAIR,
  LastRepair: object({ repair: orNull(reference("Repair")) }),
  Health: object({ status: STRING }, { checks: STRINGS }),
};
