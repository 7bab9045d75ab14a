import type { Verdict } from "../verdict.ts";

/** What a kernel complained about. */
export type EventKind =
  | "panic"
  /** A panic because there is no root file system. */
  | "no-root"
  /** A panic because there is no init, or because it ended. */
  | "no-init"
  | "oops"
  | "bug"
  | "warning"
  | "kasan"
  | "kfence"
  | "kmsan"
  | "kcsan"
  | "ubsan"
  | "lockdep"
  | "rcu-stall"
  | "soft-lockup"
  | "hard-lockup"
  | "hung-task"
  | "oom-kill"
  | "allocation-failure";

/** How bad a kind is: the verdict it would give a run, worst first where several are alike. */
export const KIND_VERDICTS: Readonly<Record<EventKind, Verdict>> = {
  panic: "crash",
  "no-root": "crash",
  "no-init": "crash",
  oops: "crash",
  bug: "crash",
  kasan: "crash",
  kfence: "crash",
  kmsan: "crash",
  "hard-lockup": "crash",
  "soft-lockup": "crash",
  kcsan: "fail",
  ubsan: "fail",
  lockdep: "fail",
  warning: "fail",
  "rcu-stall": "fail",
  "hung-task": "fail",
  "oom-kill": "fail",
  "allocation-failure": "fail",
};

export const PANIC_KINDS: ReadonlySet<EventKind> = new Set(["panic", "no-root", "no-init"]);

/** How a line begins an event. */
export interface Opening {
  readonly kind: EventKind;
  /** Normalised later; without the place. */
  readonly title: string;
  /** The place is in the line itself and part of the title. */
  readonly placed?: boolean;
}

interface Rule {
  /** What the line must contain, checked first because it is cheap. */
  readonly word: string;
  readonly open: (text: string, at: number) => Opening | undefined;
}

const rest = (text: string, at: number): string => text.slice(at).trim();

function panic(text: string, at: number): Opening {
  const message = text
    .slice(at + "Kernel panic - not syncing".length)
    .replace(/^:/, "")
    .trim();
  if (/^VFS: Unable to mount root/.test(message)) return { kind: "no-root", title: message, placed: true };
  const noInit = /^(?:Attempted to kill init|No working init|Requested init|No init found)/.test(message);
  return { kind: noInit ? "no-init" : "panic", title: `Kernel panic: ${message}`, placed: noInit };
}

const SANITIZERS: Readonly<Record<string, EventKind>> = {
  KASAN: "kasan",
  KFENCE: "kfence",
  KMSAN: "kmsan",
  KCSAN: "kcsan",
};

/** "BUG: …": arch/x86/mm/fault.c, kernel/sched/core.c, kernel/watchdog.c, mm/kasan/report.c and many more. */
function bug(text: string, at: number): Opening | undefined {
  const message = rest(text, at + "BUG:".length);
  const sanitizer = /^(K[A-Z]+SAN|KFENCE): /.exec(message)?.[1];
  if (sanitizer !== undefined && sanitizer in SANITIZERS)
    return { kind: SANITIZERS[sanitizer] ?? "bug", title: `BUG: ${message}`, placed: / in /.test(message) };
  if (message.startsWith("soft lockup")) return { kind: "soft-lockup", title: "BUG: soft lockup" };
  // The address differs every time; what matters is that it was nothing, or nothing mapped.
  if (/^(?:unable to handle )?(?:kernel )?NULL pointer dereference/i.test(message))
    return { kind: "oops", title: "BUG: kernel NULL pointer dereference" };
  const fault = /^unable to handle (?:page fault|kernel paging request)/.exec(message)?.[0];
  if (fault !== undefined) return { kind: "oops", title: `BUG: ${fault}` };
  if (/stack guard page was hit/.test(message))
    return { kind: "oops", title: "BUG: stack guard page was hit" };
  const atomic = /^scheduling while atomic/.exec(message)?.[0];
  if (atomic !== undefined) return { kind: "bug", title: `BUG: ${atomic}` };
  if (at !== 0 && !/^watchdog: |^[\w-]{1,32}: /.test(text)) return undefined;
  return { kind: "bug", title: `BUG: ${message}` };
}

