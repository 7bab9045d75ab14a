/**
 * What the same kernel asked of the hypervisor in several modes, side by side as Markdown, from the documents that
 * `npm start -- --mode MODE --json` prints: `node worker/local/bench/modes-table.ts pv.json pvh.json hvm.json`.
 */
import { readFileSync } from "node:fs";
import type { GuestMode, HypercallStatistics } from "../../../engine/machine-api.ts";

/** Hypercalls that are fewer in every mode share a row. */
const FEW = 10;

export interface ModeJob {
  readonly config: { readonly mode: GuestMode };
  readonly instructions: number;
  readonly guestSeconds: number;
  readonly hypercalls: HypercallStatistics;
}

const count = (value: number): string => value.toLocaleString("en-US");

interface Cell {
  readonly calls: number;
  readonly inGuest: number;
}

/** "162,787 (160,210)": calls, and in brackets those served without leaving the guest. */
function shown({ calls, inGuest }: Cell): string {
  return calls === 0 ? "" : inGuest === 0 ? count(calls) : `${count(calls)} (${count(inGuest)})`;
}

function add(a: Cell, b: Cell): Cell {
  return { calls: a.calls + b.calls, inGuest: a.inGuest + b.inGuest };
}

const NONE: Cell = { calls: 0, inGuest: 0 };

/** One column a job; the hypercalls most frequent in any of them first. */
export function modesTable(jobs: readonly ModeJob[]): string {
  const rows = new Map<string, Cell[]>();
  for (const [column, { hypercalls }] of jobs.entries()) {
    for (const { hypercall, subop, calls, inEmu } of hypercalls.hypercalls) {
      if (calls === 0) continue;
      const name = `\`${hypercall}\`${subop === null ? "" : `: ${subop}`}`;
      const row = rows.get(name) ?? jobs.map(() => NONE);
      row[column] = add(row[column]!, { calls, inGuest: inEmu });
      rows.set(name, row);
    }
  }
  const most = (row: readonly Cell[]): number => Math.max(...row.map(({ calls }) => calls));
  const sorted = [...rows].sort(([, a], [, b]) => most(b) - most(a));
  const many = sorted.filter(([, row]) => most(row) >= FEW);
  const few = sorted.slice(many.length).map(([, row]) => row);
  const rest = jobs.map((_, column) => few.reduce((sum, row) => add(sum, row[column]!), NONE));
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const totals = jobs.map(({ hypercalls: { totals } }) => totals);
  return [
    line(["", ...jobs.map(({ config }) => `\`${config.mode}\``)]),
    line(["---", ...jobs.map(() => "---:")]),
    line(["Instructions", ...jobs.map(({ instructions }) => count(instructions))]),
    line(["Guest time", ...jobs.map(({ guestSeconds }) => `${guestSeconds.toFixed(3)} s`)]),
    line(["Hypercalls", ...totals.map(({ calls }) => count(calls))]),
    line(["… served in the guest", ...totals.map(({ shareInEmu }) => `${(shareInEmu * 100).toFixed(1)} %`)]),
    line(["… out by a port", ...totals.map(({ byPort }) => count(byPort))]),
    line(["… out by `vmcall`", ...totals.map(({ byVmcall }) => count(byVmcall ?? 0))]),
    line(["Upcalls", ...jobs.map(({ hypercalls }) => count(hypercalls.upcalls))]),
    line(["CR3 switches by hypercall", ...jobs.map(({ hypercalls }) => count(hypercalls.cr3Switches))]),
    ...many.map(([name, row]) => line([name, ...row.map(shown)])),
    line([`${few.length} others`, ...rest.map(shown)]),
  ].join("\n");
}

if (process.argv[1] === import.meta.filename) {
  const jobs = process.argv.slice(2).map((path) => JSON.parse(readFileSync(path, "utf8")) as ModeJob);
  console.log(modesTable(jobs));
}
