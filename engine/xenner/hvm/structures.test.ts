/*
 * The layouts of everything that a PVH guest and xenner hand each other are those of Xen's public headers, for 64- and
 * for 32-bit guests. The C compiler says where each field is; without it and libxen-dev this is skipped.
 */
import { describe, expect, test } from "vitest";
import { SIGNATURE, XEN_CPUID_BASE } from "./cpuid.ts";
import { EVTCHNOP, EVTCHNOP_BYTES } from "./event-channels.ts";
import { type Fields, layOut } from "./guest-structure.ts";
import { NARROW, WIDE } from "./shared-info.ts";
import { encodeHvmStartInfo, MEMMAP_TYPES } from "./start-info.ts";
import * as structures from "./structures.ts";
import { canAskCompiler, constants } from "./testing/offsets.ts";

const BYTES = { u8: 1, u16: 2, u32: 4, u64: 8 };

/** Our name of a structure, C's, and C's names of fields where they are others. */
const STRUCTURES: readonly (readonly [string, Fields, string, Readonly<Record<string, string>>?])[] = [
  ["ADD_TO_PHYSMAP", structures.ADD_TO_PHYSMAP, "struct xen_add_to_physmap"],
  ["REMOVE_FROM_PHYSMAP", structures.REMOVE_FROM_PHYSMAP, "struct xen_remove_from_physmap"],
  ["MEMORY_MAP", structures.MEMORY_MAP, "struct xen_memory_map"],
  ["RESERVATION", structures.RESERVATION, "struct xen_memory_reservation"],
  ["HVM_PARAM", structures.HVM_PARAM, "struct xen_hvm_param"],
  ["UPCALL_VECTOR", structures.UPCALL_VECTOR, "struct xen_hvm_evtchn_upcall_vector"],
  ["QUERY_SIZE", structures.QUERY_SIZE, "struct gnttab_query_size"],
  ["SETUP_TABLE", structures.SETUP_TABLE, "struct gnttab_setup_table"],
  ["SET_VERSION", structures.SET_VERSION, "struct gnttab_set_version"],
  ["GET_VERSION", structures.GET_VERSION, "struct gnttab_get_version", { padding: "pad" }],
  ["SHUTDOWN", structures.SHUTDOWN, "struct sched_shutdown"],
  ["POLL", structures.POLL, "struct sched_poll"],
  ["SINGLESHOT", structures.SINGLESHOT, "struct vcpu_set_singleshot_timer"],
  ["PERIODIC", structures.PERIODIC, "struct vcpu_set_periodic_timer"],
  ["REGISTER_INFO", structures.REGISTER_INFO, "struct vcpu_register_vcpu_info"],
  ["REGISTER_AREA", structures.REGISTER_AREA, "struct vcpu_register_time_memory_area", { addr: "addr.p" }],
  ["FEATURE_INFO", structures.FEATURE_INFO, "struct xen_feature_info"],
  ["MULTICALL_ENTRY", structures.MULTICALL_ENTRY, "struct multicall_entry"],
];

/** C's name of a field of ours. */
function memberOf(name: string, names: Readonly<Record<string, string>> = {}): string {
  return names[name] ?? name.replace(/^arg(\d)$/, "args[$1]");
}

