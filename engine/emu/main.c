/* Start of day: from xenner's boot information to the guest kernel's first instruction. */
#include "emu.h"

struct boot_info boot;
struct shared_info *shared_info;
struct vcpu vcpu;

#include "start.h"

static void shared_info_init(void)
{
    shared_info = machine(boot.shared_info);
    fill_memory(shared_info, 0, PAGE_SIZE);
    fill_memory(shared_info->evtchn_mask, 0xff, sizeof(shared_info->evtchn_mask));
    vcpu.info = &shared_info->vcpu_info[0];
    vcpu.info->evtchn_upcall_mask = 1;
}

/* The initial page tables are made by the domain builder, and are held to the same rules as the guest's. */
static void initial_tables(void)
{
    u64 top = boot.initial_l4 >> PAGE_SHIFT;
    if (page_get(top, TOP_LEVEL) != 0)
        panic("the initial page tables break the rules for page tables", 0);
    page_info[top] |= PAGE_PINNED;
    if (load_kernel_table(top) != 0)
        panic("the initial " TOP_LEVEL_NAME " cannot be loaded", 0);
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
    calls_init();
    shared_info_init();
    pages_init();
    grants_init();
    events_init();
    time_init();
    runstate_init();
    initial_tables();

    first_registers(&regs);
    return &regs;
}
