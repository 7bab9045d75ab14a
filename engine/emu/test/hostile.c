/*
 * A guest that wants to break out: it makes hypercalls with arguments from the edges, builds page tables and descriptor
 * tables out of random entries, and writes wherever it has something mapped. It never stops; hostile.test.ts runs it
 * for a while and then looks whether emu's rules still hold.
 *
 * Its own code, data and page tables lie below POOL and it does not aim at them, so that it lives long.
 */
#include "../types.h"
#include "../xen-public.h"

#define PAGE 4096UL
#ifdef __x86_64__
#define VIRT_BASE 0xffffffff80000000UL
#define TOP_LEVEL 4
/* Edges of the hypervisor's hole, and an address in it. */
#define HOLE_START 0x0000800000000000
#define HOLE_END 0xffff880000000000
#define IN_HOLE (0xffff800000000000 + (random() & 0x7fffffffff))
#else
#define VIRT_BASE 0xc0000000UL
#define TOP_LEVEL 3
#define HOLE_START 0xf5800000
#define HOLE_END 0x100000000
#define IN_HOLE (0xf5800000 + below(0x0a800000))
#endif

/* Pages 512-1023 are mapped writable at start of day, 1024 and up are not mapped. */
#define POOL 512
#define MAPPED_END 1024
#define RAM_PAGES 2048
/* Addresses whose entries are changed at will: the last MiB of the initial mapping. */
#define WINDOW (VIRT_BASE + (MAPPED_END - 256) * PAGE)
#define WINDOW_PAGES 256
/* Favourites, so that pages meet each other more than once. */
#define FAVOURITES 24

static u64 seed;
static struct start_info *start_info;
static u64 buffer[1024] __attribute__((aligned(4096)));

static u64 random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static u64 below(u64 limit)
{
    return (unsigned long)(random() >> 16) % (unsigned long)limit;
}

#ifdef __x86_64__
static long hypercall(u64 number, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5)
{
    long result;
    register u64 r10 asm("r10") = a4;
    register u64 r8 asm("r8") = a5;
    asm volatile("syscall"
                 : "=a"(result), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10), "+r"(r8)
                 : "0"(number)
                 : "rcx", "r11", "memory");
    return result;
}

static long update_va_mapping(u64 address, u64 value, u64 flags)
{
    return hypercall(__HYPERVISOR_update_va_mapping, address, value, flags, 0, 0);
}

static void update_descriptor(u64 address, u64 value)
{
    hypercall(__HYPERVISOR_update_descriptor, address, value, 0, 0, 0);
}
#else
static long hypercall(u64 number, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5)
{
    long result;
    u32 b = (u32)a1, c = (u32)a2, d = (u32)a3, si = (u32)a4;
    (void)a5;
    asm volatile("int $0x82" : "=a"(result), "+b"(b), "+c"(c), "+d"(d), "+S"(si) : "0"((u32)number) : "memory");
    return result;
}

static long update_va_mapping(u64 address, u64 value, u64 flags)
{
    return hypercall(__HYPERVISOR_update_va_mapping, address, value, value >> 32, flags, 0);
}

static void update_descriptor(u64 address, u64 value)
{
    hypercall(__HYPERVISOR_update_descriptor, address, address >> 32, value, value >> 32, 0);
}
#endif

static u64 pool_page(void)
{
    return below(4) ? POOL + below(FAVOURITES) * 61 : POOL + below(RAM_PAGES - POOL);
}

static u64 any_page(void)
{
    switch (below(16)) {
    case 0:
        return start_info->shared_info >> 12;
    case 1:
        return (start_info->shared_info >> 12) + below(1024) - 512;
    case 2:
        return random();
    case 3:
        return (start_info->pt_base - VIRT_BASE) / PAGE + below(4);
    case 4:
        return below(POOL);
    }
    return pool_page();
}

