/**
 * What a job may call its processor (jobs/cpu.ts) and what the engine makes of it (engine/cpu/models.ts) are two lists, as
 * neither may import the other: they must name the same things. That CPUID and #UD follow is seen where instructions run.
 */
import { expect, test } from "vitest";
import { createCpu } from "../engine/cpu/door/create-cpu.ts";
import { CPU_FEATURES, CPU_MODELS, featureMask } from "../engine/cpu/models.ts";
import { CPU_DEFAULT, CPU_FEATURE_NAMES, CPU_MODEL_NAMES, cpuError } from "../jobs/cpu.ts";
import { parseConfig } from "../jobs/spec.ts";

test("jobs and engine know the same processors", () => {
  expect([...CPU_MODEL_NAMES]).toEqual(Object.keys(CPU_MODELS));
  expect([...CPU_FEATURE_NAMES]).toEqual(Object.keys(CPU_FEATURES));
  for (const feature of CPU_FEATURE_NAMES) {
    const name = `v1,+${feature}`;
    expect(cpuError(name)).toBeUndefined();
    expect(featureMask(name)).toBe(CPU_FEATURES[feature]);
    expect(featureMask(`v2,-${feature}`)).toBe((CPU_MODELS.v2 & ~CPU_FEATURES[feature]) >>> 0);
  }
  expect(parseConfig({}, () => 0).cpu).toBe(CPU_DEFAULT);
});

test.each([
  ["v3", 'config.cpu begins with "v3"'],
  ["v1,popcnt", 'write "+" before a feature'],
  ["v2,-sse42", 'did you mean "sse4.2"?'],
  ["v2,", 'has ""'],
])("%s is refused with the remedy", (cpu, message) => {
  expect(() => parseConfig({ cpu }, () => 0)).toThrow(message);
  expect(() => featureMask(cpu)).toThrow(RangeError);
});

/** CPUID leaf 1 ECX of a processor: SDM vol. 2A, CPUID, table 3-10. */
test("CPUID offers what was asked for, and POPCNT is #UD without it", () => {
  const POPCNT_BIT = 1n << 23n;
  const SSE42_BIT = 1n << 20n;
  const CODE = 0x10_0000;
  for (const [name, popcnt, sse42] of [
    ["v1", false, false],
    ["v2", true, true],
    ["v1,+popcnt", true, false],
    ["v2,-sse4.2", true, false],
  ] as const) {
    const cpu = createCpu({ pages: 4096 });
    cpu.setModel(featureMask(name));
    cpu.memory.writeU64(0x1000, 0x2003n);
    cpu.memory.writeU64(0x2000, 0x3003n);
    cpu.memory.writeU64(0x3000, 0x83n);
    cpu.enterLongMode(0x1000);
    cpu.setExceptionExit(true);
    // mov eax, 1; cpuid; popcnt eax, eax; hlt
    cpu.memory.write(CODE, Uint8Array.of(0xb8, 1, 0, 0, 0, 0x0f, 0xa2, 0xf3, 0x0f, 0xb8, 0xc0, 0xf4));
    cpu.setRegister("rip", BigInt(CODE));
    const exit = cpu.run(100);
    const ecx = cpu.getRegister("rcx");
    expect([(ecx & POPCNT_BIT) !== 0n, (ecx & SSE42_BIT) !== 0n], name).toEqual([popcnt, sse42]);
    expect(exit.kind === "exception" ? exit.vector : exit.kind, name).toBe(popcnt ? "halt" : 6);
  }
});
