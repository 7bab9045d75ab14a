import { readFileSync } from "node:fs";

/** Fields of /proc/PID/stat behind the command's name, which is in brackets: state is the first. */
const UTIME = 11;
const STIME = 12;
/** Clock ticks a second: what Linux tells user space on every architecture of today. */
const TICKS_PER_SECOND = 100;

/**
 * Seconds of processor time that a process has used, which a crowded machine changes less than the time that passes; undefined
 * where there is no /proc, or no such process.
 */
export function processSeconds(pid: number | undefined): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const seconds = (Number(fields[UTIME]) + Number(fields[STIME])) / TICKS_PER_SECOND;
    return Number.isFinite(seconds) ? seconds : undefined;
  } catch {
    return undefined;
  }
}
