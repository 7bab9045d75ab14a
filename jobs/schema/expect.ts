import * as z from "zod";
import { parseBudget } from "../compare/budget.ts";
import { INPUT_BYTES, INPUT_STEPS, LIMIT_RANGES } from "../limits.ts";
import { coded, complain, fields, PATH } from "./errors.ts";
import { list, number, PATTERN, PATTERN_LIST, text, utf8Length } from "./values.ts";

/** What makes a run pass or fail: patterns, ordered steps, a budget. */

const SEND = text('the text to type, such as "ls\\n" (the \\n is the Enter key)')
  .min(1, {
    error: `${PATH} must be the text to type, such as "ls\\n" (the \\n is the Enter key), but it is empty.`,
  })
  .meta({ description: "The text to type; \\n is the Enter key." });

const STEP_LIMIT = fields({
  guestSeconds: number(LIMIT_RANGES.guestSeconds, "seconds", false)
    .optional()
    .meta({ description: "Guest time, idle time included." }),
  instructions: number(LIMIT_RANGES.instructions, "instructions", true)
    .optional()
    .meta({ description: "Guest instructions." }),
}).superRefine(({ guestSeconds, instructions }, context) => {
  if (guestSeconds !== undefined || instructions !== undefined) return;
  complain(context, "missing", `${PATH} is empty; set guestSeconds, instructions or both, or leave it out.`);
});

const STEP = fields({
  wait: PATTERN.optional().meta({
    description:
      "Waits for a line that matches, printed since the step before; without it, the text follows at once.",
  }),
  send: SEND.optional(),
  limit: STEP_LIMIT.optional().meta({
    description: "How long the step may wait, counted from the end of the step before. Longer is a timeout.",
  }),
}).superRefine(({ wait, send, limit }, context) => {
  if (wait !== undefined) return;
  if (send === undefined)
    complain(context, "missing", `${PATH} does nothing; give it wait (a pattern), send (a text) or both.`);
  else if (limit !== undefined)
    complain(context, "missing", `${PATH} has a limit but waits for nothing; give it a pattern to wait for.`);
});

interface Typing {
  readonly send?: string | undefined;
}

function checkBytes(steps: readonly Typing[], context: z.core.$RefinementCtx): void {
  const bytes = steps.reduce((sum, { send = "" }) => sum + utf8Length(send), 0);
  if (bytes > INPUT_BYTES)
    complain(context, "too-long", `${PATH} types ${bytes} bytes; at most ${INPUT_BYTES} are allowed.`);
}

const STEPS = list(STEP, "steps", INPUT_STEPS).superRefine(checkBytes);

/** The older way of writing steps. */
export const INPUT = list(
  fields({
    expect: PATTERN.optional().meta({
      description: "Waits for a line that matches; without it, the text follows at once.",
    }),
    send: SEND,
  }),
  "steps",
  INPUT_STEPS,
).superRefine(checkBytes);

const BUDGET_ERROR = coded(
  "bad-budget",
  `${PATH} must be a number of instructions, or as many more than the last known good as "+0.5%" or "+1000000".`,
);
const BUDGET = z
  .union(
    [
      z.int({ error: BUDGET_ERROR }).min(1, { error: BUDGET_ERROR }),
      z.string({ error: BUDGET_ERROR }).refine((value) => parseBudget(value) !== undefined, BUDGET_ERROR),
    ],
    { error: BUDGET_ERROR },
  )
  .transform(String);

export const EXPECT = fields({
  pass: PATTERN_LIST.default([]).meta({ description: "Each must appear on some line of the console." }),
  fail: PATTERN_LIST.default([]).meta({ description: "None may appear." }),
  steps: STEPS.default([]).meta({
    description: "What must happen in this order: wait for a pattern, type a text, each in its time.",
  }),
  instructions: BUDGET.nullable().default(null).meta({
    description:
      'Most instructions of a run: a number, or as many more than the last known good of the same labels, as "+0.5%" or "+1000000".',
  }),
});

/** A step of `expect.steps`. */
export type Step = z.output<typeof STEP>;
