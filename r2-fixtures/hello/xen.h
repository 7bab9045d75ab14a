/* Numbers of Xen's public interface that hello uses (xen/include/public), and its way of making hypercalls. */

#define HYPERVISOR_set_trap_table 0
#define HYPERVISOR_mmu_update 1
#define HYPERVISOR_stack_switch 3
#define HYPERVISOR_set_debugreg 8
#define HYPERVISOR_get_debugreg 9
#define HYPERVISOR_multicall 13
#define HYPERVISOR_update_va_mapping 14
#define HYPERVISOR_xen_version 17
#define HYPERVISOR_console_io 18
#define HYPERVISOR_vm_assist 21
#define HYPERVISOR_iret 23
#define HYPERVISOR_vcpu_op 24
#define HYPERVISOR_mmuext_op 26
#define HYPERVISOR_sched_op 29
#define HYPERVISOR_callback_op 30
#define HYPERVISOR_event_channel_op 32
#define HYPERVISOR_unknown 63

#define XENVER_version 0
#define XENVER_get_features 6
#define CONSOLEIO_write 0
#define VMASST_CMD_enable 0
#define VMASST_TYPE_writable_pagetables 2
#define VCPUOP_set_singleshot_timer 8
#define SCHEDOP_block 1
#define SCHEDOP_shutdown 2
#define SHUTDOWN_poweroff 0
#define SHUTDOWN_crash 3
#define CALLBACKOP_register 0
#define CALLBACKTYPE_event 0
#define CALLBACKTYPE_failsafe 1
#define CALLBACKTYPE_syscall 2
#define EVTCHNOP_bind_virq 1
#define EVTCHNOP_send 4
#define EVTCHNOP_unmask 9
#define VIRQ_TIMER 0
#define MMUEXT_PIN_L4_TABLE 3
#define MMUEXT_NEW_USER_BASEPTR 15
#define UVMF_INVLPG 2
#define DOMID_SELF 0x7ff0

#define EFAULT 14
#define EINVAL 22
#define ENOSYS 38

/* struct start_info */
#define SI_SHARED_INFO 40
#define SI_STORE_MFN 56
#define SI_STORE_EVTCHN 64
#define SI_CONSOLE_MFN 72
#define SI_CONSOLE_EVTCHN 80
#define SI_PT_BASE 88

/* struct shared_info; vcpu_info[0] is at its start */
#define SHI_UPCALL_PENDING 0
#define SHI_UPCALL_MASK 1
#define SHI_PENDING_SEL 8
#define SHI_TSC_TO_SYSTEM_MUL 56
#define SHI_TSC_SHIFT 60
#define SHI_EVTCHN_PENDING 2048
#define SHI_EVTCHN_MASK 2560

/* struct xencons_interface */
#define CONS_OUT 1024
#define CONS_OUT_PROD 3084
#define CONS_OUT_BYTES 2048

/* struct xenstore_domain_interface */
#define XS_REQ 0
#define XS_RSP 1024
#define XS_REQ_PROD 2052
#define XS_RSP_CONS 2056
#define XS_RSP_PROD 2060
#define XS_READ 2

#define FLAT_KERNEL_SS 0xe02b
#define FLAT_USER_CS 0xe033
#define FLAT_USER_SS 0xe02b
