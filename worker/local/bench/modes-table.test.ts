/*
 * The table of modes side by side, from made-up statistics: the same hypercall stands in one row whatever the mode, what is
 * rare everywhere is summed up, and what was served in the guest is in brackets.
 */
import { expect, test } from "vitest";
import { type ModeJob, modesTable } from "./modes-table.ts";

type Row = readonly [hypercall: string, subop: string | null, calls: number, inEmu: number];

function job(mode: "pv" | "hvm", rows: readonly Row[]): ModeJob {
  const hypercalls = rows.map(([hypercall, subop, calls, inEmu]) => ({
    ...{ hypercall, subop, calls, inEmu },
    ...{ byPort: 0, byVmcall: calls - inEmu, errors: 0, instructions: 0 },
  }));
  const calls = rows.reduce((sum, row) => sum + row[2], 0);
  const totals = {
    calls,
    inEmu: 0,
    byPort: 0,
    byVmcall: calls,
    errors: 0,
    instructions: 0,
    shareInEmu: 0.25,
  };
  return {
    config: { mode },
    instructions: 1_234_567,
    guestSeconds: 1.5,
    hypercalls: { hypercalls, totals, traps: {}, upcalls: 7, cr3Switches: 8 },
  };
}

test("a row a hypercall, a column a job", () => {
  const table = modesTable([
    job("pv", [
      ["iret", null, 5000, 5000],
      ["sched_op", "SCHEDOP_block", 3, 0],
      ["vm_assist", "x", 2, 2],
    ]),
    job("hvm", [
      ["sched_op", "SCHEDOP_block", 12, 1],
      ["hvm_op", "y", 4, 0],
    ]),
  ]);
  expect(table.split("\n")).toEqual(
    expect.arrayContaining([
      "|  | `pv` | `hvm` |",
      "| Instructions | 1,234,567 | 1,234,567 |",
      "| Hypercalls | 5,005 | 16 |",
      "| … served in the guest | 25.0 % | 25.0 % |",
      "| `iret` | 5,000 (5,000) |  |",
      "| `sched_op`: SCHEDOP_block | 3 | 12 (1) |",
      "| 2 others | 2 (2) | 4 |",
    ]),
  );
});