static u64 any_entry(void)
{
    static const u64 flags[] = {0, 1, 3, 5, 7, 0x67, 0x65, 0x63, 0x87, 0x107, 0x1f, 2, 0x8000000000000067, 0xfff};
    return any_page() << 12 | flags[below(sizeof(flags) / sizeof(flags[0]))];
}

static u64 any_pointer(void)
{
    switch (below(10)) {
    case 0:
        return 0;
    case 1:
        return IN_HOLE;
    case 2:
        return HOLE_START - below(64);
    case 3:
        return HOLE_END - below(64);
    case 4:
        return random();
    case 5:
        return -below(4096);
    case 6:
        return WINDOW + below(WINDOW_PAGES) * PAGE + PAGE - below(64);
    }
    return (unsigned long)buffer + below(sizeof(buffer) - 256);
}

static u64 any_argument(void)
{
    switch (below(4)) {
    case 0:
        return below(64);
    case 1:
        return any_page();
    case 2:
        return any_pointer();
    }
    return any_entry();
}

static void fill_buffer(void)
{
    for (unsigned index = 0; index < 64; index++)
        buffer[index] = any_argument();
}

static void random_hypercall(void)
{
    static const u8 numbers[] = {0,  1,  2,  3,  4,  5,  7,  8,  9,  10, 12, 13, 15, 17, 20, 21,
                                 24, 25, 26, 28, 30, 32, 33, 34, 35, 36, 40, 41, 42, 48, 63, 64, 200};
    u64 number = numbers[below(sizeof(numbers))];
    /* Its own way of life must survive: it must not unmap itself or take down its processor. */
    u64 first = any_argument();
    if (number == __HYPERVISOR_vcpu_op && first == VCPUOP_down)
        return;
    if (number == __HYPERVISOR_mmuext_op || number == __HYPERVISOR_multicall || number == __HYPERVISOR_set_trap_table)
        first = any_pointer();
    fill_buffer();
    hypercall(number, first, any_argument(), any_argument(), DOMID_SELF, any_argument());
}

static void update_entries(void)
{
    mmu_update_t *updates = (mmu_update_t *)buffer;
    u64 count = 1 + below(4);
    for (u64 index = 0; index < count; index++) {
        updates[index].ptr = (pool_page() << 12) + below(512) * 8 + below(4) * (below(8) == 0);
        updates[index].val = any_entry();
    }
    hypercall(__HYPERVISOR_mmu_update, (unsigned long)updates, count, 0, DOMID_SELF, 0);
}

static void extended(void)
{
    static const u8 commands[] = {MMUEXT_PIN_L1_TABLE,    MMUEXT_PIN_L2_TABLE, MMUEXT_PIN_L3_TABLE,
                                  MMUEXT_PIN_L4_TABLE,    MMUEXT_PIN_L1_TABLE, MMUEXT_UNPIN_TABLE,
                                  MMUEXT_UNPIN_TABLE,     MMUEXT_UNPIN_TABLE,  MMUEXT_NEW_USER_BASEPTR,
                                  MMUEXT_TLB_FLUSH_LOCAL, MMUEXT_CLEAR_PAGE,   MMUEXT_COPY_PAGE};
    struct mmuext_op *op = (struct mmuext_op *)buffer;
    op->cmd = commands[below(sizeof(commands))];
    op->arg1.mfn = (xen_pfn_t)pool_page();
    op->arg2.src_mfn = (xen_pfn_t)any_page();
    hypercall(__HYPERVISOR_mmuext_op, (unsigned long)op, 1, 0, DOMID_SELF, 0);
}

static void map_in_window(void)
{
    update_va_mapping(WINDOW + below(WINDOW_PAGES) * PAGE, any_entry(), UVMF_INVLPG);
}

