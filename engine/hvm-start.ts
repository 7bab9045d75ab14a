import type { VirtualCpuApi } from "./cpu/types.ts";
import { encodeCmdline, prepareLinux, preparePvh } from "./inspect.ts";
import { sourceOf } from "./loader/source.ts";
import type { Spool } from "./loader/spool.ts";
import type { MachineConfig } from "./machine-api.ts";
import { IO_APIC_ADDRESS } from "./platform/io-apic.ts";
import { XAPIC_ADDRESS } from "./platform/lapic.ts";
import { PAGE_BYTES } from "./xenner/abi.ts";
import { buildPvhDomain } from "./xenner/hvm/domain-builder.ts";
import type { HvmMode } from "./xenner/hvm/host.ts";
import { hasXapicPage } from "./xenner/hvm/layout.ts";
import { BOOT_CS, BOOT_DS, buildLinuxDomain, GDT_LIMIT, LOW } from "./xenner/hvm/linux-domain.ts";

/* The start of day of guests on the bare processor: what is in memory and in the registers at their first instruction. */

/** A domain that is built, and where its processor begins. */
export interface Start {
  readonly ramPages: number;
  readonly machinePages: number;
  readonly console: number;
  readonly xenstore: number;
  /** Writes the domain to memory and sets the processor's registers. */
  build(cpu: VirtualCpuApi): Promise<void>;
}

/** XEN_ELFNOTE_PHYS32_ENTRY: 32-bit code without paging, hvm_start_info in EBX. */
async function startPvh(config: MachineConfig, spool: Spool): Promise<Start> {
  const initrd = config.initrd === undefined ? undefined : sourceOf(config.initrd);
  const { kernel, layout } = await preparePvh(config.kernel, config.memoryMiB, initrd?.size ?? 0, spool);
  const cmdline = encodeCmdline(config.cmdline);
  return {
    ...layout,
    async build(cpu) {
      await buildPvhDomain(cpu.memory, {
        kernel,
        layout,
        ...(initrd !== undefined && initrd.size > 0 && { initrd }),
        cmdline,
        rest: () => spool.rest(),
      });
      cpu.enterProtectedMode();
      if (hasXapicPage(layout.machinePages)) cpu.setDevicePages([XAPIC_ADDRESS / PAGE_BYTES]);
      cpu.setRegister("rip", BigInt(kernel.entry));
      cpu.setRegister("rbx", BigInt(layout.startInfo));
    },
  };
}

/** Linux's boot protocol: boot_params in RSI; 64-bit code with the first 4 GiB mapped one to one, or 32-bit without paging. */
async function startLinux(config: MachineConfig, spool: Spool): Promise<Start> {
  const initrd = config.initrd === undefined ? undefined : sourceOf(config.initrd);
  const { kernel, layout } = await prepareLinux(config.kernel, config.memoryMiB, initrd?.size ?? 0, spool);
  const cmdline = encodeCmdline(config.cmdline);
  return {
    ...layout,
    async build(cpu) {
      await buildLinuxDomain(cpu.memory, {
        kernel,
        layout,
        ...(initrd !== undefined && initrd.size > 0 && { initrd }),
        cmdline,
        rest: () => spool.rest(),
      });
      if (kernel.bits === 64) cpu.enterLongMode(LOW.pageTables);
      else cpu.enterProtectedMode();
      cpu.setFlatSegments({ base: LOW.gdt, limit: GDT_LIMIT }, BOOT_CS, BOOT_DS, kernel.bits);
      cpu.setDevicePages([IO_APIC_ADDRESS / PAGE_BYTES, XAPIC_ADDRESS / PAGE_BYTES]);
      cpu.setRegister("rip", BigInt(kernel.entry));
      cpu.setRegister("rsi", BigInt(LOW.bootParams));
      cpu.setRegister("rsp", BigInt(LOW.gdt));
    },
  };
}

/** By mode. @throws LoadError for a kernel, initrd, memory size or command line that cannot be booted */
export const START: Readonly<Record<HvmMode, (config: MachineConfig, spool: Spool) => Promise<Start>>> = {
  pvh: startPvh,
  hvm: startLinux,
};
