import { availableParallelism, loadavg } from "node:os";

/**
 * How many times more work there is than processors, at least 1: what a limit in wall time is multiplied by, as a machine
 * that does other things besides does this more slowly. The average is of the last minute.
 */
export function crowding(): number {
  return Math.max(1, (loadavg()[0] ?? 0) / availableParallelism());
}