/* A store that may be refused. */
static void poke(u64 *at, u64 value)
{
    switch (below(3)) {
    case 0:
        asm volatile("mov %1, (%0)" : : "D"(at), "S"((unsigned long)value) : "memory");
        return;
    case 1:
        asm volatile("lock btsl $1, (%0)" : : "D"(at) : "memory", "cc");
        return;
    case 2:
        asm volatile("lock orb $2, (%0)" : : "D"(at) : "memory", "cc");
        return;
    }
}

/* Tables that could be pinned, by level: the best material for the next level, and for writes to page tables. */
static u32 tables[5][16];

static u64 any_table(unsigned level)
{
    return tables[level][below(16)];
}

static long table_op(unsigned command, u64 page)
{
    struct mmuext_op *op = (struct mmuext_op *)buffer;
    op->cmd = command;
    op->arg1.mfn = (xen_pfn_t)page;
    return hypercall(__HYPERVISOR_mmuext_op, (unsigned long)op, 1, 0, DOMID_SELF, 0);
}

static u64 table_entry(unsigned level)
{
    if (below(64) == 0)
        return any_entry();
    if (level == 1)
        return pool_page() << 12 | (below(3) ? 0x65 : 0x67);
    return any_table(level - 1) << 12 | 0x67;
}

/* Makes a table out of a pool page: writes it while it may, gives up the writable mapping, and pins it. */
static void write_table(void)
{
    u64 page = POOL + below(MAPPED_END - POOL - WINDOW_PAGES);
    u64 *table = (u64 *)(unsigned long)(VIRT_BASE + page * PAGE);
    unsigned level = 1 + (unsigned)below(TOP_LEVEL);
    if (update_va_mapping((unsigned long)table, page << 12 | 7, UVMF_INVLPG) != 0)
        return;
    for (unsigned index = 0; index < 512; index++)
        table[index] = 0;
    for (u64 count = below(12); count; count--)
        table[below(512)] = table_entry(level);
    /* Some L3s have what an L3 of PAE needs: an L2 of the highest GiB of their own. */
    if (TOP_LEVEL == 3 && level == 3)
        table[3] = below(8) ? pool_page() << 12 | 1 : 0;
    update_va_mapping((unsigned long)table, page << 12 | 5, UVMF_INVLPG);
    if (table_op(MMUEXT_PIN_L1_TABLE + level - 1, page) == 0)
        tables[level][below(16)] = (u32)page;
    if (level == TOP_LEVEL && below(2))
        table_op(MMUEXT_NEW_USER_BASEPTR, below(4) ? page : 0);
}

static void unpin_table(void)
{
    table_op(MMUEXT_UNPIN_TABLE, any_table(1 + (unsigned)below(TOP_LEVEL)));
}

/* An entry of a live table: by hypercall, or by a store that the fault handler may have to skip. */
static void change_table(void)
{
    unsigned level = 1 + (unsigned)below(TOP_LEVEL);
    u64 page = any_table(level), index = below(512);
    if (below(2)) {
        mmu_update_t *update = (mmu_update_t *)buffer;
        update->ptr = page * PAGE + index * 8 + (below(2) ? MMU_PT_UPDATE_PRESERVE_AD : 0);
        update->val = table_entry(level);
        hypercall(__HYPERVISOR_mmu_update, (unsigned long)update, 1, 0, DOMID_SELF, 0);
        return;
    }
    u64 window = WINDOW + below(WINDOW_PAGES) * PAGE;
    if (update_va_mapping(window, page << 12 | 5, UVMF_INVLPG) != 0)
        return;
    for (u64 count = below(8); count; count--)
        poke((u64 *)(unsigned long)window + below(512), table_entry(level));
}

