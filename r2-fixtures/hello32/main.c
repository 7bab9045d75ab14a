/*
 * hello32: a 32-bit Xen PV guest of our own. It says what it checks on its console, a line for each check, and powers off
 * after HELLO-OK; if any check fails it says HELLO-FAILED and shuts down with the reason "crash".
 *
 * It makes every hypercall that is offered with good arguments, with bad pointers, bad sizes and wrong domains, and from
 * ring 3, and compares the answers with Xen's (xen/include/public, xen/arch/x86). What is refused must have changed
 * nothing: `state` is compared before and after.
 */
#include "hello32.h"

const struct start_info *start_info;
u8 scratch[PAGE] __attribute__((aligned(4096)));
static unsigned failures, checks;

void print(const char *text)
{
    unsigned length = 0;
    while (text[length])
        length++;
    CALL(console_io, CONSOLEIO_write, length, text);
}

static void print_hex(u32 value)
{
    char digits[9];
    for (unsigned index = 0; index < 8; index++)
        digits[index] = "0123456789abcdef"[value >> (28 - 4 * index) & 15];
    digits[8] = 0;
    print(digits);
}

void check(const char *name, long got, long want)
{
    checks++;
    if (got == want)
        return;
    failures++;
    print("FAILED: ");
    print(name);
    print(": got 0x");
    print_hex((u32)got);
    print(", not 0x");
    print_hex((u32)want);
    print("\n");
}

static u32 mixed(u32 hash, const void *from, u32 bytes, u32 mask)
{
    const u32 *words = from;
    for (u32 index = 0; index < bytes / 4; index++)
        hash = (hash ^ (words[index] & mask)) * 0x01000193;
    return hash;
}

/* What a hypercall could change: shared_info, page tables (less their accessed and dirty bits), descriptors, and the m2p. */
u32 system_state(void)
{
    u32 hash = mixed(0x811c9dc5, &shared, sizeof(shared), ~0u);
    hash = mixed(hash, gdt, sizeof(gdt), ~0u);
    hash = mixed(hash, read_only, sizeof(read_only), ~0u);
    hash = mixed(hash, (const void *)start_info->pt_base, start_info->nr_pt_frames * PAGE, ~0x60u);
    return mixed(hash, (const void *)IN_M2P, PAGE, ~0u);
}

/* And the arguments. */
u32 state(void)
{
    return mixed(system_state(), scratch, sizeof(scratch), ~0u);
}

void *argument(const void *of, u32 bytes)
{
    for (u32 index = 0; index < PAGE; index++)
        scratch[index] = index < bytes ? ((const u8 *)of)[index] : 0xa5;
    return scratch;
}

static void section(const char *name, void (*run)(void))
{
    unsigned before = failures;
    run();
    print(failures == before ? "ok: " : "not ok: ");
    print(name);
    print("\n");
}

static void check_start(void)
{
    static const char magic[] = "xen-3.0-x86_32p";
    u32 cs, ss, ds;
    for (unsigned index = 0; index < sizeof(magic); index++)
        check("start_info.magic", start_info->magic[index], magic[index]);
    asm("mov %%cs, %0; mov %%ss, %1; mov %%ds, %2" : "=r"(cs), "=r"(ss), "=r"(ds));
    check("cs", (u16)cs, FLAT_KERNEL_CS);
    check("ss", (u16)ss, FLAT_KERNEL_SS);
    check("ds", (u16)ds, FLAT_KERNEL_DS);
    const u32 *p2m = (const u32 *)start_info->mfn_list;
    for (u32 pfn = 0; pfn < start_info->nr_pages; pfn += 97)
        check("the p2m is the identity", (long)p2m[pfn], (long)pfn);
    const u32 *m2p = (const u32 *)IN_M2P;
    for (u32 mfn = 0; mfn < start_info->nr_pages; mfn += 97)
        check("the m2p is in its place", (long)m2p[mfn], (long)mfn);
    check("version by int 0x82", CALL(xen_version, XENVER_version), 0x00040011);
    check("version by hypercall page", hypercall_by_page(__HYPERVISOR_xen_version, XENVER_version, 0, 0, 0), 0x00040011);
    u64 value = start_info->shared_info | PTE_P | PTE_W;
    check("mapping shared_info", CALL(update_va_mapping, &shared, (u32)value, (u32)(value >> 32), UVMF_INVLPG), 0);
    check("events are masked at start", shared.vcpu_info[0].evtchn_upcall_mask, 1);
    check("pvclock", (long)shared.vcpu_info[0].time.tsc_to_system_mul, (long)0x80000000);
    check("the wall clock runs", shared.wc_version & 1, 0);
}

