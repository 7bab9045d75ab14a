import type { Comparison } from "../compare/compare.ts";
import { casesOf, countsOf, isFailure } from "../ktap/results.ts";
import { nameOf, type ReportedJob } from "./job.ts";
import { MARKDOWN_CHARACTERS, MARKDOWN_EXCERPT_LINES, MARKDOWN_ROWS } from "./limits.ts";
import { verdictOf, worstOf } from "./summary.ts";

const count = (value: number): string => value.toLocaleString("en-US");

/**
 * Text of a guest or a user as inline code. There nothing is markup, no name is mentioned and no number linked. A bar would
 * end a table's cell, so it is escaped, which tables undo also in code.
 */
export function code(text: string, inTable = false): string {
  const line = text
    .toWellFormed()
    .replace(/[\s\p{Cc}]+/gu, " ")
    .trim();
  if (line === "") return "";
  const longest = Math.max(0, ...[...line.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  const body = inTable ? line.replaceAll("|", "\\|") : line;
  return longest > 0 ? `${fence} ${body} ${fence}` : `${fence}${body}${fence}`;
}

/** Lines as a code block that they cannot end. */
function block(lines: readonly string[]): string[] {
  const text = lines.map((line) => line.toWellFormed().replace(/\p{Cc}/gu, (c) => (c === "\t" ? c : " ")));
  const longest = Math.max(
    2,
    ...text.flatMap((line) => [...line.matchAll(/`+/g)].map(([run]) => run.length)),
  );
  const fence = "`".repeat(longest + 1);
  return [`${fence}text`, ...text, fence];
}

/** What there is in all, if not all of it is given. */
export interface MarkdownTotals {
  readonly verdict: string;
  readonly jobs: number;
  readonly passed: number;
  /** What they are together, if that has a name. */
  readonly name: string | null;
}

/** Jobs as Markdown for a pull request's comment. `comparisons`, by a job's id, are to its last known good. */
export function writeMarkdown(
  jobs: readonly ReportedJob[],
  comparisons: ReadonlyMap<string, Comparison> = new Map(),
  whole: MarkdownTotals = { verdict: worstOf(jobs), jobs: jobs.length, passed: passedOf(jobs), name: null },
): string {
  const { verdict } = whole;
  const [first] = jobs;
  const title = whole.name === null ? "" : `${code(whole.name)}, `;
  const headline =
    whole.jobs === 1 && first !== undefined
      ? [`### xenner: ${verdict} — ${code(nameOf(first))}`]
      : [`### xenner: ${verdict} — ${title}${whole.jobs} jobs, ${whole.passed} passed`];
  const parts = [
    headline,
    table(jobs, whole.jobs),
    ...jobs.map((job) => details(job, comparisons.get(job.id))),
  ];
  const lines: string[] = [];
  let characters = 0;
  for (const part of parts) {
    const size = part.reduce((sum, line) => sum + line.length + 1, 1);
    if (characters + size > MARKDOWN_CHARACTERS) {
      lines.push("", "The rest does not fit into a comment.");
      break;
    }
    characters += size;
    if (part.length > 0) lines.push(...part, "");
  }
  return `${lines.join("\n").trimEnd()}\n`;
}

function passedOf(jobs: readonly ReportedJob[]): number {
  return jobs.filter(({ verdict }) => verdict === "pass").length;
}

function table(jobs: readonly ReportedJob[], total: number): string[] {
  const worst = [...jobs].sort((a, b) => Number(a.verdict === "pass") - Number(b.verdict === "pass"));
  const rows = worst.slice(0, MARKDOWN_ROWS).map((job) => {
    const cells = [
      job.url === null ? code(nameOf(job), true) : `[${code(nameOf(job), true)}](${encodeURI(job.url)})`,
      verdictOf(job),
      code(job.reason ?? "", true),
      count(job.instructions),
      `${job.guestSeconds.toFixed(2)} s`,
    ];
    return `| ${cells.join(" | ")} |`;
  });
  const more = total - rows.length;
  return [
    "| Kernel | Verdict | Reason | Instructions | Guest time |",
    "|---|---|---|--:|--:|",
    ...rows,
    ...(more > 0 ? ["", `and ${more} more.`] : []),
  ];
}

function details(job: ReportedJob, comparison: Comparison | undefined): string[] {
  const lines: string[] = [];
  const cases = casesOf(job.console.tests);
  if (cases.length > 0) {
    const counts = Object.entries(countsOf(cases)).filter(([, times]) => times > 0);
    lines.push(
      `Tests of ${code(nameOf(job))}: ${counts.map(([status, times]) => `${times} ${status}`).join(", ")}.`,
    );
    const failed = cases.filter(({ result }) => isFailure(result.status));
    for (const { path, result } of failed.slice(0, MARKDOWN_ROWS))
      lines.push(
        `- ${result.status}: ${code([...path, result.name].join(" / "))} ${code(result.reason)}`.trimEnd(),
      );
    lines.push("");
  }
  for (const problem of job.console.tests.problems) lines.push(`- ${code(problem)}`);
  if (comparison !== undefined) lines.push(...comparisonLines(comparison), "");
  for (const event of job.console.events) {
    const where = event.initcall === null ? "" : ` in initcall ${code(event.initcall)}`;
    const times = event.count > 1 ? `, ${event.count} times` : "";
    // GitHub renders no Markdown inside <summary> unless it is on lines of its own.
    lines.push(
      "<details><summary>",
      "",
      `${event.kind}: ${code(event.title)}${where}${times}`,
      "",
      "</summary>",
      "",
      ...block(event.excerpt.slice(0, MARKDOWN_EXCERPT_LINES)),
      "",
      "</details>",
      "",
    );
  }
  return lines;
}

function comparisonLines(comparison: Comparison): string[] {
  const { instructions, console: difference, good } = comparison;
  const lines = [
    `Compared with the last good run ${code(good)}: ${count(instructions.now)} instructions (${signed(instructions.percent)}).`,
  ];
  if (difference !== null)
    lines.push(
      `The consoles differ from line ${difference.line} on:`,
      "",
      ...block([`- ${difference.before ?? ""}`, `+ ${difference.now ?? ""}`]),
    );
  return lines;
}

function signed(percent: number): string {
  return `${percent >= 0 ? "+" : ""}${percent.toFixed(3)} %`;
}
