/** How a test ended. "xfail" and "todo": it failed, and was expected to. */
export const TEST_STATUSES = ["pass", "skip", "xfail", "todo", "fail", "timeout", "error"] as const;
export type TestStatus = (typeof TEST_STATUSES)[number];

/** A test, or a group of tests with a result of its own. */
export interface TestResult {
  readonly name: string;
  readonly status: TestStatus;
  /** What stands behind the directive, or behind "#" without one. */
  readonly reason: string;
  /** Lines that belong to it; none for a pass. */
  readonly diagnostics: readonly string[];
  readonly children: readonly TestResult[];
}

/** All test results of a console. */
export interface TestRun {
  /** In the order of their result lines. */
  readonly results: readonly TestResult[];
  /** What is wrong with the output itself: results that were announced and never came, "Bail out!". */
  readonly problems: readonly string[];
  /** Results beyond those that are kept. */
  readonly dropped: number;
}

/** A test that is no group, with the names of its groups, outermost first. */
export interface TestCase {
  readonly path: readonly string[];
  readonly result: TestResult;
}

export type TestCounts = Readonly<Record<TestStatus, number>>;

const FAILURES: ReadonlySet<TestStatus> = new Set(["fail", "timeout", "error"]);

export function isFailure(status: TestStatus): boolean {
  return FAILURES.has(status);
}

/** The tests that are no groups. A group that failed although none of its tests did counts as a test. */
export function casesOf(run: TestRun): readonly TestCase[] {
  const cases: TestCase[] = [];
  const visit = (result: TestResult, path: readonly string[]): void => {
    const inner = [...path, result.name];
    for (const child of result.children) visit(child, inner);
    const explained = result.children.some((child) => hasFailure(child));
    if (result.children.length === 0 || (isFailure(result.status) && !explained))
      cases.push({ path, result });
  };
  for (const result of run.results) visit(result, []);
  return cases;
}

/** Whether it failed, or something in it did. */
export function hasFailure(result: TestResult): boolean {
  return isFailure(result.status) || result.children.some((child) => hasFailure(child));
}

export function countsOf(cases: readonly TestCase[]): TestCounts {
  const counts = Object.fromEntries(TEST_STATUSES.map((status) => [status, 0])) as Record<TestStatus, number>;
  for (const { result } of cases) counts[result.status]++;
  return counts;
}
