import { IGNORED } from "../compare/consoles.ts";
import {
  answer,
  errorAnswer,
  JOB_ERRORS,
  JOB_ID,
  type Json,
  json,
  operation,
  query,
  TOKEN_ERRORS,
} from "./parts.ts";

const CHANGE: Json = {
  type: "object",
  properties: { before: { type: "number" }, now: { type: "number" }, percent: { type: "number" } },
  required: ["before", "now", "percent"],
};
const orNull = (schema: Json): Json => ({ anyOf: [schema, { type: "null" }] });
const NUMBER_OR_NULL: Json = { type: ["number", "null"] };

const COMPARISON: Json = {
  type: "object",
  properties: {
    good: { type: "string", description: "Id of the job that it is compared with." },
    instructions: CHANGE,
    guestSeconds: CHANGE,
    milestones: {
      type: "array",
      items: {
        type: "object",
        properties: {
          milestone: { type: "string" },
          before: NUMBER_OR_NULL,
          now: NUMBER_OR_NULL,
          percent: NUMBER_OR_NULL,
          kernelSeconds: orNull(CHANGE),
        },
        required: ["milestone", "before", "now", "percent", "kernelSeconds"],
      },
    },
    hypercalls: {
      type: "array",
      items: { ...CHANGE, properties: { ...(CHANGE.properties as Json), hypercall: { type: "string" } } },
    },
    identical: { type: "boolean", description: "Not a byte of the console differs." },
    console: orNull({
      type: "object",
      description: "The first line that differs.",
      properties: {
        line: { type: "integer", minimum: 1 },
        before: { type: ["string", "null"] },
        now: { type: ["string", "null"] },
      },
      required: ["line", "before", "now"],
    }),
  },
  required: ["good", "instructions", "guestSeconds", "milestones", "hypercalls", "identical", "console"],
};

/** A job beside another, and badges of labels. */
export const COMPARISON_PATHS: Json = {
  "/jobs/{id}/comparison": {
    parameters: [JOB_ID],
    get: operation("The job beside the last known good of the same labels and owner, or beside another.", {
      parameters: [
        query(
          "with",
          "Id of the job to compare with, instead of the last known good.",
          JOB_ID.schema as Json,
        ),
        query("ignore", "What of two console lines need not be equal.", { enum: IGNORED, default: "stamps" }),
      ],
      responses: {
        "200": answer(
          "What changed; comparison is null if there is nothing to compare with, and note says why.",
          json({
            type: "object",
            properties: {
              job: { type: "string" },
              with: { type: ["string", "null"] },
              note: { type: ["string", "null"] },
              ignored: { enum: IGNORED },
              comparison: orNull(COMPARISON),
            },
            required: ["job", "with", "note", "ignored", "comparison"],
          }),
        ),
        "400": errorAnswer("A parameter is wrong."),
        ...JOB_ERRORS,
        "409": errorAnswer("One of the jobs has not ended yet."),
      },
    }),
  },
  "/badges/{label}.svg": {
    parameters: [
      {
        name: "label",
        in: "path",
        required: true,
        description: "A label, as name=value.",
        schema: { type: "string", pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}=.{0,200}$" },
      },
    ],
    get: operation("A badge with the verdict of the token's latest job with a label.", {
      parameters: [
        query("title", "What the badge says on its left, instead of the label's text.", { type: "string" }),
        query("owner", "Id of the token whose public jobs are looked at, instead of one's own.", {
          type: "string",
        }),
      ],
      responses: {
        "200": answer("The badge.", { "image/svg+xml": {} }),
        "400": errorAnswer("The address names no label."),
        ...TOKEN_ERRORS,
      },
    }),
  },
};
