/* Start of day: from xenner's boot information to the guest kernel's first instruction. */
#include "emu.h"

struct boot_info boot;
struct shared_info *shared_info;
struct vcpu vcpu;

/* PAE, OSFXSR, OSXMMEXCPT: what the guest reads before it writes. */
#define INITIAL_CR4 0x620

static void shared_info_init(void)
{
    shared_info = machine(boot.shared_info);
    fill_memory(shared_info, 0, PAGE_SIZE);
    fill_memory(shared_info->evtchn_mask, 0xff, sizeof(shared_info->evtchn_mask));
    vcpu.info = &shared_info->vcpu_info[0];
    vcpu.info->evtchn_upcall_mask = 1;
}

static void syscall_init(void)
{
    /* SYSCALL enters with emu's selectors, SYSRET leaves with FLAT_RING3_CS64 and FLAT_RING3_SS64. */
    write_msr(MSR_STAR, (u64)FLAT_RING3_CS32 << 48 | (u64)EMU_CS << 32);
    write_msr(MSR_LSTAR, (u64)syscall_entry);
    write_msr(MSR_FMASK, FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_AC);
    /* Not every processor has it (Intel's ignore it): then compatibility-mode SYSCALL is #UD in the guest. */
    write_msr_safe(MSR_CSTAR, (u64)syscall32_entry);
}

/* The initial page tables are made by the domain builder, and are held to the same rules as the guest's. */
static void initial_tables(void)
{
    u64 l4 = boot.initial_l4 >> PAGE_SHIFT;
    if (page_get(l4, PAGE_L4) != 0)
        panic("the initial page tables break the rules for page tables", 0);
    page_info[l4] |= PAGE_PINNED;
    if (load_kernel_l4(l4) != 0)
        panic("the initial L4 cannot be loaded", 0);
}

/* Called once by entry.S on the empty stack; the frame it returns is left by IRETQ. */
struct regs *start_of_day(const struct boot_info *info);
struct regs *start_of_day(const struct boot_info *info)
{
    static struct regs regs;

    copy_memory(&boot, info, sizeof(boot));
    statistics = machine(boot.statistics);
    if (boot.magic != BOOT_INFO_MAGIC || boot.version != ABI_VERSION)
        panic("boot information of another version", 0);

    vcpu.in_kernel = true;
    vcpu.cr4 = INITIAL_CR4;
    descriptors_init();
    syscall_init();
    shared_info_init();
    pages_init();
    grants_init();
    events_init();
    time_init();
    runstate_init();
    initial_tables();

    regs.rip = boot.kernel_entry;
    regs.cs = FLAT_KERNEL_CS;
    regs.rflags = FLAG_IF | 2;
    regs.rsp = boot.initial_stack;
    regs.ss = FLAT_KERNEL_SS;
    regs.rsi = boot.start_info;
    return &regs;
}