static void descriptors(void)
{
    u64 page = pool_page();
    switch (below(4)) {
    case 0:
        ((xen_pfn_t *)buffer)[0] = (xen_pfn_t)page;
        ((xen_pfn_t *)buffer)[1] = (xen_pfn_t)pool_page();
        hypercall(__HYPERVISOR_set_gdt, (unsigned long)buffer, below(2) * 512 + below(513), 0, 0, 0);
        return;
    case 1:
        hypercall(__HYPERVISOR_set_gdt, (unsigned long)buffer, 0, 0, 0, 0);
        return;
    case 2:
        update_descriptor(page * PAGE + below(512) * 8, random());
        return;
    case 3: {
        struct mmuext_op *op = (struct mmuext_op *)buffer;
        op->cmd = MMUEXT_SET_LDT;
        op->arg1.linear_addr = WINDOW + below(WINDOW_PAGES) * PAGE;
        op->arg2.nr_ents = (u32)below(1024);
        hypercall(__HYPERVISOR_mmuext_op, (unsigned long)op, 1, 0, DOMID_SELF, 0);
        /* Touch it: a selector of the LDT. Most are refused, which is a trap that the handler skips. */
        asm volatile("mov %0, %%es" : : "a"((u32)(below(1024) << 3 | 7)));
        return;
    }
    }
}

static void balloon(void)
{
    struct xen_memory_reservation *request = (struct xen_memory_reservation *)buffer;
    xen_pfn_t *list = (xen_pfn_t *)(buffer + 64);
    for (unsigned index = 0; index < 8; index++)
        list[index] = (xen_pfn_t)pool_page();
    request->extent_start.p = list;
    request->nr_extents = below(8);
    request->extent_order = below(8) == 0;
    request->mem_flags = 0;
    request->domid = DOMID_SELF;
    hypercall(__HYPERVISOR_memory_op, below(2) ? XENMEM_decrease_reservation : XENMEM_populate_physmap,
              (unsigned long)request, 0, 0, 0);
}

/* hostile.S: faults return here after the instruction they were raised by. */
extern char skip_with_error[];

/* Length of the instructions above that can fault, by their first bytes. */
unsigned long instruction_length(const u8 *code);
unsigned long instruction_length(const u8 *code)
{
    unsigned long length = 0;
    while (code[length] == 0xf0 || (sizeof(long) == 8 && (code[length] & 0xf0) == 0x40))
        length++;
    if (code[length] == 0x0f)
        return length + 4; /* bts $imm8, (reg) */
    if (code[length] == 0x80)
        return length + 3;
    return length + 2; /* mov reg, (reg); mov reg, %es */
}

static void handle_traps(void)
{
    static struct trap_info table[] = {
        {11, 0, FLAT_KERNEL_CS, (unsigned long)skip_with_error},
        {13, 0, FLAT_KERNEL_CS, (unsigned long)skip_with_error},
        {14, 0, FLAT_KERNEL_CS, (unsigned long)skip_with_error},
        {0, 0, 0, 0},
    };
    hypercall(__HYPERVISOR_set_trap_table, (unsigned long)table, 0, 0, 0, 0);
}

_Noreturn void hostile(struct start_info *info);
_Noreturn void hostile(struct start_info *info)
{
    start_info = info;
    seed = 0x9e3779b97f4a7c15;
    for (const unsigned char *at = (const unsigned char *)info->cmd_line; *at; at++)
        seed = (seed ^ *at) * 0x100000001b3;
    hypercall(__HYPERVISOR_vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables, 0, 0, 0);
    for (;;) {
        handle_traps();
        switch (below(14)) {
        case 0:
            random_hypercall();
            break;
        case 1:
        case 2:
            update_entries();
            break;
        case 3:
            extended();
            break;
        case 4:
            map_in_window();
            break;
        case 5:
        case 6:
            write_table();
            break;
        case 7:
            descriptors();
            break;
        case 8:
            balloon();
            break;
        case 9:
            unpin_table();
            break;
        case 10:
        case 11:
        case 12:
            change_table();
            break;
        case 13:
            poke((u64 *)(unsigned long)(WINDOW + below(WINDOW_PAGES) * PAGE) + below(512), any_entry());
            break;
        }
    }
}
