import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { BUNDLES_VARIABLE } from "../bundle.ts";

/** Once for all files of a test run: their many servers bundle the worker once, not each time one is started. */
export default function shareBundles(project: TestProject): () => void {
  const directory = mkdtempSync(join(tmpdir(), "xenner-bundles-"));
  process.env[BUNDLES_VARIABLE] = directory;
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  project.onTestsRerun(() => {
    remove();
    mkdirSync(directory);
  });
  return remove;
}
