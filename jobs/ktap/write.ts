import {
  casesOf,
  countsOf,
  type TestCounts,
  type TestResult,
  type TestRun,
  type TestStatus,
} from "./results.ts";

const DIRECTIVES: Readonly<Record<TestStatus, string>> = {
  pass: "",
  fail: "",
  skip: "SKIP",
  todo: "TODO",
  xfail: "XFAIL",
  timeout: "TIMEOUT",
  error: "ERROR",
};

/** Results as KTAP version 1, two spaces a level. Reading it back gives the same results. */
export function writeKtap(run: TestRun): string {
  const results = run.results.flatMap((result, index) => ktapLines(result, index + 1));
  const lines = [...ktapHead(run.results.length), ...results, ktapTotals(countsOf(casesOf(run)))];
  return `${lines.join("\n")}\n`;
}

export const ktapHead = (results: number): readonly string[] => ["KTAP version 1", `1..${results}`];

/** One of the outermost results; they are numbered from 1. */
export const ktapLines = (result: TestResult, number: number): readonly string[] =>
  group([result], "", number);

export function ktapTotals({ pass, fail, xfail, skip, error, timeout, todo }: TestCounts): string {
  return `# Totals: pass:${pass} fail:${fail + timeout} xfail:${xfail + todo} xpass:0 skip:${skip} error:${error}`;
}

function group(results: readonly TestResult[], indent: string, first = 1): string[] {
  return results.flatMap((result, index) => {
    const inner = `${indent}  `;
    const children =
      result.children.length === 0
        ? []
        : [
            `${inner}KTAP version 1`,
            `${inner}1..${result.children.length}`,
            ...group(result.children, inner),
          ];
    const diagnostics = result.diagnostics.map((line) => `${indent}# ${comment(line)}`);
    return [...children, ...diagnostics, `${indent}${resultLine(result, first + index)}`];
  });
}

function resultLine({ name, status, reason }: TestResult, number: number): string {
  const ok = status === "pass" || status === "skip" ? "ok" : "not ok";
  const directive = [DIRECTIVES[status], clean(reason)].filter((part) => part !== "").join(" ");
  const description = clean(name).replace(/[\\#]/g, "\\$&");
  return `${ok} ${number}${description === "" ? "" : ` ${description}`}${directive === "" ? "" : ` # ${directive}`}`;
}

/** Text on one line. */
function clean(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}

/** Diagnostics that do not look like results when they are read again. */
function comment(line: string): string {
  return clean(line).replace(/^(?:# ?)+/, "");
}
