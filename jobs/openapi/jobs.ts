import { JOB_LIST } from "../limits.ts";
import { REPORTS } from "../report/formats.ts";
import { JOB_LIST_QUERY } from "../schema/job-list.ts";
import {
  answer,
  errorAnswer,
  JOB_ERRORS,
  JOB_ID,
  type Json,
  json,
  operation,
  QUOTA_ERRORS,
  query,
  reference,
  schemaOf,
  TOKEN_ERRORS,
} from "./parts.ts";

const COUNT: Json = { type: "integer", minimum: 0 };
const PROFILE: Json = {
  type: "object",
  required: ["samplingInstructions", "from", "samples", "frames"],
  properties: {
    samplingInstructions: { ...COUNT, description: "Instructions that a sample stands for." },
    from: { ...COUNT, description: "Instruction count at which the run began." },
    samples: COUNT,
    frames: {
      type: "array",
      items: {
        type: "object",
        required: ["stack", "samples"],
        properties: {
          stack: {
            type: "array",
            items: { type: "string" },
            description: "Functions, outermost first; [user], [emu] and [module] for what has no name.",
          },
          samples: COUNT,
        },
      },
    },
  },
};

const LIST_LIMIT: Json = {
  type: "integer",
  minimum: 1,
  maximum: JOB_LIST.mostLimit,
  default: JOB_LIST.limit,
};
const LIST_PARAMETERS = Object.entries(
  (schemaOf(JOB_LIST_QUERY) as { properties: Record<string, Json & { description: string }> }).properties,
).map(([name, { description, ...schema }]) =>
  // In a query all is text; clients are to know that this is a number.
  query(name, description, name === "limit" ? LIST_LIMIT : schema),
);

/** What is asked of one job. */
export const JOB_PATHS: Json = {
  "/jobs": {
    get: operation("Jobs, newest first: a token's own, and to administrators everybody's.", {
      parameters: LIST_PARAMETERS,
      responses: {
        "200": answer(
          "A page of jobs; `next` is the cursor of the following one, null after the last.",
          json(reference("JobPage")),
        ),
        "400": errorAnswer("A parameter is wrong."),
        ...TOKEN_ERRORS,
      },
    }),
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
        "400": errorAnswer("The request is wrong; the message says which field, and what to do."),
        ...TOKEN_ERRORS,
        "413": errorAnswer("A file is too large."),
        "415": errorAnswer("The body is neither JSON nor multipart/form-data."),
        ...QUOTA_ERRORS,
        "422": errorAnswer("The kernel cannot be booted, or what the request refers to is not there."),
      },
    }),
  },
  "/jobs/{id}": {
    parameters: [JOB_ID],
    get: operation("A job.", {
      responses: { "200": answer("The job.", json(reference("Job"))), ...JOB_ERRORS },
    }),
    delete: operation("Cancels a job. One that has ended stays as it is.", {
      responses: { "200": answer("The job.", json(reference("Job"))), ...JOB_ERRORS },
    }),
  },
  "/jobs/{id}/profile": {
    parameters: [JOB_ID],
    get: operation(
      "Where the boot's instructions went: stacks of functions, sampled at exact instruction counts.",
      {
        parameters: [query("format", "Default: json.", { enum: ["json", "folded"], default: "json" })],
        responses: {
          "200": answer("The profile; `folded` is the text that flamegraph.pl and speedscope read.", {
            ...json(PROFILE),
            "text/plain": { schema: { type: "string" } },
          }),
          "400": errorAnswer("There is no such format."),
          ...JOB_ERRORS,
        },
      },
    ),
  },
  "/jobs/{id}/console": {
    parameters: [JOB_ID],
    get: operation("The console as plain text.", {
      parameters: [
        query("offset", "Starts at this byte.", { type: "integer", minimum: 0 }),
        {
          ...query("follow", "Goes on until the job ends. `?follow` alone does, too.", {
            enum: ["", "1", "true", "yes", "0", "false", "no"],
          }),
          allowEmptyValue: true,
        },
      ],
      responses: {
        "200": answer("Console output.", { "text/plain": {} }),
        "400": errorAnswer("The offset is no number, or `follow` has another value."),
        ...JOB_ERRORS,
      },
    }),
  },
  "/jobs/{id}/hypercalls": {
    parameters: [JOB_ID],
    get: operation("Statistics of every hypercall.", {
      responses: {
        "200": answer("The statistics.", json(reference("Hypercalls"))),
        ...JOB_ERRORS,
        "409": errorAnswer("The guest has not started yet."),
      },
    }),
  },
  ...Object.fromEntries(
    Object.entries(REPORTS).map(([extension, [mediaType, description]]) => [
      `/jobs/{id}/report.${extension}`,
      {
        parameters: [JOB_ID],
        get: operation(description, {
          responses: { "200": answer("The report.", { [mediaType]: {} }), ...JOB_ERRORS },
        }),
      },
    ]),
  ),
  "/jobs/{id}/badge.svg": {
    parameters: [JOB_ID],
    get: operation("A badge with the job's verdict.", {
      responses: { "200": answer("The badge.", { "image/svg+xml": {} }), ...JOB_ERRORS },
    }),
  },
};
