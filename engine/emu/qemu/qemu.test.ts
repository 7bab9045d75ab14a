/*
 * emu must run on any processor that has its ports. Here it runs on qemu's, with a shim behind the ports, and hello
 * runs on it: the same checks as on our own core, and the same count of every hypercall.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { haveQemu, runOnQemu } from "./run.ts";

const canBuild = existsSync("/usr/include/xen/xen.h") && spawnSync("gcc", ["--version"]).status === 0;

test.skipIf(!haveQemu() || !canBuild)("hello on emu on qemu", { timeout: 120_000 }, async () => {
  const result = await runOnQemu({
    kernel: readFileSync(join(import.meta.dirname, "../../../r2-fixtures/hello/hello.elf")),
    cmdline: "",
    memoryMiB: 16,
    timeoutSeconds: 60,
  });
  expect(result.console).not.toContain("FAILED");
  expect(result.console).toContain("HELLO-OK");
  expect(result.shutdown).toBe(0);
  const calls = Object.fromEntries(
    result.statistics!.hypercalls.map(({ hypercall, subop, calls }) => [`${hypercall} ${subop}`, calls]),
  );
  expect(calls).toMatchObject({
    "unknown null": 2,
    "mmu_update MMU_NORMAL_PT_UPDATE": 1,
    "multicall null": 1,
    "iret null": 3,
    "event_channel_op EVTCHNOP_bind_virq": 1,
    "vcpu_op VCPUOP_set_singleshot_timer": 1,
  });
  expect(result.statistics!.traps).toMatchObject({
    page_fault: 4,
    user_syscall: 1,
    emulated_page_table_write: 2,
    failsafe: 1,
    software_interrupt: 1,
  });
});
