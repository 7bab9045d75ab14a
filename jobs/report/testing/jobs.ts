import { readFileSync } from "node:fs";
import { join } from "node:path";
import { findingsOfEvents } from "../../console/findings.ts";
import { finalState } from "../../states.ts";
import type { Verdict } from "../../verdict.ts";
import { type ReportedJob, reportConsole } from "../job.ts";

const RECORDED = join(import.meta.dirname, "..", "..", "console", "recorded");
const SHA256 = "5a".repeat(32);

/** A job with the given fields; without any, one that passed. */
export function jobOf(fields: Partial<ReportedJob>): ReportedJob {
  const { verdict = "pass" } = fields;
  return {
    id: "0123456789abcdef0123456789abcdef",
    state: verdict === null ? "running" : finalState(verdict),
    verdict,
    reason: `It ended with ${verdict}.`,
    reasonCode: "powered-off",
    findings: [],
    kernel: { sha256: SHA256, name: null },
    cmdline: "console=hvc0",
    memory: 128,
    mode: "pv",
    cpu: "v2",
    architecture: "x86_64",
    labels: {},
    createdAt: "2026-11-23T02:00:00.000Z",
    startedAt: "2026-11-23T02:00:01.250Z",
    endedAt: "2026-11-23T02:00:21.500Z",
    seconds: 20.25,
    guestSeconds: 3.5,
    instructions: 2_741_023_869,
    consoleBytes: 0,
    url: "https://xenner.example/jobs/0123456789abcdef0123456789abcdef",
    console: reportConsole(new Uint8Array()),
    ...fields,
  };
}

/** A job with a recorded console. */
export function recordedJob(name: string, verdict: Verdict): ReportedJob {
  const bytes = readFileSync(join(RECORDED, `${name}.txt`));
  const console = reportConsole(bytes);
  const findings = findingsOfEvents(console.events);
  const worst = findings.find((finding) => finding.code === "panic") ?? findings[0];
  return jobOf({
    id: Buffer.from(name).toString("hex").padEnd(32, "0").slice(0, 32),
    verdict,
    findings,
    reason: worst?.message ?? "Passed.",
    reasonCode: worst?.code ?? "powered-off",
    kernel: { sha256: SHA256, name },
    consoleBytes: bytes.length,
    console,
  });
}

const EVIL =
  "</failure>]]><script>&amp;\"' `code` ``` <img src=x> @torvalds #1 ![evil](http://evil) | \u0000\u001b[31m \ud800 \uffff é 𝄞";

const EVIL_CONSOLE = `[    0.000000] Linux version 6.1.0\n<!-- & ]]> -->\n[    1.000000] Kernel panic - not syncing: ${EVIL}\n[    1.1] \`\`\`\`\nTAP version 13\n1..2\nnot ok 1 ${EVIL}\nok 2 fine # SKIP ${EVIL}\n${EVIL}\n`;

/** Everything that could break out of a format, everywhere a guest or a user can put it. */
export const HOSTILE: ReportedJob = jobOf({
  id: "e".repeat(32),
  verdict: "crash",
  reason: EVIL,
  reasonCode: "panic",
  findings: [{ verdict: "crash", code: "panic", message: EVIL }],
  kernel: { sha256: SHA256, name: EVIL },
  cmdline: EVIL,
  labels: { name: EVIL, [EVIL]: EVIL, git_commit_name: EVIL, kcidb_build_id: `x:${"y".repeat(9)}\n` },
  console: reportConsole(new TextEncoder().encode(EVIL_CONSOLE)),
});
