/**
 * A vitest reporter that writes to the file of the variable CI_TEST_REPORT what count-tests.ts prints: how many tests
 * passed, and which did not, with errors of hooks and of files that cannot be run. It writes whenever a file's tests
 * begin or are over, so that a run that was ended from outside says how far it got.
 */
import { writeFileSync } from "node:fs";
import type { Reporter, SerializedError, TestModule } from "vitest/node";

/** What count-tests.ts reads. */
export interface TestReport {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly failures: readonly { readonly test: string; readonly error: string }[];
  /** Files whose tests have begun and are not over; none once the run has ended. */
  readonly unfinished: readonly string[];
  readonly ended: boolean;
}

const textOf = (errors: readonly SerializedError[]): string =>
  errors.map(({ name, message }) => `${name ?? "Error"}: ${message}`).join("; ");

export default class CountingReporter implements Reporter {
  readonly #path: string;
  readonly #begun = new Set<TestModule>();
  readonly #over = new Set<TestModule>();

  constructor() {
    const path = process.env.CI_TEST_REPORT;
    if (path === undefined) throw new Error("CI_TEST_REPORT names no file");
    this.#path = path;
  }

  onTestModuleStart(module: TestModule): void {
    this.#begun.add(module);
    this.#write([...this.#over], [], false);
  }

  onTestModuleEnd(module: TestModule): void {
    this.#over.add(module);
    this.#write([...this.#over], [], false);
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[], reason: string): void {
    this.#write(modules, errors, reason !== "interrupted");
  }

  #write(modules: readonly TestModule[], outside: readonly SerializedError[], ended: boolean): void {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    const failures: { test: string; error: string }[] = [];
    for (const module of modules) {
      const file = module.relativeModuleId;
      for (const test of module.children.allTests()) {
        const { state, errors = [] } = test.result();
        if (state === "passed") counts.passed++;
        else if (state === "failed") {
          counts.failed++;
          failures.push({ test: `${file}: ${test.fullName}`, error: textOf(errors) });
        } else counts.skipped++;
      }
      // What fails in a hook or while the file is read is no test's, and counts as one.
      const suites = [...module.children.allSuites()].map((suite) => ({
        test: `${file}: ${suite.fullName}`,
        errors: suite.errors(),
      }));
      for (const { test, errors } of [{ test: file, errors: module.errors() }, ...suites]) {
        if (errors.length === 0) continue;
        counts.failed++;
        failures.push({ test, error: textOf(errors) });
      }
    }
    if (outside.length > 0) {
      counts.failed++;
      failures.push({ test: "outside of all tests", error: textOf(outside) });
    }
    const unfinished = [...this.#begun]
      .filter((module) => !ended && !this.#over.has(module))
      .map((module) => module.relativeModuleId);
    const report: TestReport = { ...counts, failures, unfinished, ended };
    writeFileSync(this.#path, JSON.stringify(report));
  }
}
