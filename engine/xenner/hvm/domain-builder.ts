import type { PhysicalMemory } from "../../cpu/types.ts";
import type { PvhKernel } from "../../loader/pvh.ts";
import type { ByteSource } from "../../loader/source.ts";
import { acpiTables } from "../../platform/acpi.ts";
import { PLATFORM_PORTS } from "../../platform/pvh-platform.ts";
import { copyInitrd, copySegment } from "../domain-builder.ts";
import type { PvhLayout } from "./layout.ts";
import { encodeHvmStartInfo } from "./start-info.ts";

/** What a PVH domain is built from. */
export interface PvhDomainSpec {
  readonly kernel: PvhKernel;
  readonly layout: PvhLayout;
  readonly initrd?: ByteSource;
  readonly cmdline: Uint8Array;
  /** Called now and then: a moment for other events of the process. */
  readonly rest?: () => Promise<void>;
}

/** Writes kernel, initrd, hvm_start_info and ACPI tables to `memory`, which must be all zero. */
export async function buildPvhDomain(memory: PhysicalMemory, spec: PvhDomainSpec): Promise<void> {
  const { kernel, layout, initrd, cmdline } = spec;
  for (const segment of kernel.segments) await copySegment(memory, spec, segment);
  if (layout.initrd !== undefined && initrd !== undefined) {
    await copyInitrd(memory, initrd, layout.initrd.address);
  }
  memory.write(layout.acpi, acpiTables(layout.acpi, PLATFORM_PORTS));
  const startInfo = encodeHvmStartInfo({
    address: layout.startInfo,
    ...(layout.initrd && { initrd: layout.initrd }),
    cmdline,
    rsdp: layout.acpi,
    memoryMap: layout.memoryMap,
  });
  memory.write(layout.startInfo, startInfo);
}
