/**
 * Names of the hypercalls and their sub-operations: xen/include/public/xen.h and its neighbours, Xen 4.17.
 *
 * The table also fixes the rows in which emu counts hypercalls (see STATISTICS_ROWS in abi.ts): one row for each
 * named sub-operation in the order given here, and one for all unknown sub-operations of that hypercall.
 */

/** How the sub-operation of a call is found. */
export type SubopSource =
  /** None: the hypercall does one thing. */
  | "none"
  /** The first argument, after `mask`. */
  | "arg1"
  /** The third argument (update_va_mapping's flags), after `mask`. */
  | "arg3"
  /** A batch: each request names its own (mmu_update, mmuext_op), and each request counts as one call. */
  | "request";

export interface HypercallName {
  readonly number: number;
  readonly name: string;
  readonly source: SubopSource;
  /** Bits of the argument that select the sub-operation. */
  readonly mask: number;
  /** Sub-operation number and name, ascending by number. */
  readonly subops: readonly (readonly [number, string])[];
}

/** Numbers a list of names from zero; null leaves a gap. */
function numbered(prefix: string, names: readonly (string | null)[]): (readonly [number, string])[] {
  const out: (readonly [number, string])[] = [];
  for (const [number, name] of names.entries()) if (name !== null) out.push([number, prefix + name]);
  return out;
}

function plain(number: number, name: string): HypercallName {
  return { number, name, source: "none", mask: 0, subops: [] };
}

function withSubops(
  number: number,
  name: string,
  subops: readonly (readonly [number, string])[],
  source: SubopSource = "arg1",
  mask = 0xff,
): HypercallName {
  return { number, name, source, mask, subops };
}