describe.skipIf(!canAskCompiler())("as in Xen's headers", () => {
  describe.each([64, 32] as const)("for %d-bit guests", (bits) => {
    test.each(STRUCTURES.map(([name, ...rest]) => ({ name, rest })))("$name", ({ rest }) => {
      const [fields, type, names] = rest;
      const { places } = layOut(fields, bits === 64);
      const members = fields.map(([name]) => memberOf(name, names));
      const asked = constants(
        members.flatMap((m) => [`offsetof(${type}, ${m})`, `sizeof(((${type} *)0)->${m})`]),
        bits,
      );
      for (const [i, [name, type]] of fields.entries()) {
        const { offset, bytes } = places.get(name)!;
        expect([name, BigInt(offset)]).toEqual([name, asked[i * 2]]);
        // get_version's padding and the time area's union are not read as a whole.
        if (name !== "padding") expect([name, BigInt(bytes)]).toEqual([name, asked[i * 2 + 1]]);
        if (type !== "long") expect(bytes).toBe(BYTES[type]);
      }
    });

    test("no structure is read beyond its end", () => {
      const sizes = constants(
        STRUCTURES.map(([, , type]) => `sizeof(${type})`),
        bits,
      );
      for (const [i, [name, fields]] of STRUCTURES.entries())
        expect([name, BigInt(layOut(fields, bits === 64).bytes) <= sizes[i]!]).toEqual([name, true]);
    });

    test("shared_info and vcpu_info", () => {
      const offsets = bits === 64 ? WIDE : NARROW;
      expect(
        constants(
          [
            "sizeof(xen_ulong_t)",
            "offsetof(struct vcpu_info, evtchn_pending_sel)",
            "offsetof(struct shared_info, evtchn_pending)",
            "offsetof(struct shared_info, evtchn_mask)",
            "offsetof(struct shared_info, wc_version)",
            "offsetof(struct vcpu_info, evtchn_upcall_pending)",
            "offsetof(struct vcpu_info, evtchn_upcall_mask)",
            "offsetof(struct vcpu_info, time)",
            "offsetof(struct vcpu_time_info, tsc_to_system_mul)",
            "offsetof(struct vcpu_time_info, flags)",
            "sizeof(struct vcpu_info)",
          ],
          bits,
        ).map(Number),
      ).toEqual([
        offsets.word,
        offsets.pendingSel,
        offsets.pending,
        offsets.mask,
        offsets.wallclock,
        0,
        1,
        32,
        24,
        29,
        64,
      ]);
    });

    test("arguments of event channel operations", () => {
      const names = Object.entries(EVTCHNOP).filter(([, op]) => EVTCHNOP_BYTES[op] !== undefined);
      const sizes = constants(
        names.map(([name]) => `sizeof(struct evtchn_${name})`),
        bits,
      );
      expect(names.map(([, op]) => EVTCHNOP_BYTES[op])).toEqual(sizes.map(Number));
      const numbers = constants(
        Object.keys(EVTCHNOP).map((name) => `EVTCHNOP_${name}`),
        bits,
      );
      expect(Object.values(EVTCHNOP)).toEqual(numbers.map(Number));
    });
  });

  test("hvm_start_info, its module list and its memory map", () => {
    const address = 0x123000;
    const initrd = { address: 0x400000, bytes: 777 };
    const bytes = encodeHvmStartInfo({
      address,
      initrd,
      cmdline: new TextEncoder().encode("console=hvc0"),
      rsdp: 0x999040,
      memoryMap: [
        { address: 0, size: 0x8000000, type: MEMMAP_TYPES.RAM },
        { address: 0x8000000, size: 0x1000, type: MEMMAP_TYPES.ACPI },
      ],
    });
    const view = new DataView(bytes.buffer);
    const info = (name: string): readonly string[] => [
      `offsetof(struct hvm_start_info, ${name})`,
      `sizeof(((struct hvm_start_info *)0)->${name})`,
    ];
    const read = (offset: bigint, size: bigint, base = 0): bigint =>
      size === 4n
        ? BigInt(view.getUint32(base + Number(offset), true))
        : view.getBigUint64(base + Number(offset), true);
    const names = [
      "magic",
      "version",
      "flags",
      "nr_modules",
      "modlist_paddr",
      "cmdline_paddr",
      "rsdp_paddr",
      "memmap_paddr",
      "memmap_entries",
      "reserved",
    ];
    const asked = constants(names.flatMap(info), 64);
    const field = (name: string): bigint => {
      const i = names.indexOf(name) * 2;
      return read(asked[i]!, asked[i + 1]!);
    };
    const [magic, moduleBytes, entryBytes, entrySize, entryType, moduleSize, ram, acpi] = constants(
      [
        "XEN_HVM_START_MAGIC_VALUE",
        "sizeof(struct hvm_modlist_entry)",
        "sizeof(struct hvm_memmap_table_entry)",
        "offsetof(struct hvm_memmap_table_entry, size)",
        "offsetof(struct hvm_memmap_table_entry, type)",
        "offsetof(struct hvm_modlist_entry, size)",
        "XEN_HVM_MEMMAP_TYPE_RAM",
        "XEN_HVM_MEMMAP_TYPE_ACPI",
      ],
      64,
    );
    expect(field("magic")).toBe(magic);
    expect([field("version"), field("flags"), field("reserved")]).toEqual([1n, 0n, 0n]);
    expect(field("nr_modules")).toBe(1n);
    expect(field("rsdp_paddr")).toBe(0x999040n);
    const module = Number(field("modlist_paddr")) - address;
    expect(read(0n, 8n, module)).toBe(0x400000n);
    expect(read(moduleSize!, 8n, module)).toBe(777n);
    const text = Number(field("cmdline_paddr")) - address;
    expect(new TextDecoder().decode(bytes.subarray(text))).toBe("console=hvc0\0");
    expect(field("memmap_entries")).toBe(2n);
    const map = Number(field("memmap_paddr")) - address;
    expect(map).toBe(module + Number(moduleBytes));
    expect([read(0n, 8n, map), read(entrySize!, 8n, map), read(entryType!, 4n, map)]).toEqual([
      0n,
      0x8000000n,
      ram,
    ]);
    const second = map + Number(entryBytes);
    expect([read(0n, 8n, second), read(entryType!, 4n, second)]).toEqual([0x8000000n, acpi]);
  });

  test("the signature in CPUID", () => {
    expect(
      constants(
        [
          "XEN_CPUID_FIRST_LEAF",
          "XEN_CPUID_SIGNATURE_EBX",
          "XEN_CPUID_SIGNATURE_ECX",
          "XEN_CPUID_SIGNATURE_EDX",
        ],
        64,
      ).map(Number),
    ).toEqual([XEN_CPUID_BASE, SIGNATURE.ebx, SIGNATURE.ecx, SIGNATURE.edx]);
  });
});
