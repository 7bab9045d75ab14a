#!/usr/bin/env node
// Finds the Node that this package brings, which runs TypeScript as it is, and starts the client with it. Works with any
// Node from 20 on.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
let node = process.execPath;
try {
  const bin = join(dirname(createRequire(import.meta.url).resolve("node/package.json")), "bin", "node");
  if (existsSync(bin)) node = bin;
} catch {
  // Without it, the Node that runs this may be new enough.
}
const child = spawn(node, [join(here, "entry.ts"), ...process.argv.slice(2)], { stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(`xenner: ${node} cannot be started: ${error.message}`);
  process.exit(2);
});
child.on("exit", (status, signal) => {
  if (signal === null) process.exit(status ?? 2);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