/** Every hypercall of the public interface, ascending by number. */
export const HYPERCALLS: readonly HypercallName[] = [
  plain(0, "set_trap_table"),
  withSubops(
    1,
    "mmu_update",
    numbered("MMU_", [
      "NORMAL_PT_UPDATE",
      "MACHPHYS_UPDATE",
      "PT_UPDATE_PRESERVE_AD",
      "PT_UPDATE_NO_TRANSLATE",
    ]),
    "request",
    3,
  ),
  plain(2, "set_gdt"),
  plain(3, "stack_switch"),
  plain(4, "set_callbacks"),
  plain(5, "fpu_taskswitch"),
  plain(6, "sched_op_compat"),
  plain(7, "platform_op"),
  plain(8, "set_debugreg"),
  plain(9, "get_debugreg"),
  plain(10, "update_descriptor"),
  withSubops(
    12,
    "memory_op",
    numbered("XENMEM_", [
      "increase_reservation",
      "decrease_reservation",
      "maximum_ram_page",
      "current_reservation",
      "maximum_reservation",
      "machphys_mfn_list",
      "populate_physmap",
      "add_to_physmap",
      null,
      "memory_map",
      "machine_memory_map",
      "exchange",
      "machphys_mapping",
      "set_memory_map",
      "maximum_gpfn",
      "remove_from_physmap",
    ]),
    "arg1",
    0x3f,
  ),
  plain(13, "multicall"),
  withSubops(
    14,
    "update_va_mapping",
    [
      [0, "UVMF_NONE"],
      [1, "UVMF_TLB_FLUSH"],
      [2, "UVMF_INVLPG"],
      [5, "UVMF_TLB_FLUSH|UVMF_ALL"],
      [6, "UVMF_INVLPG|UVMF_ALL"],
    ],
    "arg3",
    7,
  ),
  plain(15, "set_timer_op"),
  plain(16, "event_channel_op_compat"),
  withSubops(
    17,
    "xen_version",
    numbered("XENVER_", [
      "version",
      "extraversion",
      "compile_info",
      "capabilities",
      "changeset",
      "platform_parameters",
      "get_features",
      "pagesize",
      "guest_handle",
      "commandline",
      "build_id",
    ]),
  ),
  withSubops(18, "console_io", numbered("CONSOLEIO_", ["write", "read"])),
  plain(19, "physdev_op_compat"),
  withSubops(
    20,
    "grant_table_op",
    numbered("GNTTABOP_", [
      "map_grant_ref",
      "unmap_grant_ref",
      "setup_table",
      "dump_table",
      "transfer",
      "copy",
      "query_size",
      "unmap_and_replace",
      "set_version",
      "get_status_frames",
      "get_version",
      "swap_grant_ref",
      "cache_flush",
    ]),
  ),
  withSubops(21, "vm_assist", numbered("VMASST_CMD_", ["enable", "disable"])),
  plain(22, "update_va_mapping_otherdomain"),
  plain(23, "iret"),
  withSubops(
    24,
    "vcpu_op",
    numbered("VCPUOP_", [
      "initialise",
      "up",
      "down",
      "is_up",
      "get_runstate_info",
      "register_runstate_memory_area",
      "set_periodic_timer",
      "stop_periodic_timer",
      "set_singleshot_timer",
      "stop_singleshot_timer",
      "register_vcpu_info",
      "send_nmi",
      "get_physid",
      "register_vcpu_time_memory_area",
    ]),
  ),
  withSubops(25, "set_segment_base", numbered("SEGBASE_", ["FS", "GS_USER", "GS_KERNEL", "GS_USER_SEL"])),
  withSubops(
    26,
    "mmuext_op",
    numbered("MMUEXT_", [
      "PIN_L1_TABLE",
      "PIN_L2_TABLE",
      "PIN_L3_TABLE",
      "PIN_L4_TABLE",
      "UNPIN_TABLE",
      "NEW_BASEPTR",
      "TLB_FLUSH_LOCAL",
      "INVLPG_LOCAL",
      "TLB_FLUSH_MULTI",
      "INVLPG_MULTI",
      "TLB_FLUSH_ALL",
      "INVLPG_ALL",
      "FLUSH_CACHE",
      "SET_LDT",
      null,
      "NEW_USER_BASEPTR",
      "CLEAR_PAGE",
      "COPY_PAGE",
      "FLUSH_CACHE_GLOBAL",
      "MARK_SUPER",
      "UNMARK_SUPER",
    ]),
    "request",
    0xff,
  ),
  plain(27, "xsm_op"),
  withSubops(28, "nmi_op", numbered("XENNMI_", ["register_callback", "unregister_callback"])),
  withSubops(
    29,
    "sched_op",
    numbered("SCHEDOP_", [
      "yield",
      "block",
      "shutdown",
      "poll",
      "remote_shutdown",
      "shutdown_code",
      "watchdog",
      "pin_override",
    ]),
  ),
  withSubops(30, "callback_op", numbered("CALLBACKOP_", ["register", "unregister"])),
  plain(31, "xenoprof_op"),
  withSubops(
    32,
    "event_channel_op",
    numbered("EVTCHNOP_", [
      "bind_interdomain",
      "bind_virq",
      "bind_pirq",
      "close",
      "send",
      "status",
      "alloc_unbound",
      "bind_ipi",
      "bind_vcpu",
      "unmask",
      "reset",
      "init_control",
      "expand_array",
      "set_priority",
      "reset_cont",
    ]),
  ),
  withSubops(33, "physdev_op", [
    [5, "PHYSDEVOP_irq_status_query"],
    [6, "PHYSDEVOP_set_iopl"],
    [7, "PHYSDEVOP_set_iobitmap"],
    [8, "PHYSDEVOP_apic_read"],
    [9, "PHYSDEVOP_apic_write"],
    [10, "PHYSDEVOP_alloc_irq_vector"],
    [12, "PHYSDEVOP_eoi"],
    [13, "PHYSDEVOP_map_pirq"],
    [14, "PHYSDEVOP_unmap_pirq"],
    [17, "PHYSDEVOP_pirq_eoi_gmfn_v1"],
    [23, "PHYSDEVOP_get_free_pirq"],
    [28, "PHYSDEVOP_pirq_eoi_gmfn_v2"],
  ]),
  withSubops(34, "hvm_op", numbered("HVMOP_", ["set_param", "get_param"])),
  plain(35, "sysctl"),
  plain(36, "domctl"),
  plain(37, "kexec_op"),
  plain(38, "tmem_op"),
  plain(39, "argo_op"),
  withSubops(
    40,
    "xenpmu_op",
    numbered("XENPMU_", [
      "mode_get",
      "mode_set",
      "feature_get",
      "feature_set",
      "init",
      "finish",
      "lvtpc_set",
      "flush",
    ]),
  ),
  plain(41, "dm_op"),
  plain(42, "hypfs_op"),
];
