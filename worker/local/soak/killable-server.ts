import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "../client.ts";

const PROGRAM = join(import.meta.dirname, "server-process.ts");
const POLL_MILLISECONDS = 5;
/** How long a process may take to appear or to go: the machine may be crowded. */
const PATIENCE_MILLISECONDS = 300_000;

/** Who is killed: workerd, which its node starts again; or that node, whose workerd then goes with it. */
export type Victim = "workerd" | "node";

/** Where the server is now; it changes whenever something was killed. */
interface Place {
  readonly url: string;
  readonly workerd: number;
}

/** A local worker that can be killed and comes back on the same storage. */
export class KillableServer {
  readonly #directory: string;
  readonly #token: string;
  readonly #log: (line: string) => void;
  #node: ChildProcess | undefined;
  #place: Place | undefined;

  constructor(directory: string, token: string, log: (line: string) => void = () => {}) {
    this.#directory = directory;
    this.#token = token;
    this.#log = log;
  }

  /** Starts it, or starts it again. Resolves when it answers. */
  async start(): Promise<void> {
    this.#place = undefined;
    const node = spawn(process.execPath, [PROGRAM, this.#directory, this.#token], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#node = node;
    createInterface({ input: node.stdout }).on("line", (line) => {
      if (this.#node === node) this.#place = JSON.parse(line) as Place;
    });
    let lastLine = "";
    createInterface({ input: node.stderr }).on("line", (line) => {
      lastLine = line;
      this.#log(line);
    });
    const isOver = (): boolean => this.#place !== undefined || node.exitCode !== null;
    await this.#until(isOver, "the server did not start");
    if (node.exitCode !== null) throw new Error(`the server ended with ${node.exitCode}: ${lastLine}`);
  }

  /** The process id of the workerd that serves now; undefined while there is none. */
  get workerd(): number | undefined {
    return this.#place?.workerd;
  }

  /** A client for where the server is now; requests fail while it is nowhere. */
  client(): Client {
    if (this.#place === undefined) throw new Error("the server is being started");
    return new Client(this.#place.url, this.#token);
  }

  /** Bytes that workerd has handed to the operating system for writing: Linux only, 0 elsewhere. */
  bytesWritten(): number {
    try {
      const text = readFileSync(`/proc/${this.#place?.workerd}/io`, "utf8");
      return Number(/^wchar: (\d+)/m.exec(text)?.[1] ?? 0);
    } catch {
      return 0;
    }
  }

  /** Kills with SIGKILL, and comes back when it is started again. */
  async kill(victim: Victim): Promise<void> {
    const workerd = this.#place?.workerd;
    const node = this.#node;
    if (workerd === undefined || node?.pid === undefined) throw new Error("there is nothing to kill");
    if (victim === "workerd") {
      process.kill(workerd, "SIGKILL");
      await this.#until(() => this.#place?.workerd !== workerd, "workerd did not come back");
      return;
    }
    this.#place = undefined;
    node.kill("SIGKILL");
    // Two workers on one directory would corrupt it: the guard beside node has to have killed the old one.
    await this.#until(() => !isAlive(workerd), "workerd outlived its node");
    await this.start();
  }

  async stop(): Promise<void> {
    const workerd = this.#place?.workerd;
    this.#place = undefined;
    this.#node?.kill("SIGKILL");
    if (workerd !== undefined) await this.#until(() => !isAlive(workerd), "workerd outlived its node");
  }

  async #until(condition: () => boolean, complaint: string): Promise<void> {
    const deadline = performance.now() + PATIENCE_MILLISECONDS;
    while (!condition()) {
      if (performance.now() > deadline) throw new Error(complaint);
      await sleep(POLL_MILLISECONDS);
    }
  }
}

/** A process that ended but was not waited for is not alive. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 2));
  } catch {
    return !existsSync("/proc/self/stat");
  }
}
