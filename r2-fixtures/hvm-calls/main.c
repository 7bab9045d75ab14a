/*
 * A guest that makes every hypercall there is, with good and bad arguments, on every path, and compares each answer with Xen's. What is
 * refused must change nothing: neither the argument, nor shared_info, nor a register. It prints what is wrong, and how it went.
 */

#include "guest.h"

#define USER 7
#define SHARED_GFN 0xc00UL	/* at 12 MiB */
#define HOLE (WINDOW + 0x100000)	/* in the window, not mapped */
#define TAIL 0xd00UL		/* what is behind struct shared_info is not the guest's business */

extern void upcall_entry(void);
extern unsigned long gates[], root[];
extern unsigned char gdt[], tss[], entry_stack_top[];
#ifdef __x86_64__
extern uint64_t window_table[], large_table[];
#define LARGE_SHIFT 21
#define LARGE large_table
#define BITS "64"
#else
extern uint32_t window_table[];
#define LARGE_SHIFT 22
#define LARGE root
#define BITS "32"
#endif

static unsigned char pages[2 * PAGE] __attribute__((aligned(4096)));
static unsigned char one_page[PAGE] __attribute__((aligned(4096)));
static unsigned char argument[2 * PAGE] __attribute__((aligned(4096)));
static unsigned char idt[0x81 * 16] __attribute__((aligned(16)));
static int failures, checks;
static const char *path_name;

void *memcpy(void *to, const void *from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		((volatile unsigned char *)to)[i] = ((const unsigned char *)from)[i];
	return to;
}

static void put16(unsigned char *at, unsigned value)
{
	at[0] = (unsigned char)value;
	at[1] = (unsigned char)(value >> 8);
}

/** IDT, and a TSS for the way back from ring 3, without a port of its own. Called by start.S. */
void set_up_tables(void)
{
	struct { uint16_t limit; unsigned long base; } __attribute__((packed)) pointer = {sizeof(idt) - 1, (unsigned long)idt};
	unsigned long base = (unsigned long)tss, stack = (unsigned long)entry_stack_top;

	for (int vector = 0; vector <= 0x80; vector++) {
		unsigned char *gate = idt + vector * (sizeof(long) == 8 ? 16 : 8);

		put16(gate, (unsigned)gates[vector]);
		put16(gate + 2, 8);
		put16(gate + 4, vector == 0x80 ? 0xee00 : 0x8e00);
		put16(gate + 6, (unsigned)(gates[vector] >> 16));
	}
	put16(gdt + 0x30, 0x67);
	put16(gdt + 0x32, (unsigned)base);
	gdt[0x34] = (unsigned char)(base >> 16);
	gdt[0x35] = 0x89;
	gdt[0x37] = (unsigned char)(base >> 24);
	memcpy(tss + 4, &stack, sizeof(stack));
	put16(tss + 8, sizeof(long) == 8 ? (unsigned)(stack >> 32) : 0x10);
	put16(tss + 0x66, 0x68);
	__asm__ volatile("lidt %0; ltr %w1" : : "m"(pointer), "r"(0x30));
}

#define UPCALL_VECTOR 0x40

static void set_upcall_gate(void)
{
	unsigned char *gate = idt + UPCALL_VECTOR * (sizeof(long) == 8 ? 16 : 8);

	put16(gate, (unsigned)(unsigned long)upcall_entry);
	put16(gate + 6, (unsigned)((unsigned long)upcall_entry >> 16));
}

static void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

static void cpuid(uint32_t leaf, uint32_t out[4])
{
	__asm__ volatile("cpuid" : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3]) : "a"(leaf), "c"(0));
}

