import { describe, expect, test } from "vitest";
import type { PreparedFixture } from "../r2-fixtures/index.ts";
import { LoadError } from "./loader/errors.ts";
import { create, restore } from "./machine.ts";
import type { EngineParts, MachineApi } from "./machine-api.ts";
import { MapPageStore } from "./memory/page-store.ts";
import { fixtureOrSkip, PARTS, readBytes } from "./testing/parts.ts";

/*
 * 32-bit PV guests on emu32pae. hello32 makes every hypercall and says itself what was wrong; GRUB's i386 port, which is
 * Debian's, is typed to at its prompt. How a run is cut into slices, and whether it goes on from a checkpoint, does not show
 * in console, instruction count or state.
 */

function begin(fixture: PreparedFixture, store: MapPageStore, memoryMiB = fixture.memoryMiB) {
  const config = { kernel: readBytes(fixture.kernelPath), cmdline: "", memoryMiB, seed: 1n, startTime: 0 };
  return create(PARTS, config, store);
}

const text = (machine: MachineApi): string => new TextDecoder("latin1").decode(machine.takeConsole());

describe("hello32", async () => {
  const fixture = (await fixtureOrSkip("hello32"))!;

  test("finds every answer right, the same in odd slices and from checkpoints", {
    timeout: 120_000,
  }, async () => {
    const whole = await begin(fixture, new MapPageStore());
    expect(whole.run(1_000_000_000)).toMatchObject({ kind: "shutdown", reason: "poweroff" });
    const console = text(whole);
    expect(console).not.toContain("FAILED");
    expect(console).toMatch(/(ok: .*\n){20}HELLO-OK\n$/);

    const store = new MapPageStore();
    let cut = await begin(fixture, store);
    let cutConsole = "";
    for (let slice = 1; ; slice++) {
      const end = cut.run(99_991 * (1 + (slice % 17)));
      cutConsole += text(cut);
      if (end.kind !== "budget") break;
      if (slice % 5 === 0) cut = restore(PARTS, cut.checkpoint().state, store);
    }
    expect(cutConsole).toBe(console);
    expect(cut.instructions).toBe(whole.instructions);
    expect(cut.stateHash()).toBe(whole.stateHash());
    expect(cut.statistics()).toEqual(whole.statistics());
  });

  test("calls everything that emu serves", async () => {
    const machine = await begin(fixture, new MapPageStore());
    machine.run(1_000_000_000);
    const { hypercalls, traps } = machine.statistics();
    const called = new Set(hypercalls.filter(({ calls }) => calls > 0).map(({ hypercall }) => hypercall));
    expect([...called]).toEqual(
      expect.arrayContaining([
        ..."set_trap_table mmu_update set_gdt stack_switch set_callbacks fpu_taskswitch set_debugreg".split(
          " ",
        ),
        ..."get_debugreg update_descriptor memory_op multicall update_va_mapping set_timer_op".split(" "),
        ..."xen_version console_io grant_table_op vm_assist iret vcpu_op set_segment_base mmuext_op".split(
          " ",
        ),
        ..."nmi_op sched_op callback_op event_channel_op physdev_op platform_op sysctl domctl".split(" "),
      ]),
    );
    // From ring 3 the hypercall instruction is a protection fault; system calls do not come by emu at all.
    expect(traps).toMatchObject({ general_protection: 89, failsafe: 2, nmi: 1, software_interrupt: 1 });
  });
});

describe("grub-pv32", async () => {
  const fixture = await fixtureOrSkip("grub-pv32");

  test.skipIf(fixture === undefined)("answers ls and help at its prompt", { timeout: 120_000 }, async () => {
    const machine = await begin(fixture!, new MapPageStore(), 32);
    let seen = "";
    const until = (pattern: RegExp): void => {
      for (let slice = 0; !pattern.test(seen); slice++) {
        expect(slice, seen).toBeLessThan(60);
        expect(machine.run(2_000_000).kind).toMatch(/budget|idle/);
        seen += text(machine);
      }
    };
    const type = (line: string): void => {
      seen = "";
      machine.input(new TextEncoder().encode(`${line}\r`));
    };
    until(/GNU GRUB {2}version[\s\S]*grub> $/);
    type("ls");
    until(/\(memdisk\) \(proc\)[\s\S]*grub> $/);
    type("help");
    until(/write_byte[\s\S]*grub> $/);
    expect(seen).toContain("ls [-l|-h|-a] [FILE ...]");
  });
});

describe("what is not offered", async () => {
  const fixture = (await fixtureOrSkip("hello32"))!;

  test("is said before anything is built", async () => {
    const without: EngineParts = { core: PARTS.core, emu64: PARTS.emu64 };
    const config = {
      kernel: readBytes(fixture.kernelPath),
      cmdline: "",
      memoryMiB: 16,
      seed: 1n,
      startTime: 0,
    };
    const refusal = create(without, config, new MapPageStore());
    await expect(refusal).rejects.toMatchObject({ code: "mode-not-offered" });
    await expect(begin(fixture, new MapPageStore(), 4096)).rejects.toThrow(LoadError);
    await expect(begin(fixture, new MapPageStore(), 4096)).rejects.toMatchObject({ code: "bad-memory" });
  });
});
