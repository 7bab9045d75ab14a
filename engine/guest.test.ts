/*
 * The run loop between a processor and xenner, with a processor that follows a script: what comes in through emu's ports,
 * when the timer interrupts, how idle time passes, and how a guest can end. The real core runs in machine.test.ts.
 */
import { beforeEach, describe, expect, test } from "vitest";
import type { CpuApi, CpuExit, RegisterName } from "./cpu/types.ts";
import { Guest } from "./guest.ts";
import { DOMAIN_LIMITS } from "./limits.ts";
import { MapPageStore } from "./memory/page-store.ts";
import { EVENT_VECTOR, emuRegion, LINES, PORTS } from "./xenner/abi.ts";
import { ArrayMemory } from "./xenner/testing/memory.ts";

const RAM_PAGES = 64;
const PAGES = { xenstore: 5, console: 6 };
const region = emuRegion(RAM_PAGES);

/** At an instruction count, something other than computing. */
interface Step {
  readonly at: number;
  readonly exit: CpuExit;
}

/** Retires one instruction a tick and leaves at the steps of its script; remembers what it was told. */
class ScriptedCpu implements CpuApi {
  readonly memory = new ArrayMemory(region.machinePages);
  readonly paging = {
    poolPages: region.machinePages,
    residentPages: region.machinePages,
    peakResidentPages: region.machinePages,
    pagesIn: 0,
    pagesOut: 0,
    evictions: 0,
    linearMemoryBytes: 0,
  };
  readonly privilege = 0;
  readonly isIn64BitCode = false;
  instructions = 0;
  idleTicks = 0;
  readonly #script: Step[];
  readonly interrupts: [instructions: number, vector: number][] = [];
  readonly answers: number[] = [];
  #line: number | undefined;

  constructor(script: readonly Step[]) {
    this.#script = [...script];
  }

