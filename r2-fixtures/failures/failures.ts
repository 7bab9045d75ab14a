/** A guest that is made to fail, and how. */
export interface Failure {
  /** The recording's name: NAME.txt. */
  readonly name: string;
  /** Typed at the first prompt, each line after the one before is done. */
  readonly type?: readonly string[];
  /** A boot of its own; without it, the failure goes on from where the common boot is ready. */
  readonly boot?: {
    readonly cmdline?: string;
    readonly memoryMiB?: number;
    /** "none", one whose /init no kernel can execute, or one with the kernel's tests. Default: init and fail.ko. */
    readonly initrd?: "none" | "bad-init" | "tests";
  };
  /** Not Debian's kernel, but that of build-checkers.sh. */
  readonly checkers?: true;
}

const insmod = (how: string): readonly string[] => [`insmod /fail.ko how=${how}`];
/** A kernel that is still alive says the rest of its piece while the shell sleeps. */
const SLEEP = "sleep 3";

export const COMMON_CMDLINE = "console=hvc0";
export const COMMON_MEMORY_MIB = 128;
/** A kernel that checks needs room for what it knows of each byte; KFENCE guards an allocation each millisecond. */
export const CHECKERS_CMDLINE = "console=hvc0 kfence.sample_interval=1";
export const CHECKERS_MEMORY_MIB = 256;

export const FAILURES: readonly Failure[] = [
  { name: "no-root", boot: { initrd: "none" } },
  { name: "bad-init", boot: { initrd: "bad-init" } },
  {
    name: "initcall-bug",
    boot: { cmdline: "console=hvc0 initcall_debug loglevel=8" },
    type: insmod("bug"),
  },
  { name: "init-exits", type: ["exit 3"] },
  { name: "sysrq-crash", type: ["echo c > /proc/sysrq-trigger"] },
  { name: "panic", type: insmod("panic") },
  { name: "bug", type: [...insmod("bug"), SLEEP] },
  { name: "warn", type: [...insmod("warn"), SLEEP] },
  { name: "null", type: [...insmod("null"), SLEEP] },
  { name: "wild", type: [...insmod("wild"), SLEEP] },
  { name: "noncanonical", type: [...insmod("noncanonical"), SLEEP] },
  { name: "divide", type: [...insmod("divide"), SLEEP] },
  { name: "list", type: [...insmod("list"), SLEEP] },
  { name: "usercopy", type: [...insmod("usercopy"), SLEEP] },
  { name: "refcount", type: [...insmod("refcount"), SLEEP] },
  { name: "atomic", type: [...insmod("atomic"), SLEEP] },
  { name: "allocation", type: [...insmod("allocation"), SLEEP] },
  { name: "oops-panic", type: ["echo 1 > /proc/sys/kernel/panic_on_oops", ...insmod("null")] },
  { name: "oom", type: ["tail /dev/zero", SLEEP] },
  {
    name: "hung-task",
    type: ["echo 10 > /proc/sys/kernel/hung_task_timeout_secs", "insmod /fail.ko how=hung &", "sleep 40"],
  },
  {
    name: "soft-lockup",
    type: [
      "echo 5 > /proc/sys/kernel/watchdog_thresh",
      "echo 1 > /sys/module/rcupdate/parameters/rcu_cpu_stall_suppress",
      ...insmod("keep"),
    ],
  },
  {
    name: "rcu-stall",
    type: ["echo 5 > /sys/module/rcupdate/parameters/rcu_cpu_stall_timeout", ...insmod("reader")],
  },
  {
    name: "tests",
    boot: { initrd: "tests", memoryMiB: 192 },
    type: [
      "insmod /kunit.ko enable=1",
      "ln -s /proc/self/fd/1 /dev/stdout",
      "export BASE_DIR=/ks; . /ks/kselftest/runner.sh",
      "cd /ks/clone3; run_many clone3 clone3_clear_sighand clone3_set_tid missing",
      "cd /ks/size; run_many get_size",
      "cd /ks/timers; ./nanosleep",
    ],
  },
  { name: "kasan-bounds", checkers: true, type: [...insmod("beyond"), SLEEP] },
  { name: "kasan-freed", checkers: true, type: [...insmod("freed"), SLEEP] },
  { name: "kfence", checkers: true, type: [...insmod("before"), SLEEP] },
  { name: "ubsan", checkers: true, type: [...insmod("shift"), SLEEP] },
  { name: "lockdep", checkers: true, type: [...insmod("locks"), SLEEP] },
  { name: "rcu-usage", checkers: true, type: [...insmod("unprotected"), SLEEP] },
  { name: "sleeper", checkers: true, type: [...insmod("sleeper"), SLEEP] },
];
