/* Asks the C compiler where the fields of Xen's public structures lie. */

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

export const HEADERS = "/usr/include/xen/xen.h";

/** Whether gcc and libxen-dev are here. */
export function canAskCompiler(): boolean {
  if (!existsSync(HEADERS)) return false;
  try {
    execFileSync("gcc", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

const INCLUDES = [
  "xen.h",
  "memory.h",
  "event_channel.h",
  "grant_table.h",
  "sched.h",
  "vcpu.h",
  "version.h",
  "features.h",
  "hvm/hvm_op.h",
  "hvm/params.h",
  "arch-x86/hvm/start_info.h",
  "arch-x86/cpuid.h",
];

/** The values of C expressions that are constant, for a 64- or 32-bit guest: the compiler is asked for assembly, no more. */
export function constants(expressions: readonly string[], bits: 32 | 64): bigint[] {
  const source = [
    "#include <stddef.h>",
    "#include <stdint.h>",
    "#define __XEN_INTERFACE_VERSION__ 0x00040e00",
    "#define __XEN_TOOLS__ 1",
    ...INCLUDES.map((name) => `#include <xen/${name}>`),
    ...expressions.map((text, i) => `unsigned long long v${i} = (unsigned long long)(${text});`),
  ].join("\n");
  const assembly = execFileSync(
    "gcc",
    [`-m${bits}`, "-ffreestanding", "-fno-zero-initialized-in-bss", "-w", "-S", "-x", "c", "-", "-o", "-"],
    { input: source, encoding: "utf8" },
  );
  return expressions.map((text, i) => {
    const at = assembly.indexOf(`\nv${i}:\n`);
    if (at < 0) throw new Error(`gcc gave no value for ${text}`);
    const [first = "", second = ""] = assembly.slice(at + `\nv${i}:\n`.length).split("\n");
    // ".quad 24", ".long 24" twice, or ".zero 8".
    const value = (line: string): bigint => {
      const [directive = "", number = "0"] = line.trim().split(/\s+/);
      return directive === ".zero" ? 0n : BigInt.asUintN(64, BigInt(number));
    };
    return !first.includes(".long")
      ? value(first)
      : BigInt.asUintN(32, value(first)) | (value(second) << 32n);
  });
}
