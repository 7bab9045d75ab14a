import { z } from "zod";
import { CONFIG } from "./schema/config.ts";
import { BLOB_REFERENCE, SNAPSHOT_REFERENCE } from "./schema/references.ts";
import { JOB_STATES } from "./states.ts";
import { VERDICTS } from "./verdict.ts";

type Json = Readonly<Record<string, unknown>>;

/** A schema as users of the API write it: before defaults and transformations. */
function schemaOf(schema: z.ZodType): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { target: "draft-2020-12", io: "input" });
  return rest;
}

const reference = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });
const json = (schema: Json): Json => ({ "application/json": { schema } });
const answer = (description: string, content?: Json): Json => ({
  description,
  ...(content !== undefined && { content }),
});
const ERROR = (description: string): Json => answer(description, json(reference("Error")));

const ID: Json = {
  name: "id",
  in: "path",
  required: true,
  description: "The job's id.",
  schema: { type: "string", pattern: "^[0-9a-f]{32}$" },
};
const SNAPSHOT: Json = {
  name: "name",
  in: "path",
  required: true,
  description: "The snapshot's name.",
  schema: { type: "string", pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$" },
};
const SHA256: Json = {
  name: "sha256",
  in: "path",
  required: true,
  description: "SHA-256 of the file.",
  schema: { type: "string", pattern: "^[0-9a-fA-F]{64}$" },
};
const query = (name: string, description: string, schema: Json): Json => ({
  name,
  in: "query",
  description,
  schema,
});
const TOKEN_ERRORS: Json = { "401": ERROR("The token is missing or wrong.") };
const JOB_ERRORS: Json = { ...TOKEN_ERRORS, "404": ERROR("There is no such job.") };

const FILE: Json = answer("The file.", { "application/octet-stream": {} });
const SNAPSHOT_ERRORS: Json = { ...TOKEN_ERRORS, "404": ERROR("There is no such snapshot.") };

/** Raised with each change of the API that clients notice. */
export const API_VERSION = "0.2.0";

/** Reports of a job: extension, media type, what it is. */
export const REPORTS = {
  json: ["application/json", "Everything the other reports say, for programs."],
  xml: ["application/xml", "JUnit XML, as GitHub, GitLab and Jenkins read it."],
  ktap: ["text/plain", "KTAP, version 1."],
  kcidb: ["application/json", "A submission to KernelCI's database (KCIDB, schema 5.3)."],
  md: ["text/markdown", "Markdown for a pull request's comment."],
} as const;

function operation(summary: string, fields: Json): Json {
  return { summary, ...fields };
}

const WIDE: Json = { type: "object", additionalProperties: true };

const SCHEMAS = (): Json => ({
  Config: schemaOf(CONFIG),
  BlobReference: {
    oneOf: [
      { ...schemaOf(BLOB_REFERENCE), required: ["sha256"] },
      { ...schemaOf(BLOB_REFERENCE), required: ["fixture"] },
    ],
  },
  SnapshotReference: { ...schemaOf(SNAPSHOT_REFERENCE), required: ["snapshot"] },
  JobRequest: {
    type: "object",
    description: "A kernel, or a snapshot to start from.",
    properties: {
      kernel: reference("BlobReference"),
      initrd: reference("BlobReference"),
      from: reference("SnapshotReference"),
      config: reference("Config"),
    },
    additionalProperties: false,
    oneOf: [{ required: ["kernel"] }, { required: ["from"] }],
  },
  Job: {
    ...WIDE,
    properties: {
      id: { type: "string" },
      state: { enum: JOB_STATES },
      verdict: { enum: [...VERDICTS, null] },
      reason: { type: ["string", "null"] },
      reasonCode: { type: ["string", "null"] },
      findings: {
        type: "array",
        items: {
          type: "object",
          properties: {
            verdict: { enum: VERDICTS },
            code: { type: "string" },
            message: { type: "string" },
          },
          required: ["verdict", "code", "message"],
        },
      },
      instructions: { type: "integer" },
      guestSeconds: { type: "number" },
      seconds: { type: "number" },
      consoleBytes: { type: "integer" },
    },
    required: ["id", "state", "verdict", "reason", "reasonCode", "findings", "instructions"],
  },
  Error: {
    type: "object",
    properties: {
      error: {
        type: "object",
        properties: {
          code: { type: "string" },
          field: { type: "string" },
          message: { type: "string" },
        },
        required: ["code", "message"],
      },
    },
    required: ["error"],
  },
});

const PATHS = (): Json => ({
  "/jobs": {
    post: operation("Boots a kernel.", {
      requestBody: {
        required: true,
        content: {
          "application/json": { schema: reference("JobRequest") },
          "multipart/form-data": {
            schema: {
              type: "object",
              properties: {
                kernel: { type: "string", contentMediaType: "application/octet-stream" },
                initrd: { type: "string", contentMediaType: "application/octet-stream" },
                config: reference("Config"),
              },
              required: ["kernel"],
              additionalProperties: false,
            },
          },
        },
      },
      responses: {
        "201": answer("The job; Location is its address.", json(reference("Job"))),
        "400": ERROR("The request is wrong; the message says which field, and what to do."),
        ...TOKEN_ERRORS,
        "413": ERROR("A file is too large."),
        "415": ERROR("The body is neither JSON nor multipart/form-data."),
        "422": ERROR("The kernel cannot be booted, or what the request refers to is not there."),
      },
    }),
  },
  "/jobs/{id}": {
    parameters: [ID],
    get: operation("A job.", {
      responses: { "200": answer("The job.", json(reference("Job"))), ...JOB_ERRORS },
    }),
    delete: operation("Cancels a job. One that has ended stays as it is.", {
      responses: { "200": answer("The job.", json(reference("Job"))), ...JOB_ERRORS },
    }),
  },
  "/jobs/{id}/console": {
    parameters: [ID],
    get: operation("The console as plain text.", {
      parameters: [
        query("offset", "Starts at this byte.", { type: "integer", minimum: 0 }),
        query("follow", "Goes on until the job ends.", { type: "string" }),
      ],
      responses: { "200": answer("Console output.", { "text/plain": {} }), ...JOB_ERRORS },
    }),
  },
  "/jobs/{id}/hypercalls": {
    parameters: [ID],
    get: operation("Statistics of every hypercall.", {
      responses: {
        "200": answer("The statistics.", json(WIDE)),
        ...JOB_ERRORS,
        "409": ERROR("The guest has not started yet."),
      },
    }),
  },
  ...Object.fromEntries(
    Object.entries(REPORTS).map(([extension, [mediaType, description]]) => [
      `/jobs/{id}/report.${extension}`,
      {
        parameters: [ID],
        get: operation(description, {
          responses: { "200": answer("The report.", { [mediaType]: {} }), ...JOB_ERRORS },
        }),
      },
    ]),
  ),
  "/jobs/{id}/badge.svg": {
    parameters: [ID],
    get: operation("A badge with the job's verdict.", {
      responses: { "200": answer("The badge.", { "image/svg+xml": {} }), ...JOB_ERRORS },
    }),
  },
  "/jobs/{id}/snapshots": {
    parameters: [ID],
    get: operation("The job's snapshots.", {
      responses: { "200": answer("The snapshots.", json(WIDE)), ...JOB_ERRORS },
    }),
    post: operation("Makes a snapshot of the guest as it is now.", {
      requestBody: {
        required: true,
        content: json({
          type: "object",
          properties: { name: SNAPSHOT.schema },
          required: ["name"],
          additionalProperties: false,
        }),
      },
      responses: {
        "201": answer("The snapshot; Location is its address.", json(WIDE)),
        "400": ERROR("The name is wrong."),
        ...JOB_ERRORS,
        "409": ERROR("There is no guest that could be kept."),
        "413": ERROR("The body is too large."),
      },
    }),
  },
  "/jobs/{id}/snapshots/{name}": {
    parameters: [ID, SNAPSHOT],
    get: operation("A snapshot as a file.", { responses: { "200": FILE, ...SNAPSHOT_ERRORS } }),
    delete: operation("Removes a snapshot.", {
      responses: { "204": answer("It is gone."), ...SNAPSHOT_ERRORS },
    }),
  },
  "/snapshots": {
    get: operation("Imported snapshots.", {
      responses: { "200": answer("The snapshots.", json(WIDE)), ...TOKEN_ERRORS },
    }),
    post: operation("Imports a snapshot's file.", {
      requestBody: { required: true, content: { "application/octet-stream": {} } },
      responses: {
        "201": answer("The snapshot; Location is its address.", json(WIDE)),
        "400": ERROR("The body is empty."),
        ...TOKEN_ERRORS,
        "413": ERROR("The file is too large."),
        "422": ERROR("The file is no snapshot, or a damaged one."),
      },
    }),
  },
  "/snapshots/{id}": {
    parameters: [{ ...ID, description: "The snapshot's id." }],
    get: operation("An imported snapshot as a file.", { responses: { "200": FILE, ...SNAPSHOT_ERRORS } }),
    delete: operation("Removes an imported snapshot.", {
      responses: { "204": answer("It is gone."), ...SNAPSHOT_ERRORS },
    }),
  },
  "/blobs/{sha256}": {
    parameters: [SHA256],
    put: operation("Stores a file under its hash.", {
      requestBody: { required: true, content: { "application/octet-stream": {} } },
      responses: {
        "200": answer("It was there already.", json(WIDE)),
        "201": answer("It is stored.", json(WIDE)),
        "400": ERROR("The file has another hash."),
        ...TOKEN_ERRORS,
        "413": ERROR("The file is too large."),
      },
    }),
    get: operation("A stored file's size.", {
      responses: {
        "200": answer("Its size.", json(WIDE)),
        ...TOKEN_ERRORS,
        "404": ERROR("It is not stored."),
      },
    }),
  },
  "/fixtures": {
    get: operation("The guests that are stored here ready to boot.", {
      responses: { "200": answer("The fixtures.", json(WIDE)), ...TOKEN_ERRORS },
    }),
  },
  "/healthz": {
    get: operation("Whether the worker answers.", {
      security: [],
      responses: { "200": answer("It does.", json(WIDE)) },
    }),
  },
  "/openapi.json": {
    get: operation("This document.", {
      security: [],
      responses: { "200": answer("An OpenAPI 3.1 document.", json(WIDE)) },
    }),
  },
});

/** The API as an OpenAPI 3.1 document. What a job may ask for comes from the schema that checks it. */
export function openApi(version: string): Json {
  return {
    openapi: "3.1.0",
    info: {
      title: "xenner",
      version,
      description:
        "A boot-test runner for guest kernels: POST a kernel, get its console, a verdict and hypercall statistics.",
    },
    security: [{ token: [] }],
    paths: PATHS(),
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
      schemas: SCHEMAS(),
    },
  };
}