/* Through the console's ring, as a kernel does it. */
static void check_ring(void)
{
    struct xencons_interface *ring =
        (struct xencons_interface *)(VIRT_BASE + start_info->console.domU.mfn * PAGE);
    const char *text = "hello32: through the console ring\n";
    XENCONS_RING_IDX at = ring->out_prod;
    while (*text)
        ring->out[MASK_XENCONS_IDX(at++, ring->out)] = *text++;
    ring->out_prod = at;
    check("console notified",
          CALL(event_channel_op, EVTCHNOP_send,
               ARGUMENT(struct evtchn_send, .port = start_info->console.domU.evtchn)),
          0);
    check("the ring is empty", (long)(ring->out_prod - ring->out_cons), 0);
}

/* The sections that leave everything as it was. */
static void check_again(void)
{
    check_ring();
    check_traps();
    check_hole();
    check_descriptors();
    check_page_tables();
    check_memory_op();
    check_version();
    check_console();
    check_multicall();
    check_grants();
    check_physdev();
    check_state_calls();
    check_events();
    check_vcpu();
    check_timer();
    check_sched();
    check_unknown();
    check_user_mode();
    check_returns();
}

/* What the command line says: "again=N" makes most of it N times more, for those who need a guest that runs for long. */
static u32 times_again(void)
{
    static const char name[] = "again=";
    const char *at = (const char *)start_info->cmd_line;
    u32 times = 0;
    for (unsigned index = 0; name[index]; index++)
        if (at[index] != name[index])
            return 0;
    for (at += sizeof(name) - 1; *at >= '0' && *at <= '9'; at++)
        times = times * 10 + (u32)(*at - '0');
    return times;
}

_Noreturn void hello(const struct start_info *info);
_Noreturn void hello(const struct start_info *info)
{
    start_info = info;
    print("hello32: a PV guest of 32 bits\n");
    section("start of day", check_start);
    section("console ring", check_ring);
    section("traps", check_traps);
    section("the hypervisor's hole", check_hole);
    section("descriptors", check_descriptors);
    section("page tables", check_page_tables);
    section("memory_op", check_memory_op);
    section("versions and features", check_version);
    section("console_io", check_console);
    section("multicall", check_multicall);
    section("grant tables", check_grants);
    section("physdev_op and vm_assist", check_physdev);
    section("registers and callbacks", check_state_calls);
    section("event channels", check_events);
    section("vcpu_op", check_vcpu);
    section("timers and events", check_timer);
    section("sched_op", check_sched);
    section("what is not there, or not for a guest", check_unknown);
    section("ring 3", check_user_mode);
    section("returns that cannot be", check_returns);
    for (u32 left = times_again(); left > 0; left--)
        section("again", check_again);
    section("a vcpu_info of its own", check_vcpu_info);
    u32 reason = failures == 0 ? SHUTDOWN_poweroff : SHUTDOWN_crash;
    print(failures == 0 ? "HELLO-OK\n" : "HELLO-FAILED\n");
    CALL(sched_op, SCHEDOP_shutdown, &reason);
    for (;;)
        ;
}
