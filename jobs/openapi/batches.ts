import { AXIS_VALUES, BATCH_JOBS, CONCURRENCY, MATRIX_RULES, NAME_CHARACTERS } from "../batch/limits.ts";
import { REPORTS } from "../report/formats.ts";
import { CONFIG } from "../schema/config.ts";
import { JOB_STATES } from "../states.ts";
import { VERDICTS } from "../verdict.ts";
import {
  answer,
  errorAnswer,
  type Json,
  json,
  operation,
  QUOTA_ERRORS,
  query,
  reference,
  schemaOf,
  TOKEN_ERRORS,
  WIDE,
} from "./parts.ts";

const BATCH_ID: Json = {
  name: "id",
  in: "path",
  required: true,
  description: "The batch's id.",
  schema: { type: "string", pattern: "^[0-9a-f]{32}$" },
};
const BATCH_ERRORS: Json = { ...TOKEN_ERRORS, "404": errorAnswer("There is no such batch.") };
const PAGE_ERRORS: Json = { "400": errorAnswer("A parameter is wrong.") };
const LIMIT = query("limit", "Most entries of the page.", {
  type: "integer",
  minimum: 1,
  maximum: 1000,
  default: 100,
});
const cursor = (pattern: string): Json =>
  query("cursor", 'Where the page begins: the "next" of the page before.', { type: "string", pattern });

const COUNTS: Json = { type: "object", additionalProperties: { type: "integer" } };
const TIME: Json = { type: ["string", "null"] };

const START: Json = {
  kernel: reference("BlobReference"),
  initrd: { anyOf: [reference("BlobReference"), { type: "null" }] },
  from: reference("SnapshotReference"),
};
const { properties: CONFIG_FIELDS } = schemaOf(CONFIG) as { readonly properties: Json };
/** What a combination may say, each with its schema. */
const VALUES: Json = { ...START, ...CONFIG_FIELDS };
const RULE: Json = { type: "object", properties: VALUES, additionalProperties: false };

/** components.schemas of batches. */
export const BATCH_SCHEMAS: Json = {
  BatchRule: { ...RULE, description: "Values by field." },
  BatchMatrix: {
    type: "object",
    description:
      "Lists of values by field; there is a job for each combination. include and exclude are as in GitHub's workflows.",
    properties: {
      ...Object.fromEntries(
        Object.entries(VALUES).map(([name, items]) => [
          name,
          { type: "array", items, minItems: 1, maxItems: AXIS_VALUES },
        ]),
      ),
      include: { type: "array", items: reference("BatchRule"), maxItems: MATRIX_RULES },
      exclude: { type: "array", items: reference("BatchRule"), maxItems: MATRIX_RULES },
    },
    additionalProperties: false,
  },
  BatchRequest: {
    type: "object",
    description: "Jobs as a matrix or as a list, and what they share.",
    properties: {
      name: { type: "string", maxLength: NAME_CHARACTERS },
      ...START,
      config: reference("Config"),
      matrix: reference("BatchMatrix"),
      jobs: {
        type: "array",
        items: {
          type: "object",
          properties: { ...START, config: reference("Config") },
          additionalProperties: false,
        },
        minItems: 1,
        maxItems: BATCH_JOBS.most,
      },
      maxConcurrent: {
        type: "integer",
        minimum: CONCURRENCY.min,
        maximum: CONCURRENCY.max,
        default: CONCURRENCY.default,
      },
    },
    additionalProperties: false,
    oneOf: [{ required: ["matrix"] }, { required: ["jobs"] }],
  },
  Batch: {
    ...WIDE,
    properties: {
      id: { type: "string" },
      name: { type: ["string", "null"] },
      state: { enum: ["queued", "running", "ended"] },
      verdict: { enum: [...VERDICTS, null], description: "The worst of all jobs, once all have ended." },
      worst: { enum: [...VERDICTS, null], description: "The worst so far." },
      progress: { type: "number", description: "Share of the jobs that have ended." },
      jobs: {
        type: "object",
        properties: {
          total: { type: "integer" },
          waiting: { type: "integer" },
          running: { type: "integer" },
          ended: { type: "integer" },
        },
        required: ["total", "waiting", "running", "ended"],
      },
      states: COUNTS,
      verdicts: COUNTS,
      createdAt: { type: "string" },
      startedAt: TIME,
      endedAt: TIME,
      canceledAt: TIME,
    },
    required: ["id", "name", "state", "verdict", "worst", "progress", "jobs", "states", "verdicts"],
  },
  BatchMember: {
    ...WIDE,
    properties: {
      index: { type: "integer" },
      name: { type: "string" },
      job: { type: ["string", "null"], description: "The job's id; null as long as there is none." },
      state: { enum: ["waiting", "starting", "refused", ...JOB_STATES] },
      verdict: { enum: [...VERDICTS, null] },
      reason: { type: ["string", "null"] },
      reasonCode: { type: ["string", "null"] },
      instructions: { type: "integer" },
    },
    required: ["index", "name", "job", "state", "verdict", "reason", "reasonCode", "instructions"],
  },
};

