import { cloudflareTest } from "@cloudflare/vitest-plugin";
import type { Plugin } from "vite";
import { configDefaults, defineConfig } from "vitest/config";

const WORKER_TESTS = "worker/**/*.worker.test.ts";
const E2E_TESTS = "worker/**/*.e2e.test.ts";

/*
 * Limits are there to end what hangs, not to judge what is slow: a machine five times slower than ours, or one that stops for
 * some seconds, passes. Tests wait for what is to happen, and the time they wait is not what they prove.
 */
const HOOK_MILLISECONDS = 300_000;
const POLL = { timeout: 60_000, interval: 50 };

/** The database's migrations are imported as text, which wrangler and the local bundle do by themselves. */
const SQL_AS_TEXT: Plugin = {
  name: "sql-as-text",
  enforce: "pre",
  transform: (code, id) => (id.endsWith(".sql") ? `export default ${JSON.stringify(code)};` : null),
};

export default defineConfig({
  test: {
    // Workers of one project at a time: guests are pure computing, and more of them than processors only get in each other's way.
    maxWorkers: 2,
    projects: [
      {
        plugins: [SQL_AS_TEXT],
        test: {
          name: "unit",
          environment: "node",
          include: ["**/*.test.ts", "**/*.test.tsx"],
          exclude: [...configDefaults.exclude, WORKER_TESTS, E2E_TESTS, "**/cache/**"],
          testTimeout: 300_000,
          hookTimeout: HOOK_MILLISECONDS,
          expect: { poll: POLL },
        },
      },
      {
        plugins: [
          SQL_AS_TEXT,
          cloudflareTest({
            // The routes and the runner are the product's own; the machine under them is scripted by each test.
            main: "./worker/testing/index.ts",
            wrangler: { configPath: "./wrangler.toml" },
            miniflare: { cf: false, bindings: { TOKEN: "test-token", BATCH_CONCURRENCY: "8", LOG: "" } },
          }),
        ],
        test: {
          name: "worker",
          include: [WORKER_TESTS],
          setupFiles: ["./worker/testing/make-tables.ts"],
          testTimeout: 180_000,
          hookTimeout: HOOK_MILLISECONDS,
          expect: { poll: POLL },
        },
      },
      {
        test: {
          name: "e2e",
          environment: "node",
          include: [E2E_TESTS],
          globalSetup: ["./worker/local/testing/share-bundles.ts"],
          // It imports JSON without saying so, which Node does not take.
          server: { deps: { inline: ["@actions/workflow-parser"] } },
          testTimeout: 600_000,
          hookTimeout: HOOK_MILLISECONDS,
          expect: { poll: POLL },
        },
      },
    ],
  },
});