  run(limit: number): CpuExit {
    if (this.#line !== undefined) this.interrupts.push([this.instructions, this.#line]);
    const step = this.#script[0];
    if (step === undefined || step.at > limit) {
      this.instructions = limit;
      return { kind: "limit" };
    }
    this.#script.shift();
    this.instructions = step.at;
    return step.exit;
  }

  completeIn(value: number): void {
    this.answers.push(value);
  }

  getControl(): bigint {
    return 0n;
  }

  setInterrupt(vector: number | undefined): void {
    this.#line = vector;
  }

  getRegister(name: RegisterName): bigint {
    return name === "rip" ? 0x1234n : 0n;
  }

  setRegister(): void {}
  enterLongMode(): void {}
  enterProtectedMode(): void {}
  saveState(): Uint8Array {
    return new Uint8Array(0);
  }
  architecturalState(): Uint8Array {
    return new Uint8Array(0);
  }
  loadState(): void {}
}

const out = (at: number, port: number, value = 0): Step => ({
  at,
  exit: { kind: "out", port, size: 4, value },
});
const input = (at: number, port: number): Step => ({ at, exit: { kind: "in", port, size: 4 } });
const halt = (at: number, interruptsEnabled = true): Step => ({
  at,
  exit: { kind: "halt", interruptsEnabled },
});
const timer = (at: number, deadline: number): Step[] => [
  out(at, PORTS.TIMER_LOW, deadline % 2 ** 32),
  out(at + 1, PORTS.TIMER_HIGH, Math.floor(deadline / 2 ** 32)),
];

let cpu: ScriptedCpu;
let guest: Guest;

function start(...script: Step[]): void {
  cpu = new ScriptedCpu(script);
  guest = new Guest(cpu, new MapPageStore(), RAM_PAGES, PAGES);
}

function message(text: string): number {
  cpu.memory.write(region.message, new TextEncoder().encode(text));
  return text.length;
}

describe("time", () => {
  test("the timer interrupts at its instruction, and its line stays up until it is read", () => {
    start(...timer(100, 5000), input(6000, PORTS.EVENTS));
    expect(guest.run(10_000)).toEqual({ kind: "budget" });
    expect(cpu.interrupts).toEqual([[5000, EVENT_VECTOR]]);
    expect(cpu.answers).toEqual([1 << LINES.TIMER]);
    expect(guest.instructions).toBe(10_000);
  });

  test.each([1, 3, 1000])("the same in slices of %i", (size) => {
    start(...timer(100, 5000), input(6000, PORTS.EVENTS));
    while (guest.instructions < 10_000) guest.run(size);
    expect(cpu.interrupts[0]).toEqual([5000, EVENT_VECTOR]);
    expect(cpu.interrupts.at(-1)![0]).toBeLessThan(6000);
    expect(cpu.answers).toEqual([1 << LINES.TIMER]);
  });

  test("idle time passes at once and costs no budget", () => {
    const second = 1_000_000_000;
    start(...timer(100, 7 * second), halt(200));
    expect(guest.run(1000)).toEqual({ kind: "budget" });
    expect(guest.instructions).toBe(1000);
    expect(cpu.interrupts[0]).toEqual([200, EVENT_VECTOR]);
    expect(guest.guestNanoseconds).toBe(7 * second + 800);
  });

  test("a deadline that is past interrupts at once; one that was stopped does not", () => {
    start(
      ...timer(500, 10),
      input(600, PORTS.EVENTS),
      ...timer(700, 900),
      out(800, PORTS.TIMER_STOP),
      input(2000, PORTS.EVENTS),
    );
    guest.run(3000);
    expect(cpu.interrupts).toEqual([[501, EVENT_VECTOR]]);
    expect(cpu.answers).toEqual([1, 0]);
  });

  test("a deadline that never comes is none", () => {
    start(out(1, PORTS.TIMER_LOW, 0xffffffff), out(2, PORTS.TIMER_HIGH, 0xffffffff), halt(10));
    expect(guest.run(100)).toEqual({ kind: "idle" });
    expect(guest.guestNanoseconds).toBe(10);
  });
});

describe("the end", () => {
  test.each([
    [0, "poweroff"],
    [1, "reboot"],
    [2, "suspend"],
    [3, "crash"],
    [4, "watchdog"],
    [5, "soft_reset"],
    [99, "unknown"],
  ])("SCHEDOP_shutdown with %i is %s, and stays it", (code, reason) => {
    start(out(10, PORTS.SHUTDOWN, code));
    expect(guest.run(100)).toEqual({ kind: "shutdown", reason, code });
    expect(guest.run(100)).toEqual({ kind: "shutdown", reason, code });
    expect(guest.instructions).toBe(10);
  });

  test("emu's panic is a crash with its message", () => {
    start(out(10, PORTS.PANIC, 12));
    message("no such page");
    expect(guest.run(100)).toEqual({ kind: "crash", message: "emu: no such page" });
  });

  test("a triple fault and a halt without interrupts are crashes", () => {
    start({ at: 10, exit: { kind: "shutdown" } });
    expect(guest.run(100)).toMatchObject({ kind: "crash", message: expect.stringContaining("rip 0x1234") });
    start(halt(10, false));
    expect(guest.run(100)).toMatchObject({ kind: "crash" });
  });

  test("nothing to wait for is idle, until there is input", () => {
    start(halt(10), halt(10));
    expect(guest.run(100)).toEqual({ kind: "idle" });
    expect(guest.run(100)).toEqual({ kind: "idle" });
    guest.input(new TextEncoder().encode("x"));
    expect(guest.run(100)).toEqual({ kind: "budget" });
    expect(cpu.interrupts[0]).toEqual([10, EVENT_VECTOR]);
    expect(guest.recordedInput).toEqual([{ instructions: 10, bytes: [120] }]);
  });
});

describe("console", () => {
  test("console_io comes out; a flood ends the slice early", () => {
    start(...Array.from({ length: 1000 }, (_, i) => out(i + 1, PORTS.CONSOLE_WRITE, 4096)));
    cpu.memory.write(region.message, new Uint8Array(4096).fill(0x41));
    expect(guest.run(100_000)).toEqual({ kind: "budget" });
    expect(guest.instructions).toBe(DOMAIN_LIMITS.consoleChunkBytes / 4096);
    expect(guest.takeConsole()).toHaveLength(DOMAIN_LIMITS.consoleChunkBytes);
    guest.run(100_000);
    expect(guest.instructions).toBeGreaterThan(300);
  });

  test("the ring's last words come out at shutdown, though nobody was notified", () => {
    start(out(10, PORTS.SHUTDOWN, 0));
    const page = PAGES.console * 4096;
    cpu.memory.write(page + 1024, new TextEncoder().encode("bye"));
    cpu.memory.writeU32(page + 3084, 3);
    guest.run(100);
    expect(new TextDecoder().decode(guest.takeConsole())).toBe("bye");
  });
});

describe("ports", () => {
  let answers: number[];
  beforeEach(() => {
    start(
      input(1, 0x60),
      { at: 2, exit: { kind: "in", port: 0x61, size: 1 } },
      out(3, 0x80, 7),
      out(4, PORTS.NOTIFY, 31),
    );
    guest.run(10);
    answers = cpu.answers;
  });

  test("that nobody has float high and swallow what is written", () => {
    expect(answers).toEqual([0xffffffff, 0xff]);
    expect(guest.run(10)).toEqual({ kind: "budget" });
  });

  test("with absurd lengths read no more than the message page", () => {
    start(out(1, PORTS.LOG, 0xffffffff), out(2, PORTS.PANIC, 0x7fffffff));
    const end = guest.run(10);
    expect(end.kind).toBe("crash");
    expect(guest.host.takeLog()[0]).toHaveLength(DOMAIN_LIMITS.panicMessageBytes);
  });
});
