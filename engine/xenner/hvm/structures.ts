/*
 * The structures that hypercalls of an HVM guest are given, field by field: xen/include/public. The widths that depend on
 * the guest's word size are `long`; structures.test.ts compares all of them with the headers.
 */

import type { Fields } from "./guest-structure.ts";

/** struct xen_add_to_physmap */
export const ADD_TO_PHYSMAP: Fields = [
  ["domid", "u16"],
  ["size", "u16"],
  ["space", "u32"],
  ["idx", "long"],
  ["gpfn", "long"],
];

/** struct xen_remove_from_physmap */
export const REMOVE_FROM_PHYSMAP: Fields = [
  ["domid", "u16"],
  ["gpfn", "long"],
];

/** struct xen_memory_map */
export const MEMORY_MAP: Fields = [
  ["nr_entries", "u32"],
  ["buffer", "long"],
];

/** struct xen_memory_reservation */
export const RESERVATION: Fields = [
  ["extent_start", "long"],
  ["nr_extents", "long"],
  ["extent_order", "u32"],
  ["mem_flags", "u32"],
  ["domid", "u16"],
];

/** struct xen_hvm_param */
export const HVM_PARAM: Fields = [
  ["domid", "u16"],
  ["index", "u32"],
  ["value", "u64"],
];

/** struct xen_hvm_evtchn_upcall_vector */
export const UPCALL_VECTOR: Fields = [
  ["vcpu", "u32"],
  ["vector", "u8"],
];

/** struct gnttab_query_size */
export const QUERY_SIZE: Fields = [
  ["dom", "u16"],
  ["nr_frames", "u32"],
  ["max_nr_frames", "u32"],
  ["status", "u16"],
];

/** struct gnttab_setup_table */
export const SETUP_TABLE: Fields = [
  ["dom", "u16"],
  ["nr_frames", "u32"],
  ["status", "u16"],
  ["frame_list", "long"],
];

/** struct gnttab_set_version */
export const SET_VERSION: Fields = [["version", "u32"]];

/** struct gnttab_get_version */
export const GET_VERSION: Fields = [
  ["dom", "u16"],
  ["padding", "u16"],
  ["version", "u32"],
];

/** struct sched_shutdown */
export const SHUTDOWN: Fields = [["reason", "u32"]];

/** struct sched_poll */
export const POLL: Fields = [
  ["ports", "long"],
  ["nr_ports", "u32"],
  ["timeout", "u64"],
];

/** struct vcpu_set_singleshot_timer */
export const SINGLESHOT: Fields = [
  ["timeout_abs_ns", "u64"],
  ["flags", "u32"],
];

/** struct vcpu_set_periodic_timer */
export const PERIODIC: Fields = [["period_ns", "u64"]];

/** struct vcpu_register_vcpu_info */
export const REGISTER_INFO: Fields = [
  ["mfn", "u64"],
  ["offset", "u32"],
  ["rsvd", "u32"],
];

/** struct vcpu_register_time_memory_area */
export const REGISTER_AREA: Fields = [["addr", "u64"]];

/** struct xen_feature_info */
export const FEATURE_INFO: Fields = [
  ["submap_idx", "u32"],
  ["submap", "u32"],
];

/** struct multicall_entry */
export const MULTICALL_ENTRY: Fields = [
  ["op", "long"],
  ["result", "long"],
  ["arg0", "long"],
  ["arg1", "long"],
  ["arg2", "long"],
  ["arg3", "long"],
  ["arg4", "long"],
  ["arg5", "long"],
];