const page = (name: string, item: string): Json => ({
  type: "object",
  properties: {
    [name]: { type: "array", items: reference(item) },
    next: { type: ["string", "null"], description: "The cursor of the next page; null on the last." },
  },
  required: [name, "next"],
});

/** Many jobs at once. */
export const BATCH_PATHS: Json = {
  "/batches": {
    post: operation("Boots many kernels, or one in many ways.", {
      requestBody: { required: true, content: json(reference("BatchRequest")) },
      responses: {
        "201": answer("The batch; Location is its address.", json(reference("Batch"))),
        "400": errorAnswer("The request is wrong; the message says which field, and what to do."),
        ...TOKEN_ERRORS,
        "413": errorAnswer("The body is too large."),
        "415": errorAnswer("The body is not JSON."),
        "422": errorAnswer("What the request refers to is not there, or may not be told of."),
        ...QUOTA_ERRORS,
      },
    }),
    get: operation("The batches, newest first.", {
      parameters: [
        query("state", "Only those.", { enum: ["queued", "running", "ended"] }),
        LIMIT,
        cursor("^\\d{1,15}-[0-9a-f]{32}$"),
      ],
      responses: {
        "200": answer("A page of them.", json(page("batches", "Batch"))),
        ...PAGE_ERRORS,
        ...TOKEN_ERRORS,
      },
    }),
  },
  "/batches/{id}": {
    parameters: [BATCH_ID],
    get: operation("A batch.", {
      responses: { "200": answer("The batch.", json(reference("Batch"))), ...BATCH_ERRORS },
    }),
    delete: operation("Cancels all jobs of a batch that have not ended.", {
      responses: { "200": answer("The batch.", json(reference("Batch"))), ...BATCH_ERRORS },
    }),
  },
  "/batches/{id}/jobs": {
    parameters: [BATCH_ID],
    get: operation("The batch's jobs, in its order.", {
      parameters: [
        query("state", "Only those.", { enum: ["waiting", "starting", "refused", ...JOB_STATES] }),
        query("verdict", "Only those.", { enum: VERDICTS }),
        LIMIT,
        cursor("^\\d{1,6}$"),
      ],
      responses: {
        "200": answer("A page of them.", json(page("jobs", "BatchMember"))),
        ...PAGE_ERRORS,
        ...BATCH_ERRORS,
      },
    }),
  },
  ...Object.fromEntries(
    Object.entries(REPORTS).map(([extension, [mediaType, description]]) => [
      `/batches/{id}/report.${extension}`,
      {
        parameters: [BATCH_ID],
        get: operation(`Of all jobs of a batch: ${description}`, {
          responses: { "200": answer("The report.", { [mediaType]: {} }), ...BATCH_ERRORS },
        }),
      },
    ]),
  ),
  "/batches/{id}/badge.svg": {
    parameters: [BATCH_ID],
    get: operation("A badge with the batch's verdict.", {
      responses: { "200": answer("The badge.", { "image/svg+xml": {} }), ...BATCH_ERRORS },
    }),
  },
};
