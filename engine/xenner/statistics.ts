/** Turns emu's statistics structure into the HypercallStatistics of engine/machine-api.ts. */

import type { HypercallCount, HypercallStatistics } from "../machine-api.ts";
import { ROW_COUNTERS, STATISTICS, STATISTICS_ROWS, TRAP_KINDS } from "./abi.ts";
import { decode } from "./structure.ts";

function sum(counts: readonly HypercallCount[], pick: (count: HypercallCount) => number): number {
  return counts.reduce((total, count) => total + pick(count), 0);
}

/**
 * `bytes` is the structure as read from `EmuRegion.statistics` (STATISTICS.bytes long). Rows and traps that never
 * happened are left out. A batch (mmu_update, mmuext_op) counts one call for each request; a multicall counts once for
 * itself and once for each entry.
 */
export function decodeStatistics(bytes: Uint8Array): HypercallStatistics {
  const number = (name: string, index = 0) => Number(decode(STATISTICS, bytes, name, index));
  const hypercalls: HypercallCount[] = [];
  for (const [row, { hypercall, subop }] of STATISTICS_ROWS.entries()) {
    const counter = (name: (typeof ROW_COUNTERS)[number]) =>
      number("rows", row * ROW_COUNTERS.length + ROW_COUNTERS.indexOf(name));
    const calls = counter("calls");
    if (calls === 0) continue;
    const byPort = counter("byPort");
    hypercalls.push({
      hypercall,
      subop,
      calls,
      inEmu: calls - byPort,
      byPort,
      errors: counter("errors"),
      instructions: counter("instructions"),
    });
  }
  const traps: Record<string, number> = {};
  for (const [index, kind] of TRAP_KINDS.entries()) {
    const count = number("traps", index);
    if (kind !== null && count > 0) traps[kind] = count;
  }
  const calls = sum(hypercalls, (count) => count.calls);
  const inEmu = sum(hypercalls, (count) => count.inEmu);
  return {
    hypercalls,
    totals: {
      calls,
      inEmu,
      byPort: calls - inEmu,
      errors: sum(hypercalls, (count) => count.errors),
      instructions: sum(hypercalls, (count) => count.instructions),
      shareInEmu: calls === 0 ? 1 : inEmu / calls,
    },
    traps,
    upcalls: number("upcalls"),
    cr3Switches: number("cr3Switches"),
  };
}
