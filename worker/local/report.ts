import { styleText } from "node:util";
import type { HypercallStatistics } from "../../engine/machine-api.ts";
import type { JobView } from "../runner/record.ts";

export const count = (value: number): string => value.toLocaleString("en-US");
const percent = (share: number): string => `${(share * 100).toFixed(2)} %`;

/** "2.93 G" */
export function short(value: number): string {
  for (const [unit, size] of [
    ["G", 1e9],
    ["M", 1e6],
    ["k", 1e3],
  ] as const) {
    if (value >= size) return `${(value / size).toFixed(2)} ${unit}`;
  }
  return String(value);
}

const NUMBER = /^[\d,.]*$/;

/** Rows as a table: columns of numbers to the right, text to the left. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const isNumber = head.map((_, column) => rows.every((row) => NUMBER.test(row[column] ?? "")));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        isNumber[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd();
  return [line(head), ...rows.map(line)];
}

/** The hypercall table: most frequent first. */
export function hypercallTable({
  hypercalls,
  totals,
  traps,
  upcalls,
  cr3Switches,
}: HypercallStatistics): string {
  // Only guests without emu call by an instruction that leaves them at once.
  const vmcall = (calls: number | undefined): string[] =>
    totals.byVmcall === undefined ? [] : [count(calls ?? 0)];
  const rows = [...hypercalls]
    .filter(({ calls }) => calls > 0)
    .sort((a, b) => b.calls - a.calls)
    .map((row) => [
      row.subop === null ? row.hypercall : `${row.hypercall}: ${row.subop}`,
      count(row.calls),
      count(row.inEmu),
      count(row.byPort),
      ...vmcall(row.byVmcall),
      count(row.errors),
      count(row.instructions),
      (row.instructions / row.calls).toFixed(0),
    ]);
  const total = [
    "total",
    count(totals.calls),
    count(totals.inEmu),
    count(totals.byPort),
    ...vmcall(totals.byVmcall),
    count(totals.errors),
    count(totals.instructions),
    "",
  ];
  const byVmcall = totals.byVmcall === undefined ? [] : ["by vmcall"];
  const inside = totals.byVmcall === undefined ? "in emu" : "inside";
  const head = ["hypercall", "calls", inside, "by port", ...byVmcall, "errors", "instructions", "each"];
  const trapNames = Object.entries(traps).filter(([, times]) => times > 0);
  return [
    ...table(head, [...rows, total]),
    "",
    `served without leaving the guest: ${percent(totals.shareInEmu)}`,
    `upcalls ${count(upcalls)}, CR3 switches ${count(cr3Switches)}${trapNames.length === 0 ? "" : ", traps: "}${trapNames
      .sort(([, a], [, b]) => b - a)
      .map(([name, times]) => `${name} ${count(times)}`)
      .join(", ")}`,
  ].join("\n");
}

/** The lines after the console: verdict, reason, figures. */
export function summary(job: JobView): string {
  const verdict = (job.verdict ?? job.state).toUpperCase();
  const colour = job.verdict === "pass" ? "green" : "red";
  const { checkpoints } = job;
  return [
    `${styleText([colour, "bold"], verdict, { stream: process.stdout })}  ${job.reason ?? ""}`,
    ...job.findings.slice(1).map((finding) => `      also: ${finding.message}`),
    `time ${job.seconds.toFixed(2)} s (running ${job.runSeconds.toFixed(2)} s), guest time ${job.guestSeconds.toFixed(3)} s`,
    `instructions ${count(job.instructions)}${job.from === null ? "" : ` (${count(job.from.since.instructions)} since the snapshot)`}, ${job.mips === null ? "" : `${job.mips} MIPS, `}checkpoints ${checkpoints.count} (${count(checkpoints.pagesWritten)} pages, ${(checkpoints.milliseconds / 1000).toFixed(2)} s)`,
  ].join("\n");
}
