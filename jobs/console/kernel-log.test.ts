import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { growth, MOST_GROWTH } from "../testing/growth.ts";
import { type KernelEvent, KernelLog, type KernelLogState } from "./kernel-log.ts";
import { EVENTS, EXCERPT_LINES, KEY_LINES, LINE_CHARACTERS } from "./limits.ts";

/*
 * A kernel that fails says so, in words of its own. recorded/ holds consoles of Debian kernels that were made to fail in our
 * own guests (r2-fixtures/failures/record.ts makes them anew): a module with a bug, no root, an init that ends, no memory; and of a kernel
 * with KASAN, KFENCE, UBSAN and lockdep, which Debian's have not.
 * From each we want what a developer would: what it was, where, in which initcall, and the lines that say so.
 */

const RECORDED = join(import.meta.dirname, "recorded");
const recorded = (name: string): Uint8Array => readFileSync(join(RECORDED, `${name}.txt`));
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function eventsOf(console: Uint8Array, piece = console.length): readonly KernelEvent[] {
  const log = new KernelLog();
  for (let at = 0; at < console.length; at += piece) log.output(console.subarray(at, at + piece));
  log.end();
  return log.events;
}

/** Name, then kind, title, initcall of each event, and what its excerpt must show. */
const EXPECTED: Readonly<Record<string, readonly [string, string, string | null, RegExp][]>> = {
  "no-root": [
    [
      "no-root",
      "VFS: Unable to mount root fs on unknown-block(N,N)",
      null,
      /Cannot open root device "\(null\)"/,
    ],
  ],
  "bad-init": [["no-init", "Kernel panic: No working init found.", null, /Run \/bin\/sh as init process/]],
  "init-exits": [
    ["no-init", "Kernel panic: Attempted to kill init! exitcode=X", null, /exitcode=0x00000300/],
  ],
  "initcall-bug": [["bug", "kernel BUG at fail.c in fail_init [fail]", "fail_init [fail]", /invalid opcode/]],
  "sysrq-crash": [["panic", "Kernel panic: sysrq triggered crash", null, /sysrq_handle_crash/]],
  panic: [["panic", "Kernel panic: fail: device N does not answer", "fail_init [fail]", /device 7/]],
  bug: [["bug", "kernel BUG at fail.c in fail_init [fail]", "fail_init [fail]", /cut here/]],
  warn: [["warning", "WARNING in fail_init [fail]: fail: N of N buffers lost", "fail_init [fail]", /3 of 8/]],
  null: [
    ["oops", "BUG: kernel NULL pointer dereference in fail_init [fail]", "fail_init [fail]", /Oops: 0002/],
  ],
  wild: [
    ["oops", "BUG: unable to handle page fault in fail_init [fail]", "fail_init [fail]", /ffffdead00000010/],
  ],
  noncanonical: [
    [
      "oops",
      "general protection fault in fail_init [fail]",
      "fail_init [fail]",
      /0x6b6b6b6b6b6b6b6b: 0000 \[#1\]/,
    ],
  ],
  divide: [["oops", "divide error in fail_init [fail]", "fail_init [fail]", /divide error: 0000/]],
  list: [
    [
      "bug",
      "kernel BUG at lib/list_debug.c in corrupt_list [fail]",
      "fail_init [fail]",
      /list_del corruption\. prev->next should be/,
    ],
  ],
  usercopy: [
    [
      "warning",
      "WARNING in expose_memory [fail]: Buffer overflow detected (N < N)!",
      "fail_init [fail]",
      /__copy_overflow/,
    ],
  ],
  refcount: [
    [
      "warning",
      "WARNING in free_twice [fail]: refcount_t: decrement hit N; leaking memory.",
      "fail_init [fail]",
      /refcount_warn_saturate/,
    ],
  ],
  atomic: [
    ["bug", "BUG: scheduling while atomic in fail_init [fail]", "fail_init [fail]", /insmod\/\d+\/0x0*2/],
    [
      "warning",
      "WARNING in do_one_initcall: initcall fail_init [fail] returned with preemption imbalance",
      null,
      /imbalance/,
    ],
  ],
  allocation: [
    [
      "allocation-failure",
      "page allocation failure: order:N in take_all_memory [fail]",
      "fail_init [fail]",
      /order:10, mode:0xa20\(GFP_ATOMIC\)/,
    ],
  ],
  "oops-panic": [
    ["oops", "BUG: kernel NULL pointer dereference in fail_init [fail]", "fail_init [fail]", /Oops/],
    ["panic", "Kernel panic: Fatal exception", null, /Kernel Offset/],
  ],
  oom: [
    [
      "oom-kill",
      "Out of memory: killed tail",
      null,
      /tail invoked oom-killer[\s\S]*Killed process \d+ \(tail\)/,
    ],
  ],
  "hung-task": [
    ["hung-task", "INFO: task insmod hung in fail_init [fail]", "fail_init [fail]", /blocked for more/],
  ],
  "soft-lockup": [
    [
      "soft-lockup",
      "BUG: soft lockup in keep_processor [fail]",
      "fail_init [fail]",
      /stuck for \d+s! \[insmod/,
    ],
  ],
  "rcu-stall": [
    [
      "warning",
      "WARNING in sleep_as_reader [fail]: Voluntary context switch within RCU read-side critical section!",
      "fail_init [fail]",
      /Voluntary/,
    ],
    [
      "rcu-stall",
      "INFO: rcu_preempt detected a stall in sleep_as_reader [fail]",
      "fail_init [fail]",
      /Tasks blocked/,
    ],
  ],
  tests: [],
  "kunit-panic": [
    ["warning", "WARNING in warns [kunitk]", null, /warns\+0x5/],
    ["panic", "Kernel panic: demo: dies in the middle", null, /panics\+0x11/],
  ],
  "kasan-bounds": [
    [
      "kasan",
      "BUG: KASAN: slab-out-of-bounds in write_beyond [fail]",
      "fail_init [fail]",
      /Write of size 1 at addr ffff\w+ by task insmod/,
    ],
  ],
  "kasan-freed": [
    [
      "kasan",
      "BUG: KASAN: use-after-free in read_freed [fail]",
      "fail_init [fail]",
      /Freed by task \d+:[\s\S]*kasan_save_free_info/,
    ],
  ],
  kfence: [
    [
      "kfence",
      "BUG: KFENCE: out-of-bounds read in read_before [fail]",
      "fail_init [fail]",
      /1B left of kfence-#\d+/,
    ],
  ],
  ubsan: [
    [
      "ubsan",
      "UBSAN: shift-out-of-bounds in /tmp/fail-module/fail.c",
      "fail_init [fail]",
      /shift exponent 33 is too large for 32-bit type 'int'/,
    ],
  ],
  lockdep: [
    [
      "lockdep",
      "WARNING: possible circular locking dependency detected in lock_both_ways [fail]",
      "fail_init [fail]",
      /trying to acquire lock:[\s\S]*\(first_lock\)[\s\S]*\(second_lock\)/,
    ],
  ],
  "rcu-usage": [
    [
      "lockdep",
      "WARNING: suspicious RCU usage in read_unprotected [fail]",
      "fail_init [fail]",
      /fail\.c:\d+ suspicious rcu_dereference_check\(\) usage!/,
    ],
  ],
  sleeper: [
    [
      "bug",
      "BUG: sleeping function called from invalid context at kernel/locking/mutex.c:N in sleep_with_interrupts_off [fail]",
      "fail_init [fail]",
      /irqs_disabled\(\): 1/,
    ],
  ],
};

describe("recorded kernels", () => {
  test("there is an expectation for every recording", () => {
    expect(readdirSync(RECORDED).sort()).toEqual(
      Object.keys(EXPECTED)
        .map((name) => `${name}.txt`)
        .sort(),
    );
  });

  for (const [name, expected] of Object.entries(EXPECTED)) {
    test(name, () => {
      const console = recorded(name);
      const events = eventsOf(console);
      expect(events.map(({ kind, title, initcall }) => [kind, title.slice(0, 160), initcall])).toEqual(
        expected.map(([kind, title, initcall]) => [kind, expect.stringContaining(title), initcall]),
      );
      const lines = new TextDecoder("latin1").decode(console).split("\n");
      for (const [index, event] of events.entries()) {
        const shown = event.excerpt.join("\n");
        expect(shown).toMatch(expected[index]?.[3] ?? /never/);
        // The excerpt is the kernel's, line by line, and holds the line that the event began at.
        expect(event.excerpt).toContain(event.text);
        expect(lines[event.line - 1]?.replace("\r", "")).toContain(event.text);
        for (const line of event.excerpt)
          expect(lines.some((printed) => printed.startsWith(line))).toBe(true);
      }
    });
  }

  test("a hung task is reported every ten seconds, and is one failure", () => {
    expect(eventsOf(recorded("hung-task"))[0]?.count).toBeGreaterThan(2);
  });

  test("a panic that only follows names its cause", () => {
    const [oops, panic] = eventsOf(recorded("oops-panic"));
    expect(panic?.cause).toBe(oops?.title);
    expect(eventsOf(recorded("panic"))[0]?.cause).toBeNull();
  });

  test("with initcall_debug the initcall is the one that was called last", () => {
    // sysrq is no initcall: whatever ran before has returned.
    const console = new TextDecoder("latin1").decode(recorded("initcall-bug"));
    expect(console).toContain("calling  fail_init");
    const [before] = console.split("calling  fail_init");
    const stamped = `${before}\n[    9.000000] Kernel panic - not syncing: now\n`;
    expect(eventsOf(bytes(stamped)).at(-1)).toMatchObject({ kind: "panic", initcall: null });
    const within = `${before}calling  other_init+0x0/0x10 @ 1\n[    9.000000] Kernel panic - not syncing: now\n`;
    expect(eventsOf(bytes(within)).at(-1)).toMatchObject({ initcall: "other_init" });
  });
});

describe("however it comes", () => {
  test("pieces of any size, and a log saved and restored at every piece, give the same events", () => {
    for (const name of ["oom", "rcu-stall", "list"]) {
      const console = recorded(name);
      const whole = eventsOf(console);
      for (const piece of [1, 7, 4096]) expect(eventsOf(console, piece)).toEqual(whole);
      let state: KernelLogState | undefined;
      for (let at = 0; at < console.length; at += 997) {
        const log: KernelLog = new KernelLog(state);
        log.output(console.subarray(at, at + 997));
        state = JSON.parse(JSON.stringify(log.save())) as KernelLogState;
      }
      const last = new KernelLog(state);
      last.end();
      expect(last.events).toEqual(whole);
    }
  });

  test("an event is known as soon as its first line is there", () => {
    const log = new KernelLog();
    log.output(bytes("[    1.000000] Kernel panic - not syncing: soon\n"));
    expect(log.events).toMatchObject([{ kind: "panic", title: "Kernel panic: soon" }]);
  });

  test("when the kernel stamps its lines, what user space prints is not believed", () => {
    const version = "[    0.000000] Linux version 6.1.0 (x)\n";
    expect(eventsOf(bytes(`${version}Kernel panic - not syncing: joke\nBUG: joke\n`))).toEqual([]);
    expect(
      eventsOf(bytes("Linux version 6.1.0 (x)\nKernel panic - not syncing: no stamps here\n")),
    ).toHaveLength(1);
  });

  test("callers and log levels in the prefix are no part of the message", () => {
    for (const prefix of ["[    1.5][    T1] ", "<2>[    1.500000] ", "<0>", "[    1.500000][   C11] "])
      expect(eventsOf(bytes(`${prefix}Kernel panic - not syncing: x\n`))).toMatchObject([
        { title: "Kernel panic: x" },
      ]);
  });
});

/*
 * Not recorded: what takes several processors, or a processor that stands still. The formats are those of kernel/watchdog_hld.c,
 * kernel/kcsan/report.c and mm/page_alloc.c; and those of older and newer kernels than the recorded one's.
 */
const RULE = "=".repeat(66);
const formats: readonly [string, string, string][] = [
  [
    "kasan",
    `${RULE}\nBUG: KASAN: slab-out-of-bounds in usb_destroy+0x9c/0xe0 [usbcore]\nWrite of size 8 at addr ffff88806aeb2d18 by task kworker/0:2/1743\n\nCPU: 0 PID: 1743 Comm: kworker/0:2\nCall Trace:\n dump_stack_lvl+0x49/0x63\n${RULE}\nnot part of it\n`,
    "BUG: KASAN: slab-out-of-bounds in usb_destroy [usbcore]",
  ],
  [
    "kfence",
    `${RULE}\nBUG: KFENCE: out-of-bounds read in test_out+0xa6/0x234\n\nOut-of-bounds read at 0xffff8c3f2e291fff (1B left of kfence-#72):\n${RULE}\nnot part of it\n`,
    "BUG: KFENCE: out-of-bounds read in test_out",
  ],
  [
    "ubsan",
    `${RULE}\nUBSAN: shift-out-of-bounds in net/sched/act.c:413:12\nshift exponent 33 is too large for 32-bit type 'int'\n${RULE}\nnot part of it\n`,
    "UBSAN: shift-out-of-bounds in net/sched/act.c",
  ],
  [
    "lockdep",
    `${RULE}\nWARNING: possible circular locking dependency detected\n6.1.0 #1 Not tainted\n------\ninsmod/86 is trying to acquire lock:\n</TASK>\nnot part of it\n`,
    "WARNING: possible circular locking dependency detected",
  ],
  ["lockdep", "WARNING: suspicious RCU usage\n", "WARNING: suspicious RCU usage"],
  ["hard-lockup", "NMI watchdog: Watchdog detected hard LOCKUP on cpu 3\n", "Watchdog detected hard LOCKUP"],
  ["kcsan", "BUG: KCSAN: data-race in a+0x1/0x2 / b+0x3/0x4\n", "BUG: KCSAN: data-race in a / b"],
  [
    "bug",
    "BUG: sleeping function called from invalid context at kernel/locking/mutex.c:580\n",
    "BUG: sleeping function called from invalid context at kernel/locking/mutex.c:N",
  ],
  ["bug", "BUG: Bad page state in process cat  pfn:7d2c1\n", "BUG: Bad page state in process cat pfn:X"],
];

describe("kernels built with checkers", () => {
  for (const [kind, text, title] of formats) {
    test(title, () => {
      const [event, ...others] = eventsOf(bytes(text));
      expect(event).toMatchObject({ kind, title });
      expect(others).toEqual([]);
      expect(event?.excerpt.join("\n")).not.toContain("not part of it");
    });
  }
});

describe("a hostile console", () => {
  test("memory is bounded whatever is printed", () => {
    const log = new KernelLog();
    for (let index = 0; index < 4_000; index++) {
      const name = String.fromCharCode(
        97 + (index % 26),
        97 + ((index / 26) % 26),
        97 + ((index / 676) % 26),
      );
      log.output(bytes(`BUG: ${name} ${"y".repeat(900)}\ncalling  ${name}+0x0/0x1 @ 1\n`));
    }
    expect(log.events.length).toBe(EVENTS);
    expect(log.dropped).toBeGreaterThan(3_000);
    for (const { excerpt } of log.events)
      expect(excerpt.length).toBeLessThanOrEqual(EXCERPT_LINES + KEY_LINES);
    expect(JSON.stringify(log.save()).length).toBeLessThan(EVENTS * 8_000 + 32 * LINE_CHARACTERS + 8_192);
  });

  test("an oops behind more reports of undefined behaviour than are kept is kept", () => {
    const reports = Array.from({ length: EVENTS + 8 }, (_, index) => {
      const name = String.fromCharCode(103 + (index % 20), 103 + Math.floor(index / 20));
      return `UBSAN: shift-out-of-bounds in net/${name}.c:1:2\n`;
    });
    const events = eventsOf(bytes(`${reports.join("")}BUG: kernel NULL pointer dereference, address: 0\n`));
    expect(events.map(({ kind }) => kind)).toEqual([...Array<string>(EVENTS - 1).fill("ubsan"), "oops"]);
  });

  test("time grows with the length, not faster", async () => {
    const lines = (length: number): string[] =>
      [
        "BUG: ",
        "INFO: task ",
        "WARNING: CPU: 1 PID: 1 at ",
        "a+0x1/0x",
        "A (((( [#1] : 0000 [#",
        " ut of memory: Kill process 1 (",
        "[    1.000000",
        "0000000000",
      ].map((start) => start.repeat(length / start.length));
    const read = (length: number, times: number): void => {
      eventsOf(bytes(`${lines(length).join("\n")}\n`.repeat(times)));
    };
    expect(await growth((times) => read(4000, times), 8, 128)).toBeLessThan(MOST_GROWTH);
    expect(await growth((length) => read(length, 32), 250, 4000)).toBeLessThan(MOST_GROWTH);
  });
});