/** Headlines of kernel/locking/lockdep.c, include/linux/rcupdate.h's lockdep part and kernel/locking/mutex-debug.c. */
const LOCKDEP =
  /^WARNING: (?:possible (?:circular locking dependency|recursive locking|irq lock inversion dependency)|[\w-]{1,32}-safe -> [\w-]{1,32}-unsafe lock order|inconsistent lock state|suspicious RCU usage|bad unlock balance|bad contention|held lock freed|lock held when returning to user space|Nested lock was not taken|still has locks held|\S{1,64} still has locks held|bad (?:lock|unlock))/;

function warning(text: string, at: number): Opening | undefined {
  if (at !== 0) return undefined;
  if (LOCKDEP.test(text)) return { kind: "lockdep", title: text };
  // kernel/panic.c, __warn
  const match = /^WARNING: (?:CPU: \d{1,6} PID: \d{1,10} )?at (\S{1,200}?)(?::\d{1,8})?(?: (.*))?$/.exec(
    text,
  );
  return match === null ? undefined : { kind: "warning", title: "WARNING" };
}

function info(text: string, at: number): Opening | undefined {
  const message = text.slice(at);
  const hung = /^INFO: task (.{1,32}):\d{1,10} (?:<writer> )?blocked for more than \d{1,10} seconds/.exec(
    message,
  );
  if (hung !== null) return { kind: "hung-task", title: `INFO: task ${hung[1]} hung` };
  const stall = /^INFO: (\S{1,32}) (?:self-)?detected (?:expedited )?stalls? on CPU/.exec(message);
  if (stall !== null) return { kind: "rcu-stall", title: `INFO: ${stall[1]} detected a stall` };
  if (message.startsWith("INFO: trying to register non-static key"))
    return { kind: "lockdep", title: "INFO: trying to register non-static key" };
  return undefined;
}

/** "general protection fault, …: 0000 [#1] PREEMPT SMP": arch/x86/kernel/dumpstack.c, __die_header. */
export const DIE = /^([A-Za-z][\w ,.()-]{2,120}?)(?: 0x[0-9a-f]{1,16})?: [0-9a-f]{4,16} \[#\d{1,6}\]/;

function die(text: string): Opening | undefined {
  const match = DIE.exec(text);
  if (match?.[1] === undefined) return undefined;
  return { kind: "oops", title: match[1].replace(/, (?:probably|maybe) .*$/, "") };
}

const RULES: readonly Rule[] = [
  { word: "Kernel panic - not syncing", open: panic },
  { word: "BUG:", open: bug },
  {
    word: "kernel BUG at ",
    open: (text, at) =>
      at === 0 ? { kind: "bug", title: text.replace(/:\d{1,8}!.*$/, "").replace(/!$/, "") } : undefined,
  },
  { word: " [#", open: (text) => die(text) },
  { word: "WARNING: ", open: warning },
  {
    word: "UBSAN: ",
    open: (text, at) => ({
      kind: "ubsan",
      title: rest(text, at).replace(/:\d+(?::\d+)?$/, ""),
      placed: true,
    }),
  },
  { word: "INFO: ", open: info },
  {
    word: " invoked oom-killer:",
    open: () => ({ kind: "oom-kill", title: "Out of memory", placed: true }),
  },
  {
    word: "ut of memory: Kill",
    open: (text) => ({ kind: "oom-kill", title: killed(text) ?? "Out of memory", placed: true }),
  },
  {
    word: ": page allocation failure: ",
    open: (text, at) => ({ kind: "allocation-failure", title: rest(text, at + 2).replace(/, mode:.*$/, "") }),
  },
  {
    word: "Watchdog detected hard LOCKUP",
    open: () => ({ kind: "hard-lockup", title: "Watchdog detected hard LOCKUP" }),
  },
];

/** What a line begins, if it begins anything. Linear in its length. */
export function openingOf(text: string): Opening | undefined {
  for (const { word, open } of RULES) {
    const at = text.indexOf(word);
    if (at < 0) continue;
    const opening = open(text, at);
    if (opening !== undefined) return opening;
  }
  return undefined;
}

/** The title of an out-of-memory kill (mm/oom_kill.c, __oom_kill_process). */
export function killed(text: string): string | undefined {
  const match = /ut of memory: Kill(?:ed)? process \d{1,10} \((.{1,32}?)\)/.exec(text);
  return match?.[1] === undefined ? undefined : `Out of memory: killed ${match[1]}`;
}
