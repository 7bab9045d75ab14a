import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/**
 * workerd outlives a node that is killed: it keeps its port and goes on running jobs. So a shell beside us holds one end
 * of a pipe; when we are gone, however it came, the pipe closes and the shell kills the last workerd it was told of.
 */
const WATCH = `
while read -r line; do pid=$line; done
[ -n "$pid" ] && kill -9 "$pid" 2>/dev/null
[ -n "$REMOVE" ] && rm -rf "$REMOVE"
exit 0`;

export class WorkerdGuard {
  readonly #shell: ChildProcess;

  /** `temporary` is a directory to be removed at the end. */
  constructor(temporary: string | undefined) {
    this.#shell = spawn("/bin/sh", ["-c", WATCH], {
      stdio: ["pipe", "ignore", "ignore"],
      // In a group of its own, or Ctrl-C would end it before us.
      detached: true,
      env: { PATH: process.env.PATH ?? "/usr/bin:/bin", REMOVE: temporary ?? "" },
    });
    this.#shell.on("error", () => {});
    this.#shell.stdin?.on("error", () => {});
    this.#shell.unref();
  }

  watch(workerd: number): void {
    this.#shell.stdin?.write(`${workerd}\n`);
  }

  /** Lets the shell do its work now. */
  end(): void {
    this.#shell.stdin?.end();
  }
}

/** Process ids of this process's children whose command is workerd. */
export function workerdChildren(): number[] {
  try {
    return procChildren();
  } catch {
    return psChildren();
  }
}

/** Linux. */
function procChildren(): number[] {
  const children = readdirSync("/proc/self/task").flatMap((task) =>
    readFileSync(`/proc/self/task/${task}/children`, "utf8").split(" ").filter(Boolean).map(Number),
  );
  return children.filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[0]?.endsWith("workerd") ?? false;
    } catch {
      return false;
    }
  });
}

/** Other Unix systems. */
function psChildren(): number[] {
  const lines = execFileSync("ps", ["-A", "-o", "pid=,ppid=,comm="], { encoding: "utf8" }).split("\n");
  return lines.flatMap((line) => {
    const [pid, parent, ...command] = line.trim().split(/\s+/);
    return Number(parent) === process.pid && command.join(" ").endsWith("workerd") ? [Number(pid)] : [];
  });
}
