import * as z from "zod";
import { JOB_LIST, LABEL_NAME } from "../limits.ts";
import { SpecError } from "../spec-error.ts";
import { JOB_STATES } from "../states.ts";
import { VERDICTS } from "../verdict.ts";
import { coded, fields, PATH, parseWith } from "./errors.ts";
import { oneOf } from "./values.ts";

/** Words with commas between them, all of which must be known. */
function words<Word extends string>(known: readonly Word[]) {
  return z
    .string()
    .superRefine((value, context) => {
      const unknown = value.split(",").find((word) => !(known as readonly string[]).includes(word));
      if (unknown === undefined) return;
      const message = `${PATH} has "${unknown.slice(0, 40)}"; it may have, with commas between them: ${known.join(", ")}.`;
      context.addIssue({ code: "custom", message: coded("unknown-word", message) });
    })
    .transform((value) => [...new Set(value.split(","))] as Word[]);
}

const TIME_ERROR = coded(
  "bad-time",
  `${PATH} must be a time such as 2026-11-23T10:00:00Z, or milliseconds since 1970.`,
);
const TIME = z.string().transform((value, context) => {
  const milliseconds = /^\d{1,15}$/.test(value) ? Number(value) : Date.parse(value);
  if (Number.isFinite(milliseconds)) return milliseconds;
  context.addIssue({ code: "custom", message: TIME_ERROR });
  return z.NEVER;
});

const LABEL_ERROR = coded("bad-label", `${PATH} must be NAME=VALUE, as in label=branch=main.`);
const LABEL = z.string().transform((value, context) => {
  const at = value.indexOf("=");
  const name = value.slice(0, at);
  if (at > 0 && LABEL_NAME.test(name)) return [name, value.slice(at + 1)] as const;
  context.addIssue({ code: "custom", message: LABEL_ERROR });
  return z.NEVER;
});

const LIMIT_ERROR = coded(
  "out-of-range",
  `${PATH} must be a whole number of jobs from 1 to ${JOB_LIST.mostLimit}.`,
);
const LIMIT = z
  .string()
  .regex(/^\d{1,6}$/, LIMIT_ERROR)
  .transform(Number)
  .refine((limit) => limit >= 1 && limit <= JOB_LIST.mostLimit, LIMIT_ERROR);

const CURSOR_ERROR = coded("bad-cursor", `${PATH} is none that this worker gave; begin again without it.`);
/** Where a page ended: created_at and id of its last job. */
const CURSOR = z.string().transform((value, context) => {
  const [, time, id] = /^(\d{1,15})-([0-9a-f]{32})$/.exec(value) ?? [];
  if (time !== undefined && id !== undefined) return { createdAt: Number(time), id };
  context.addIssue({ code: "custom", message: CURSOR_ERROR });
  return z.NEVER;
});

/** The query of GET /jobs. */
export const JOB_LIST_QUERY = fields({
  state: words(JOB_STATES).optional().meta({ description: "One of these states, with commas between them." }),
  verdict: words(VERDICTS)
    .optional()
    .meta({ description: "One of these verdicts, with commas between them." }),
  label: z
    .array(LABEL)
    .max(JOB_LIST.labels, { error: `${PATH}: at most ${JOB_LIST.labels} labels.` })
    .default([])
    .meta({ description: "NAME=VALUE; several must all be there." }),
  batch: z
    .string()
    .regex(/^[0-9a-f]{32}$/, coded("bad-id", `${PATH} must be the id of a batch.`))
    .optional()
    .meta({ description: "Jobs of this batch." }),
  owner: z
    .string()
    .max(32, { error: `${PATH} must be the id of a token.` })
    .optional()
    .meta({ description: "Jobs of this token. For administrators." }),
  visibility: oneOf(["public"]).optional().meta({ description: '"public": everybody\'s public jobs.' }),
  after: TIME.optional().meta({ description: "Created then or later." }),
  before: TIME.optional().meta({ description: "Created before." }),
  text: z
    .string()
    .max(JOB_LIST.textCharacters, { error: `${PATH} has at most ${JOB_LIST.textCharacters} characters.` })
    .optional()
    .meta({ description: "Somewhere in id, kernel, fixture, command line, labels or reason." }),
  limit: LIMIT.default(JOB_LIST.limit).meta({ description: "Jobs of a page." }),
  cursor: CURSOR.optional().meta({ description: "`next` of the page before." }),
});

export type JobListQuery = z.output<typeof JOB_LIST_QUERY>;

/** Parameters that may come more than once. */
const REPEATED: ReadonlySet<string> = new Set(["label"]);

/** Throws SpecError. */
export function parseJobListQuery(parameters: URLSearchParams): JobListQuery {
  const given: Record<string, string | string[]> = {};
  for (const name of new Set(parameters.keys())) {
    const values = parameters.getAll(name);
    if (REPEATED.has(name)) given[name] = values;
    else if (values.length === 1) given[name] = values[0] ?? "";
    else throw new SpecError("duplicate", name, `${name} is there ${values.length} times; send it once.`);
  }
  return parseWith(JOB_LIST_QUERY, given, "query");
}
