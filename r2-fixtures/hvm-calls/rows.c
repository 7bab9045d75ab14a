/* Hypercalls with good and bad arguments, and what Xen answers (xen/include/public, and the functions named in comments). */

#include "guest.h"

#define EPERM 1
#define ENOENT 2
#define ESRCH 3
#define EFAULT 14
#define EEXIST 17
#define EINVAL 22
#define ENOSYS 38
#define ENODATA 61
#define ETIME 62
#define EOPNOTSUPP 95

#define OTHER 5		/* a domain that is not there */
#define DOM0 0
#define BAD_PORT 0x7fffffff

#define BLOCK(type, ...) &(const type){__VA_ARGS__}, sizeof(type)
#define NONE 0, 0

#define VERSION __HYPERVISOR_xen_version
#define MEMORY __HYPERVISOR_memory_op
#define EVENT __HYPERVISOR_event_channel_op
#define SCHED __HYPERVISOR_sched_op
#define VCPU __HYPERVISOR_vcpu_op
#define GRANT __HYPERVISOR_grant_table_op
#define HVM __HYPERVISOR_hvm_op

struct text { char bytes[1280]; };
static const uint32_t ports_bad[1] = {BAD_PORT};
static const uint32_t ports_many[200];

#define EVENT_ROW(what, op, type, result, ...) \
	{"EVTCHNOP_" #op ": " what, EVENT, EVTCHNOP_##op, ARG, 0, BLOCK(type, __VA_ARGS__), result}

const struct row rows[] = {
	{"XENVER_version", VERSION, XENVER_version, 0, 0, NONE, 0x40011},
	{"XENVER_extraversion", VERSION, XENVER_extraversion, ARG, 0, BLOCK(struct text, {0}), 0},
	{"XENVER_compile_info", VERSION, XENVER_compile_info, ARG, 0, BLOCK(struct text, {0}), 0},
	{"XENVER_capabilities", VERSION, XENVER_capabilities, ARG, 0, BLOCK(struct text, {0}), 0},
	{"XENVER_changeset", VERSION, XENVER_changeset, ARG, 0, BLOCK(struct text, {0}), 0},
	{"XENVER_platform_parameters", VERSION, XENVER_platform_parameters, ARG, 0, BLOCK(struct text, {0}), 0},
	{"XENVER_get_features", VERSION, XENVER_get_features, ARG, 0, BLOCK(struct xen_feature_info, .submap_idx = 0), 0},
	{"XENVER_get_features: no such map", VERSION, XENVER_get_features, ARG, 0,
	 BLOCK(struct xen_feature_info, .submap_idx = 7), -EINVAL},
	{"XENVER_pagesize", VERSION, XENVER_pagesize, 0, 0, NONE, 4096},
	{"XENVER_guest_handle", VERSION, XENVER_guest_handle, ARG, 0, BLOCK(struct text, {0}), 0},
	{"XENVER_commandline: dom0's", VERSION, XENVER_commandline, ARG, 0, BLOCK(struct text, {0}), -EPERM},
	{"XENVER_build_id: none", VERSION, XENVER_build_id, 0, 0, NONE, -ENODATA},
	{"xen_version: unknown", VERSION, 99, 0, 0, NONE, -ENOSYS},

	{"XENMEM_maximum_ram_page", MEMORY, XENMEM_maximum_ram_page, 0, 0, NONE, POSITIVE},
	{"XENMEM_maximum_gpfn", MEMORY, XENMEM_maximum_gpfn, 0, 0, NONE, POSITIVE},
	{"XENMEM_current_reservation", MEMORY, XENMEM_current_reservation, ARG, 0, BLOCK(domid_t, DOMID_SELF), POSITIVE},
	{"XENMEM_current_reservation: dom0", MEMORY, XENMEM_current_reservation, ARG, 0, BLOCK(domid_t, DOM0), -EPERM},
	{"XENMEM_maximum_reservation: no domain", MEMORY, XENMEM_maximum_reservation, ARG, 0, BLOCK(domid_t, OTHER), -ESRCH},
	{"XENMEM_add_to_physmap: no domain", MEMORY, XENMEM_add_to_physmap, ARG, 0,
	 BLOCK(struct xen_add_to_physmap, .domid = OTHER, .space = XENMAPSPACE_shared_info, .gpfn = 1), -ESRCH},
	{"XENMEM_add_to_physmap: dom0", MEMORY, XENMEM_add_to_physmap, ARG, 0,
	 BLOCK(struct xen_add_to_physmap, .domid = DOM0, .space = XENMAPSPACE_shared_info, .gpfn = 1), -EPERM},
	{"XENMEM_add_to_physmap: shared_info has one page", MEMORY, XENMEM_add_to_physmap, ARG, 0,
	 BLOCK(struct xen_add_to_physmap, .domid = DOMID_SELF, .space = XENMAPSPACE_shared_info, .idx = 1, .gpfn = 1), -EINVAL},
	{"XENMEM_add_to_physmap: a grant frame too high", MEMORY, XENMEM_add_to_physmap, ARG, 0,
	 BLOCK(struct xen_add_to_physmap, .domid = DOMID_SELF, .space = XENMAPSPACE_grant_table, .idx = 99999, .gpfn = 1), -EINVAL},
	{"XENMEM_remove_from_physmap: no domain", MEMORY, XENMEM_remove_from_physmap, ARG, 0,
	 BLOCK(struct xen_remove_from_physmap, .domid = OTHER, .gpfn = 1), -ESRCH},
	{"XENMEM_remove_from_physmap: nothing there", MEMORY, XENMEM_remove_from_physmap, ARG, 0,
	 BLOCK(struct xen_remove_from_physmap, .domid = DOMID_SELF, .gpfn = 0x7fffff), -ENOENT},
	/* do_memory_op: what is wrong before the first extent is no error, but none done. */
	{"XENMEM_populate_physmap: no domain", MEMORY, XENMEM_populate_physmap, ARG, 0,
	 BLOCK(struct xen_memory_reservation, .nr_extents = 1, .domid = OTHER), 0},
	{"XENMEM_decrease_reservation: dom0", MEMORY, XENMEM_decrease_reservation, ARG, 0,
	 BLOCK(struct xen_memory_reservation, .nr_extents = 1, .domid = DOM0), 0},
	{"memory_op: unknown", MEMORY, 63, 0, 0, NONE, -ENOSYS},

	EVENT_ROW("no domain", alloc_unbound, struct evtchn_alloc_unbound, -ESRCH, .dom = OTHER),
	EVENT_ROW("dom0's", alloc_unbound, struct evtchn_alloc_unbound, -EPERM, .dom = DOM0),
	EVENT_ROW("no domain", bind_interdomain, struct evtchn_bind_interdomain, -ESRCH, .remote_dom = OTHER, .remote_port = 1),
	EVENT_ROW("no port", bind_interdomain, struct evtchn_bind_interdomain, -EINVAL, .remote_dom = DOMID_SELF, .remote_port = BAD_PORT),
	EVENT_ROW("no VIRQ", bind_virq, struct evtchn_bind_virq, -EINVAL, .virq = 99),
	EVENT_ROW("no processor", bind_virq, struct evtchn_bind_virq, -ENOENT, .virq = VIRQ_TIMER, .vcpu = 9),
	EVENT_ROW("no processor", bind_ipi, struct evtchn_bind_ipi, -ENOENT, .vcpu = 9),
	EVENT_ROW("no port", close, struct evtchn_close, -EINVAL, .port = BAD_PORT),
	EVENT_ROW("port 0", close, struct evtchn_close, -EINVAL, .port = 0),
	EVENT_ROW("no port", send, struct evtchn_send, -EINVAL, .port = BAD_PORT),
	EVENT_ROW("no domain", status, struct evtchn_status, -ESRCH, .dom = OTHER, .port = 1),
	EVENT_ROW("dom0's", status, struct evtchn_status, -EPERM, .dom = DOM0, .port = 1),
	EVENT_ROW("no port", status, struct evtchn_status, -EINVAL, .dom = DOMID_SELF, .port = BAD_PORT),
	EVENT_ROW("a port", status, struct evtchn_status, 0, .dom = DOMID_SELF, .port = 1),
	EVENT_ROW("no port", bind_vcpu, struct evtchn_bind_vcpu, -EINVAL, .port = BAD_PORT),
	EVENT_ROW("no processor", bind_vcpu, struct evtchn_bind_vcpu, -ENOENT, .port = 1, .vcpu = 9),
	EVENT_ROW("no port", unmask, struct evtchn_unmask, -EINVAL, .port = BAD_PORT),
	EVENT_ROW("a port that is not masked", unmask, struct evtchn_unmask, 0, .port = 1),
	EVENT_ROW("no domain", reset, struct evtchn_reset, -ESRCH, .dom = OTHER),
	EVENT_ROW("dom0", reset, struct evtchn_reset, -EPERM, .dom = DOM0),
	EVENT_ROW("no processor", init_control, struct evtchn_init_control, -ENOENT, .vcpu = 9),
	EVENT_ROW("beyond the page", init_control, struct evtchn_init_control, -EINVAL, .offset = 4032),
	EVENT_ROW("not aligned", init_control, struct evtchn_init_control, -EINVAL, .offset = 4),
	EVENT_ROW("no FIFO queues yet", expand_array, struct evtchn_expand_array, -EOPNOTSUPP, .array_gfn = 1),
	EVENT_ROW("no port", set_priority, struct evtchn_set_priority, -EINVAL, .port = BAD_PORT),
	{"event_channel_op: unknown", EVENT, 99, ARG, 0, NONE, -ENOSYS},

	{"SCHEDOP_yield", SCHED, SCHEDOP_yield, 0, 0, NONE, 0},
	{"SCHEDOP_poll: too many ports", SCHED, SCHEDOP_poll, ARG, 0,
	 BLOCK(struct sched_poll, .ports = {(evtchn_port_t *)ports_many}, .nr_ports = 200, .timeout = 1), -EINVAL},
	{"SCHEDOP_poll: no port", SCHED, SCHEDOP_poll, ARG, 0,
	 BLOCK(struct sched_poll, .ports = {(evtchn_port_t *)ports_bad}, .nr_ports = 1, .timeout = 1), -EINVAL},
	{"sched_op: unknown", SCHED, 99, 0, 0, NONE, -ENOSYS},

	{"VCPUOP_initialise: it is", VCPU, VCPUOP_initialise, 0, 0, NONE, -EEXIST},
	{"VCPUOP_up: it is", VCPU, VCPUOP_up, 0, 0, NONE, 0},
	{"VCPUOP_is_up", VCPU, VCPUOP_is_up, 0, 0, NONE, 1},
	{"VCPUOP_is_up: no processor", VCPU, VCPUOP_is_up, 9, 0, NONE, -ENOENT},
	{"VCPUOP_get_runstate_info", VCPU, VCPUOP_get_runstate_info, 0, ARG, BLOCK(struct vcpu_runstate_info, .state = 0), 0},
	{"VCPUOP_set_periodic_timer: too fast", VCPU, VCPUOP_set_periodic_timer, 0, ARG,
	 BLOCK(struct vcpu_set_periodic_timer, .period_ns = 5), -EINVAL},
	{"VCPUOP_stop_periodic_timer", VCPU, VCPUOP_stop_periodic_timer, 0, 0, NONE, 0},
	{"VCPUOP_set_singleshot_timer: too late", VCPU, VCPUOP_set_singleshot_timer, 0, ARG,
	 BLOCK(struct vcpu_set_singleshot_timer, .timeout_abs_ns = 1, .flags = VCPU_SSHOTTMR_future), -ETIME},
	{"VCPUOP_stop_singleshot_timer", VCPU, VCPUOP_stop_singleshot_timer, 0, 0, NONE, 0},
	{"VCPUOP_register_vcpu_info: beyond the page", VCPU, VCPUOP_register_vcpu_info, 0, ARG,
	 BLOCK(struct vcpu_register_vcpu_info, .mfn = 0x300, .offset = 4090), -EINVAL},
	{"VCPUOP_register_vcpu_info: no page", VCPU, VCPUOP_register_vcpu_info, 0, ARG,
	 BLOCK(struct vcpu_register_vcpu_info, .mfn = 0xffffff), -EINVAL},
	{"vcpu_op: unknown", VCPU, 99, 0, 0, NONE, -ENOSYS},

	{"GNTTABOP_query_size", GRANT, GNTTABOP_query_size, ARG, 1, BLOCK(struct gnttab_query_size, .dom = DOMID_SELF), 0},
	{"GNTTABOP_query_size: two at once", GRANT, GNTTABOP_query_size, ARG, 2,
	 BLOCK(struct gnttab_query_size, .dom = DOMID_SELF), -EINVAL},
	{"GNTTABOP_get_version", GRANT, GNTTABOP_get_version, ARG, 1, BLOCK(struct gnttab_get_version, .dom = DOMID_SELF), 0},
	{"GNTTABOP_get_version: no domain", GRANT, GNTTABOP_get_version, ARG, 1, BLOCK(struct gnttab_get_version, .dom = OTHER), -ESRCH},
	{"GNTTABOP_set_version: none such", GRANT, GNTTABOP_set_version, ARG, 1, BLOCK(struct gnttab_set_version, .version = 3), -EINVAL},
	{"grant_table_op: unknown", GRANT, 99, ARG, 1, NONE, -ENOSYS},

	{"HVMOP_get_param: the console's port", HVM, HVMOP_get_param, ARG, 0,
	 BLOCK(struct xen_hvm_param, .domid = DOMID_SELF, .index = HVM_PARAM_CONSOLE_EVTCHN), 0},
	{"HVMOP_get_param: no domain", HVM, HVMOP_get_param, ARG, 0,
	 BLOCK(struct xen_hvm_param, .domid = OTHER, .index = HVM_PARAM_CONSOLE_EVTCHN), -ESRCH},
	{"HVMOP_get_param: dom0's", HVM, HVMOP_get_param, ARG, 0,
	 BLOCK(struct xen_hvm_param, .domid = DOM0, .index = HVM_PARAM_CONSOLE_EVTCHN), -EPERM},
	{"HVMOP_get_param: no such", HVM, HVMOP_get_param, ARG, 0,
	 BLOCK(struct xen_hvm_param, .domid = DOMID_SELF, .index = 999), -EINVAL},
	{"HVMOP_set_param: the toolstack's", HVM, HVMOP_set_param, ARG, 0,
	 BLOCK(struct xen_hvm_param, .domid = DOMID_SELF, .index = HVM_PARAM_STORE_PFN, .value = 1), -EPERM},
	{"HVMOP_flush_tlbs", HVM, HVMOP_flush_tlbs, 0, 0, NONE, 0},
	{"HVMOP_flush_tlbs: of what?", HVM, HVMOP_flush_tlbs, 4096, 0, NONE, -EINVAL},
	{"HVMOP_set_evtchn_upcall_vector: an exception's", HVM, HVMOP_set_evtchn_upcall_vector, ARG, 0,
	 BLOCK(struct xen_hvm_evtchn_upcall_vector, .vcpu = 0, .vector = 3), -EINVAL},
	{"HVMOP_set_evtchn_upcall_vector: no processor", HVM, HVMOP_set_evtchn_upcall_vector, ARG, 0,
	 BLOCK(struct xen_hvm_evtchn_upcall_vector, .vcpu = 9, .vector = 0x40), -ENOENT},
	{"hvm_op: unknown", HVM, 99, 0, 0, NONE, -ENOSYS},

	{"set_timer_op: none", __HYPERVISOR_set_timer_op, 0, 0, 0, NONE, 0},
	{"CONSOLEIO_read: dom0's", __HYPERVISOR_console_io, CONSOLEIO_read, 1, ARG, BLOCK(uint32_t, 0), -EPERM},
	{"multicall: none", __HYPERVISOR_multicall, ARG, 0, 0, BLOCK(uint32_t, 0), 0},
};
const unsigned long row_count = sizeof(rows) / sizeof(rows[0]);

const struct pointer_call pointer_calls[] = {
	{VERSION, XENVER_extraversion, 2, 16, -EFAULT},
	{VERSION, XENVER_compile_info, 2, 144, -EFAULT},
	{VERSION, XENVER_capabilities, 2, 1024, -EFAULT},
	{VERSION, XENVER_changeset, 2, 64, -EFAULT},
	{VERSION, XENVER_platform_parameters, 2, sizeof(long), -EFAULT},
	{VERSION, XENVER_get_features, 2, 8, -EFAULT},
	{VERSION, XENVER_guest_handle, 2, 16, -EFAULT},
	{MEMORY, XENMEM_current_reservation, 2, sizeof(domid_t), -EFAULT},
	{MEMORY, XENMEM_maximum_reservation, 2, sizeof(domid_t), -EFAULT},
	{MEMORY, XENMEM_populate_physmap, 2, sizeof(struct xen_memory_reservation), 0},
	{MEMORY, XENMEM_decrease_reservation, 2, sizeof(struct xen_memory_reservation), 0},
	{MEMORY, XENMEM_add_to_physmap, 2, sizeof(struct xen_add_to_physmap), -EFAULT},
	{MEMORY, XENMEM_remove_from_physmap, 2, sizeof(struct xen_remove_from_physmap), -EFAULT},
	{MEMORY, XENMEM_memory_map, 2, sizeof(struct xen_memory_map), -EFAULT},
	{EVENT, EVTCHNOP_alloc_unbound, 2, sizeof(struct evtchn_alloc_unbound), -EFAULT},
	{EVENT, EVTCHNOP_bind_interdomain, 2, sizeof(struct evtchn_bind_interdomain), -EFAULT},
	{EVENT, EVTCHNOP_bind_virq, 2, sizeof(struct evtchn_bind_virq), -EFAULT},
	{EVENT, EVTCHNOP_bind_ipi, 2, sizeof(struct evtchn_bind_ipi), -EFAULT},
	{EVENT, EVTCHNOP_close, 2, sizeof(struct evtchn_close), -EFAULT},
	{EVENT, EVTCHNOP_send, 2, sizeof(struct evtchn_send), -EFAULT},
	{EVENT, EVTCHNOP_status, 2, sizeof(struct evtchn_status), -EFAULT},
	{EVENT, EVTCHNOP_bind_vcpu, 2, sizeof(struct evtchn_bind_vcpu), -EFAULT},
	{EVENT, EVTCHNOP_unmask, 2, sizeof(struct evtchn_unmask), -EFAULT},
	{EVENT, EVTCHNOP_reset, 2, sizeof(struct evtchn_reset), -EFAULT},
	{EVENT, EVTCHNOP_init_control, 2, sizeof(struct evtchn_init_control), -EFAULT},
	{EVENT, EVTCHNOP_expand_array, 2, sizeof(struct evtchn_expand_array), -EFAULT},
	{EVENT, EVTCHNOP_set_priority, 2, sizeof(struct evtchn_set_priority), -EFAULT},
	{SCHED, SCHEDOP_shutdown, 2, sizeof(struct sched_shutdown), -EFAULT},
	{SCHED, SCHEDOP_poll, 2, sizeof(struct sched_poll), -EFAULT},
	{VCPU, VCPUOP_get_runstate_info, 3, sizeof(struct vcpu_runstate_info), -EFAULT},
	{VCPU, VCPUOP_register_runstate_memory_area, 3, 8, -EFAULT},
	{VCPU, VCPUOP_set_periodic_timer, 3, 8, -EFAULT},
	{VCPU, VCPUOP_set_singleshot_timer, 3, sizeof(struct vcpu_set_singleshot_timer), -EFAULT},
	{VCPU, VCPUOP_register_vcpu_info, 3, sizeof(struct vcpu_register_vcpu_info), -EFAULT},
	{VCPU, VCPUOP_register_vcpu_time_memory_area, 3, 8, -EFAULT},
	{GRANT, GNTTABOP_setup_table, 2, sizeof(struct gnttab_setup_table), -EFAULT},
	{GRANT, GNTTABOP_query_size, 2, sizeof(struct gnttab_query_size), -EFAULT},
	{GRANT, GNTTABOP_set_version, 2, 4, -EFAULT},
	{GRANT, GNTTABOP_get_version, 2, sizeof(struct gnttab_get_version), -EFAULT},
	{HVM, HVMOP_set_param, 2, sizeof(struct xen_hvm_param), -EFAULT},
	{HVM, HVMOP_get_param, 2, sizeof(struct xen_hvm_param), -EFAULT},
	{HVM, HVMOP_set_evtchn_upcall_vector, 2, sizeof(struct xen_hvm_evtchn_upcall_vector), -EFAULT},
	{__HYPERVISOR_multicall, 0, 1, sizeof(struct multicall_entry), -EFAULT},
};
const unsigned long pointer_call_count = sizeof(pointer_calls) / sizeof(pointer_calls[0]);

const unsigned char offered[] = {MEMORY, __HYPERVISOR_multicall, __HYPERVISOR_set_timer_op, VERSION,
				 __HYPERVISOR_console_io, GRANT, VCPU, SCHED, EVENT, HVM};
const unsigned long offered_count = sizeof(offered);
