import type { Finding } from "../verdict.ts";

/** How many instructions a run may take: a number, or so many more than the last known good. */
export type InstructionBudget =
  | { readonly kind: "absolute"; readonly instructions: number }
  | { readonly kind: "more"; readonly instructions: number }
  | { readonly kind: "percent"; readonly percent: number };

const PERCENT = /^\+(\d{1,4}(?:\.\d{1,6})?) ?%$/;
const MORE = /^\+(\d{1,15})$/;
const ABSOLUTE = /^\d{1,15}$/;

/** Parses "+0.5%", "+1000000" or "3000000000"; undefined for anything else. */
export function parseBudget(text: string): InstructionBudget | undefined {
  const percent = PERCENT.exec(text)?.[1];
  if (percent !== undefined) return { kind: "percent", percent: Number(percent) };
  const more = MORE.exec(text)?.[1];
  if (more !== undefined) return { kind: "more", instructions: Number(more) };
  return ABSOLUTE.test(text) ? { kind: "absolute", instructions: Number(text) } : undefined;
}

/** The most instructions a budget allows; null if it is relative and there is no good run. */
export function budgetLimit(budget: InstructionBudget, good: number | null): number | null {
  if (budget.kind === "absolute") return budget.instructions;
  if (good === null) return null;
  return budget.kind === "more" ? good + budget.instructions : Math.floor(good * (1 + budget.percent / 100));
}

/** What is wrong with a run of so many instructions; undefined if it is within its budget, or there is nothing to compare with. */
export function judgeBudget(
  budget: InstructionBudget,
  instructions: number,
  good: { readonly id: string; readonly instructions: number } | null,
): Finding | undefined {
  const limit = budgetLimit(budget, good?.instructions ?? null);
  if (limit === null || instructions <= limit) return undefined;
  const count = (value: number): string => value.toLocaleString("en-US");
  const than =
    good === null
      ? ""
      : `, ${(((instructions - good.instructions) / good.instructions) * 100).toFixed(3)} % more than the last good run ${good.id}`;
  return {
    verdict: "fail",
    code: "instruction-budget",
    message: `The run took ${count(instructions)} instructions${than}; its budget (expect.instructions) is ${count(limit)}.`,
  };
}
