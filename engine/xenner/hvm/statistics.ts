/* Counts of an HVM guest's hypercalls, by the rows of abi.ts: kept here, as there is no emu that could. */

import type { HypercallCount, HypercallStatistics } from "../../machine-api.ts";
import { STATISTICS_GROUPS, STATISTICS_ROWS } from "../abi.ts";
import { HYPERCALLS } from "../hypercall-names.ts";
import { BLOB_COUNTERS } from "./blob-layout.ts";
import type { TailCounts } from "./shared-info.ts";

/** How a hypercall came out of the guest: by VMCALL or VMMCALL, or by the port of the code in its hypercall page. */
export type HypercallPath = "vmcall" | "port";

interface Row {
  byVmcall: number;
  byPort: number;
  errors: number;
}

export interface SavedStatistics {
  readonly rows: readonly (readonly [row: number, byVmcall: number, byPort: number, errors: number])[];
  readonly upcalls: number;
}

/** The row of a hypercall: 0 for one in no table. */
export function rowOf(number: number, firstArgument: bigint): number {
  const hypercall = HYPERCALLS.find((one) => one.number === number);
  const group = STATISTICS_GROUPS.find((one) => one.number === number);
  if (hypercall === undefined || group === undefined) return 0;
  const index =
    hypercall.source === "arg1"
      ? hypercall.subops.findIndex(([subop]) => BigInt(subop) === (firstArgument & 0xffffffffn))
      : -1;
  return group.first + (index < 0 ? hypercall.subops.length : index);
}

export class HvmStatistics {
  readonly #rows = new Map<number, Row>();
  #upcalls = 0;

  constructor(saved?: SavedStatistics) {
    if (saved === undefined) return;
    for (const [row, byVmcall, byPort, errors] of saved.rows)
      this.#rows.set(row, { byVmcall, byPort, errors });
    this.#upcalls = saved.upcalls;
  }

  count(number: number, firstArgument: bigint, path: HypercallPath, isError: boolean): void {
    const index = rowOf(number, firstArgument);
    const row = this.#rows.get(index) ?? { byVmcall: 0, byPort: 0, errors: 0 };
    if (path === "vmcall") row.byVmcall++;
    else row.byPort++;
    if (isError) row.errors++;
    this.#rows.set(index, row);
  }

  /** No hypercall was made so far. */
  get isEmpty(): boolean {
    return this.#rows.size === 0;
  }

  countUpcall(): void {
    this.#upcalls++;
  }

  save(): SavedStatistics {
    const rows = [...this.#rows].sort(([a], [b]) => a - b);
    return {
      rows: rows.map(([row, { byVmcall, byPort, errors }]) => [row, byVmcall, byPort, errors] as const),
      upcalls: this.#upcalls,
    };
  }

  /** `inside`: what the code in the hypercall pages has counted, which served it without leaving the guest. */
  report(inside?: TailCounts): HypercallStatistics {
    const hypercalls: HypercallCount[] = [];
    const totals = { calls: 0, inEmu: 0, byPort: 0, byVmcall: 0, errors: 0, instructions: 0 };
    const rows = new Map([...this.#rows].map(([index, row]) => [index, { ...row, inEmu: 0 }]));
    const add = (index: number, count: number, isError: boolean): void => {
      if (count === 0) return;
      const row = rows.get(index) ?? { byVmcall: 0, byPort: 0, errors: 0, inEmu: 0 };
      row.inEmu += count;
      if (isError) row.errors += count;
      rows.set(index, row);
    };
    for (const [number, count] of inside?.nosys.entries() ?? []) add(rowOf(number, 0n), count, true);
    for (const [i, { hypercall, subop, isError }] of BLOB_COUNTERS.entries())
      add(rowOf(hypercall, BigInt(subop)), inside?.counters[i] ?? 0, isError);
    for (const [index, { byVmcall, byPort, errors, inEmu }] of [...rows].sort(([a], [b]) => a - b)) {
      const { hypercall, subop } = STATISTICS_ROWS[index]!;
      const calls = byVmcall + byPort + inEmu;
      hypercalls.push({ hypercall, subop, calls, inEmu, byPort, byVmcall, errors, instructions: 0 });
      totals.calls += calls;
      totals.inEmu += inEmu;
      totals.byPort += byPort;
      totals.byVmcall += byVmcall;
      totals.errors += errors;
    }
    return {
      hypercalls,
      totals: { ...totals, shareInEmu: totals.calls === 0 ? 0 : totals.inEmu / totals.calls },
      traps: {},
      upcalls: this.#upcalls,
      cr3Switches: 0,
    };
  }
}