static void flush(unsigned long address)
{
	__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static void map_window(unsigned index, unsigned long gfn)
{
	window_table[index] = gfn ? (gfn * PAGE) | USER : 0;
	flush(WINDOW + index * PAGE);
}

static void fail(const char *what, long got, long wanted)
{
	failures++;
	print("FAIL ");
	print(path_name);
	print(" ");
	print(what);
	print(": ");
	print_number(got);
	print(" for ");
	print_number(wanted);
	print("\n");
}

static void expect(const char *what, long got, long wanted)
{
	checks++;
	if (wanted == POSITIVE ? got <= 0 : got != wanted)
		fail(what, got, wanted);
	if (clobbered) {
		clobbered = 0;
		fail("a register has changed", 0, 0);
	}
}

static unsigned long sum(const volatile void *at, unsigned long bytes)
{
	unsigned long total = 5381;

	for (unsigned long i = 0; i < bytes / sizeof(long); i++)
		total = total * 33 + ((const volatile unsigned long *)at)[i];
	return total;
}

/** All that a refused call might have changed: the argument, and shared_info as the window shows it. */
static unsigned long state(void)
{
	return sum(argument, sizeof(argument)) * 31 + sum((void *)WINDOW, TAIL);
}

static void run_rows(void (*path)(void))
{
	for (unsigned long i = 0; i < row_count; i++) {
		const struct row *row = &rows[i];
		unsigned long before, at = (unsigned long)argument + 64;

		for (unsigned long j = 0; j < sizeof(argument) / sizeof(long); j++)
			((unsigned long *)argument)[j] = j * 0x01030507;
		memcpy(argument + 64, row->block, row->bytes);
		before = state();
		expect(row->name,
		       hypercall(path, row->number, row->a1, row->a2 == ARG ? at : row->a2, row->a3 == ARG ? at : row->a3), row->expected);
		if (row->expected < 0 && state() != before)
			fail("changed something", (long)i, 0);
		if (row->number == __HYPERVISOR_xen_version && row->a1 == XENVER_get_features && row->expected == 0 &&
		    !(argument[68] & (1 << XENFEAT_auto_translated_physmap)))
			fail("features", argument[68], 0);
	}
}

/** To nowhere, to an address that is none, and to a structure of which the last byte is nowhere. */
static void run_bad_pointers(void (*path)(void))
{
	/* The window's second page is the argument page, and its third is not there. */
	unsigned long page_end = WINDOW + 2 * PAGE;

	map_window(1, (unsigned long)argument / PAGE);
	for (unsigned long i = 0; i < pointer_call_count; i++) {
		const struct pointer_call *call = &pointer_calls[i];
		unsigned long bad[] = {HOLE, page_end - call->bytes + 1, sizeof(long) == 8 ? (1UL << (sizeof(long) * 8 - 1)) : ~0UL - 1};

		for (unsigned j = 0; j < 3; j++) {
			unsigned long before;

			for (unsigned long k = 0; k < PAGE / sizeof(long); k++)
				((unsigned long *)argument)[k] = 0;
			before = state();
			expect("bad pointer",
			       call->at == 1 ? hypercall(path, call->number, bad[j], 1, 0)
			       : call->at == 2 ? hypercall(path, call->number, call->op, bad[j], 1)
					       : hypercall(path, call->number, call->op, 0, bad[j]),
			       call->expected);
			if (state() != before)
				fail("a bad pointer changed something", (long)i, (long)j);
		}
	}
	expect("text from nowhere", hypercall(path, __HYPERVISOR_console_io, CONSOLEIO_write, 4, HOLE), -14);
	map_window(1, 0);
}

static void run_numbers(void (*path)(void), long last)
{
	for (long number = 0; number <= last; number++) {
		int known = 0;

		for (unsigned long i = 0; i < offered_count; i++)
			known |= offered[i] == number;
		if (!known)
			expect("a hypercall that is not there", hypercall(path, number, 0, 0, 0), -38);
	}
}

static void run_user_mode(void (*path)(void))
{
	for (unsigned long i = 0; i < offered_count; i++)
		expect("in user mode", user_hypercall(path, offered[i], 0, (unsigned long)argument, 0), -1);
}

static void run_multicall(void (*path)(void))
{
	struct multicall_entry *list = (struct multicall_entry *)argument;

	memcpy(list, (struct multicall_entry[]){{.op = __HYPERVISOR_xen_version, .args = {XENVER_pagesize}},
						  {.op = __HYPERVISOR_vcpu_op, .args = {VCPUOP_is_up, 9}},
						  {.op = 63}}, 3 * sizeof(*list));
	expect("multicall", hypercall(path, __HYPERVISOR_multicall, (unsigned long)list, 3, 0), 0);
	expect("its first", (long)list[0].result, 4096);
	expect("its second", (long)list[1].result, -2);
	expect("its third", (long)list[2].result, -38);
}

/** A translation that was used and then changed, without INVLPG, is the new one after HVMOP_flush_tlbs. */
static void run_flush(void (*path)(void))
{
	volatile unsigned long *there = (volatile unsigned long *)(WINDOW + 4 * PAGE);

	((unsigned long *)argument)[0] = 1;
	((unsigned long *)argument)[PAGE / sizeof(long)] = 2;
	map_window(4, (unsigned long)argument / PAGE);
	expect("the first page", (long)*there, 1);
	window_table[4] = (((unsigned long)argument / PAGE + 1) * PAGE) | USER;
	expect("flush_tlbs", hypercall(path, __HYPERVISOR_hvm_op, HVMOP_flush_tlbs, 0, 0), 0);
	expect("the second page", (long)*there, 2);
	map_window(4, 0);
}

/** A port that is sent to itself: masked it stays pending, unmasked it asks for an upcall. */
static void run_events(void (*path)(void))
{
	volatile shared_info_t *shared = (volatile shared_info_t *)WINDOW;
	const unsigned bits = 8 * sizeof(long);
	struct evtchn_bind_ipi bind = {.vcpu = 0};
	struct evtchn_send send;
	struct evtchn_unmask unmask;
	struct evtchn_close close;

	expect("bind_ipi", hypercall(path, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, (unsigned long)&bind, 0), 0);
	send.port = unmask.port = close.port = bind.port;
	shared->vcpu_info[0].evtchn_upcall_pending = 0;
	shared->vcpu_info[0].evtchn_pending_sel = 0;
	shared->evtchn_mask[bind.port / bits] |= 1UL << bind.port % bits;
	expect("send", hypercall(path, __HYPERVISOR_event_channel_op, EVTCHNOP_send, (unsigned long)&send, 0), 0);
	expect("masked: pending", (long)(shared->evtchn_pending[bind.port / bits] >> bind.port % bits & 1), 1);
	expect("masked: no upcall", shared->vcpu_info[0].evtchn_upcall_pending, 0);
	expect("unmask", hypercall(path, __HYPERVISOR_event_channel_op, EVTCHNOP_unmask, (unsigned long)&unmask, 0), 0);
	expect("unmasked", (long)(shared->evtchn_mask[bind.port / bits] >> bind.port % bits & 1), 0);
	expect("unmasked: an upcall", shared->vcpu_info[0].evtchn_upcall_pending, 1);
	shared->evtchn_pending[bind.port / bits] = 0;
	shared->vcpu_info[0].evtchn_upcall_pending = 0;
	shared->vcpu_info[0].evtchn_pending_sel = 0;
	shared->evtchn_mask[bind.port / bits] |= 1UL << bind.port % bits;
	expect("unmask again", hypercall(path, __HYPERVISOR_event_channel_op, EVTCHNOP_unmask, (unsigned long)&unmask, 0), 0);
	expect("unmasked again", (long)(shared->evtchn_mask[bind.port / bits] >> bind.port % bits & 1), 0);
	expect("nothing pending: no upcall", shared->vcpu_info[0].evtchn_upcall_pending, 0);
	expect("close", hypercall(path, __HYPERVISOR_event_channel_op, EVTCHNOP_close, (unsigned long)&close, 0), 0);
}

static uint32_t timer_port;
static volatile long upcalls;

static uint64_t now(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

/** At ever other distances, so that it falls between any two instructions. */
static void arm(void)
{
	struct vcpu_set_singleshot_timer timer = {.timeout_abs_ns = now() + 150 + (uint64_t)(upcalls * 37 % 611)};

	expect("arm", hypercall(path_page, __HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, (unsigned long)&timer), 0);
}

/** The timer's event, by the callback vector. It calls by the page, too, which it may have interrupted. */
void upcall(void)
{
	volatile shared_info_t *shared = (volatile shared_info_t *)WINDOW;
	const unsigned bits = 8 * sizeof(long);

	shared->vcpu_info[0].evtchn_upcall_pending = 0;
	shared->vcpu_info[0].evtchn_pending_sel = 0;
	shared->evtchn_pending[timer_port / bits] &= ~(1UL << timer_port % bits);
	upcalls++;
	expect("in the upcall", hypercall(path_page, __HYPERVISOR_xen_version, XENVER_pagesize, 0, 0), 4096);
	arm();
}

static void set_callback(uint64_t via)
{
	struct xen_hvm_param param = {.domid = DOMID_SELF, .index = HVM_PARAM_CALLBACK_IRQ, .value = via};

	expect("callback", hypercall(path_page, __HYPERVISOR_hvm_op, HVMOP_set_param, (unsigned long)&param, 0), 0);
}

/** Interrupts come while calls are served inside: no answer is another, no register changes, no event is lost. */
static void run_interrupted(void)
{
	volatile shared_info_t *shared = (volatile shared_info_t *)WINDOW;
	struct evtchn_bind_virq bind = {.virq = VIRQ_TIMER};
	struct evtchn_close close;
	const unsigned bits = 8 * sizeof(long);
	long last = 0, quiet = 0;

	path_name = "interrupted";
	set_upcall_gate();
	set_callback((uint64_t)HVM_PARAM_CALLBACK_TYPE_VECTOR << 56 | UPCALL_VECTOR);
	expect("bind_virq", hypercall(path_page, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, (unsigned long)&bind, 0), 0);
	timer_port = close.port = bind.port;
	shared->vcpu_info[0].evtchn_upcall_pending = 0;
	shared->evtchn_mask[timer_port / bits] &= ~(1UL << timer_port % bits);
	arm();
	__asm__ volatile("sti");
	for (int i = 0; i < 2000; i++) {
		/* Masked for a moment: what comes meanwhile must come at the unmask. */
		if (i % 4 == 0)
			shared->evtchn_mask[timer_port / bits] |= 1UL << timer_port % bits;
		expect("yield", hypercall(path_page, __HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0), 0);
		expect("is_up", hypercall(path_page, __HYPERVISOR_vcpu_op, VCPUOP_is_up, 0, 0), 1);
		expect("unmask", hypercall(path_page, __HYPERVISOR_event_channel_op, EVTCHNOP_unmask, (unsigned long)&close, 0), 0);
		quiet = upcalls == last ? quiet + 1 : 0;
		last = upcalls;
		if (quiet > 20) {
			fail("an event is lost", i, upcalls);
			break;
		}
	}
	__asm__ volatile("cli");
	expect("upcalls", upcalls > 500, 1);
	expect("stop", hypercall(path_page, __HYPERVISOR_vcpu_op, VCPUOP_stop_singleshot_timer, 0, 0), 0);
	expect("close", hypercall(path_page, __HYPERVISOR_event_channel_op, EVTCHNOP_close, (unsigned long)&close, 0), 0);
	set_callback(0);
	shared->vcpu_info[0].evtchn_upcall_pending = 0;
}

static struct evtchn_fifo_control_block control __attribute__((aligned(4096)));
static volatile event_word_t words[PAGE / 4] __attribute__((aligned(4096)));
#define WORD_PENDING (1UL << EVTCHN_FIFO_PENDING)
#define WORD_MASKED (1UL << EVTCHN_FIFO_MASKED)
#define WORD_LINKED (1UL << EVTCHN_FIFO_LINKED)

static long event_op(void (*path)(void), int op, const void *block)
{
	return hypercall(path, __HYPERVISOR_event_channel_op, op, (unsigned long)block, 0);
}

/** The same with FIFO queues: what was pending before is not lost, queues are linked in order, a masked port waits. */
static void run_fifo(void (*path)(void))
{
	volatile shared_info_t *shared = (volatile shared_info_t *)WINDOW;
	volatile struct evtchn_fifo_control_block *block = &control;
	struct evtchn_bind_ipi first = {.vcpu = 0}, second = {.vcpu = 0};
	struct evtchn_init_control init = {.control_gfn = (unsigned long)&control / PAGE};
	struct evtchn_expand_array expand = {.array_gfn = (unsigned long)words / PAGE};
	const unsigned bits = 8 * sizeof(long);
	uint32_t port;

	path_name = "FIFO";
	expect("bind_ipi", event_op(path, EVTCHNOP_bind_ipi, &first), 0);
	expect("bind_ipi", event_op(path, EVTCHNOP_bind_ipi, &second), 0);
	port = first.port;
	shared->evtchn_mask[port / bits] |= 1UL << port % bits;
	expect("send before", event_op(path, EVTCHNOP_send, &first.port), 0);
	shared->vcpu_info[0].evtchn_upcall_pending = 0;
	expect("init_control", event_op(path, EVTCHNOP_init_control, &init), 0);
	expect("link bits", init.link_bits, EVTCHN_FIFO_LINK_BITS);
	expect("init_control again", event_op(path, EVTCHNOP_init_control, &init), -22);
	expect("no words yet", (long)block->ready, 0);
	expect("an array that is no page", event_op(path, EVTCHNOP_expand_array, &(struct evtchn_expand_array){.array_gfn = 0xffffff}), -22);
	expect("expand_array", event_op(path, EVTCHNOP_expand_array, &expand), 0);
	expect("what waited is ready", (long)block->ready, 1 << EVTCHN_FIFO_PRIORITY_DEFAULT);
	expect("and the head", (long)block->head[EVTCHN_FIFO_PRIORITY_DEFAULT], (long)port);
	expect("its word", (long)words[port], (long)(WORD_PENDING | WORD_LINKED));
	expect("its upcall", shared->vcpu_info[0].evtchn_upcall_pending, 1);
	/* Consumed. */
	shared->vcpu_info[0].evtchn_upcall_pending = 0;
	block->ready = 0;
	words[port] = 0;
	expect("a priority too low", event_op(path, EVTCHNOP_set_priority, &(struct evtchn_set_priority){.port = port, .priority = 16}), -22);
	expect("no such port", event_op(path, EVTCHNOP_set_priority, &(struct evtchn_set_priority){.port = 999, .priority = 3}), -22);
	expect("set_priority", event_op(path, EVTCHNOP_set_priority, &(struct evtchn_set_priority){.port = port, .priority = 3}), 0);
	expect("set_priority", event_op(path, EVTCHNOP_set_priority, &(struct evtchn_set_priority){.port = second.port, .priority = 3}), 0);
	expect("send", event_op(path, EVTCHNOP_send, &first.port), 0);
	expect("send", event_op(path, EVTCHNOP_send, &second.port), 0);
	expect("ready", (long)block->ready, 1 << 3);
	expect("head", (long)block->head[3], (long)port);
	expect("linked", (long)words[port], (long)(WORD_PENDING | WORD_LINKED | second.port));
	expect("tail", (long)words[second.port], (long)(WORD_PENDING | WORD_LINKED));
	/* Consumed both; masked, it waits. */
	block->ready = 0;
	words[port] = WORD_MASKED;
	words[second.port] = 0;
	shared->vcpu_info[0].evtchn_upcall_pending = 0;
	expect("send", event_op(path, EVTCHNOP_send, &first.port), 0);
	expect("masked", (long)words[port], (long)(WORD_PENDING | WORD_MASKED));
	expect("masked: not ready", (long)block->ready, 0);
	expect("unmask", event_op(path, EVTCHNOP_unmask, &first.port), 0);
	expect("unmasked", (long)words[port], (long)(WORD_PENDING | WORD_LINKED));
	expect("unmasked: the head", (long)block->head[3], (long)port);
	expect("unmasked: an upcall", shared->vcpu_info[0].evtchn_upcall_pending, 1);
	expect("close", event_op(path, EVTCHNOP_close, &first.port), 0);
	expect("closed", (long)words[port], (long)WORD_LINKED);
	expect("reset", event_op(path, EVTCHNOP_reset, &(struct evtchn_reset){.dom = DOMID_SELF}), 0);
	expect("two levels again", event_op(path, EVTCHNOP_expand_array, &expand), -95);
}

static void run_all(const char *name, void (*path)(void), long last_number)
{
	path_name = name;
	run_rows(path);
	run_bad_pointers(path);
	run_numbers(path, last_number);
	run_user_mode(path);
	run_multicall(path);
	run_flush(path);
	run_events(path);
	print("done: ");
	print(name);
	print("\n");
}

static void map_shared_info(unsigned long gfn)
{
	struct xen_add_to_physmap map = {.domid = DOMID_SELF, .space = XENMAPSPACE_shared_info, .gpfn = gfn};

	expect("shared_info", hypercall(path_vmcall, __HYPERVISOR_memory_op, XENMEM_add_to_physmap, (unsigned long)&map, 0), 0);
}

/** The page's mapping goes elsewhere, to another page, and comes back: calls are answered all the time, and nothing is spoilt. */
static void run_moving_mappings(void)
{
	unsigned long *large = (unsigned long *)&LARGE[(SHARED_GFN * PAGE) >> LARGE_SHIFT];
	unsigned long mapped = *large, before;

	path_name = "moving mappings";
	for (int i = 0; i < 4; i++)
		expect("mapped twice", hypercall(path_page, __HYPERVISOR_xen_version, XENVER_version, 0, 0), 0x40011);
	*large = 0;
	flush(SHARED_GFN * PAGE);
	for (int i = 0; i < 4; i++)
		expect("mapped in the window", hypercall(path_page, __HYPERVISOR_xen_version, XENVER_pagesize, 0, 0), 4096);
	/* Another page takes its place: one that looks like nothing. */
	for (unsigned long i = 0; i < PAGE; i++)
		argument[i] = (unsigned char)i;
	before = sum(argument, sizeof(argument));
	map_window(0, (unsigned long)argument / PAGE);
	for (int i = 0; i < 4; i++)
		expect("another page there", hypercall(path_page, __HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0), 0);
	expect("the other page", (long)sum(argument, sizeof(argument)), (long)before);
	map_window(0, SHARED_GFN);
	*large = mapped;
	flush(SHARED_GFN * PAGE);
	for (int i = 0; i < 16; i++)
		expect("there again", hypercall(path_page, __HYPERVISOR_vcpu_op, VCPUOP_is_up, 0, 0), 1);
	/* It moves, and what was there is no shared_info any more. */
	map_shared_info(SHARED_GFN + 1);
	map_window(0, SHARED_GFN + 1);
	for (int i = 0; i < 4; i++)
		expect("moved", hypercall(path_page, __HYPERVISOR_vcpu_op, VCPUOP_is_up, 0, 0), 1);
}

/* Of Linux's struct boot_params: Documentation/arch/x86/zero-page.rst. */
#define ACPI_RSDP_ADDR 0x70
#define E820_ENTRIES 0x1e8
#define BOOT_FLAG 0x1fe
#define HEADER 0x202
#define E820_TABLE 0x2d0
struct e820_entry {
	uint64_t address, size;
	uint32_t type;
} __attribute__((packed));

static void check_rsdp(uint64_t at)
{
	static const char signature[8] = "RSD PTR ";

	map_window(1, (unsigned long)at / PAGE);
	for (unsigned i = 0; i < sizeof(signature); i++)
		expect("the RSDP", ((const char *)WINDOW + PAGE)[at % PAGE + i], signature[i]);
	map_window(1, 0);
}

/** How it was entered, and whether what it was handed is that. */
static void check_entry(void)
{
	uint64_t ram = 0;

	expect("one way in", (start_info != 0) + (boot_params != 0), 1);
	if (start_info) {
		const struct hvm_start_info *info = (const void *)(unsigned long)start_info;
		const struct hvm_memmap_table_entry *map = (const void *)(unsigned long)info->memmap_paddr;

		expect("magic", (long)info->magic, XEN_HVM_START_MAGIC_VALUE);
		expect("version", (long)info->version, 1);
		for (uint32_t i = 0; i < info->memmap_entries; i++)
			ram += map[i].type == XEN_HVM_MEMMAP_TYPE_RAM ? map[i].size : 0;
		check_rsdp(info->rsdp_paddr);
		print("by PVH\n");
	} else {
		const unsigned char *params = (const void *)(unsigned long)boot_params;
		const struct e820_entry *map = (const void *)(params + E820_TABLE);

		expect("boot flag", *(const uint16_t *)(params + BOOT_FLAG), 0xaa55);
		expect("HdrS", (long)*(const uint32_t *)(params + HEADER), 0x53726448);
		for (uint32_t i = 0; i < params[E820_ENTRIES]; i++)
			ram += map[i].type == 1 ? map[i].size : 0;
		check_rsdp(*(const uint64_t *)(params + ACPI_RSDP_ADDR));
		print("by Linux's boot protocol\n");
	}
	expect("RAM", ram > 15 << 20 && ram <= 16 << 20, 1);
}

void main(void)
{
	uint32_t leaf[4];

	path_name = "start";
	check_entry();
	cpuid(0x40000000, leaf);
	expect("XenVMMXenVMM", leaf[1] == 0x566e6558 && leaf[2] == 0x65584d4d && leaf[3] == 0x4d4d566e, 1);
	cpuid(0x40000002, leaf);
	expect("hypercall pages", (long)leaf[0], 2);
	wrmsr(leaf[1], (unsigned long)one_page);
	page_used = (unsigned long)one_page;
	expect("before shared_info is mapped", hypercall(path_page, __HYPERVISOR_xen_version, XENVER_version, 0, 0), 0x40011);
	map_shared_info(SHARED_GFN);
	map_window(0, SHARED_GFN);
	run_all("vmcall", path_vmcall, 130);
	run_all("vmmcall", path_vmmcall, 130);
	run_all("one page", path_page, 127);
	wrmsr(leaf[1], (unsigned long)pages);
	wrmsr(leaf[1], ((unsigned long)pages + PAGE) | 1);
	page_used = (unsigned long)pages;
	run_all("two pages", path_page, 127);
	run_interrupted();
	run_moving_mappings();
	run_fifo(path_page);
	print(failures ? "HVM-BAD " BITS ": " : "HVM-OK " BITS ": ");
	print_number(checks);
	print(" checks\n");
	power_off();
}
