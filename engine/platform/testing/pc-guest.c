/*
 * A guest that tells what it finds of a PC: interrupt controllers, timers, serial port, clock, PCI. It is entered in 32-bit
 * mode, by XEN_ELFNOTE_PHYS32_ENTRY (qemu) or by Linux's boot protocol, and prints by port 0xe9. Nothing that it prints
 * depends on how fast the machine is.
 */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

asm(".section .note.Xen, \"a\", @note\n"
    ".long 4, 4, 18, 0x006e6558\n"
    ".long start\n"
    ".text\n"
    ".global start\n"
    "start:\n"
    "  lgdt gdt_pointer\n"
    "  ljmp $8, $1f\n"
    "1: mov $16, %ax\n"
    "  mov %ax, %ds\n  mov %ax, %es\n  mov %ax, %ss\n"
    "  mov $stack_end, %esp\n"
    "  call guest\n"
    "2: cli\n  hlt\n  jmp 2b\n"
    ".balign 8\n"
    "gdt: .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff\n"
    "gdt_pointer: .word 23\n  .long gdt\n"
    ".bss\n.balign 16\n.skip 16384\nstack_end:\n.text\n");

static inline void out8(u16 port, u8 value) { asm volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static inline void out16(u16 port, u16 value) { asm volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }
static inline void out32(u16 port, u32 value) { asm volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }
static inline u8 in8(u16 port) { u8 v; asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline u32 in32(u16 port) { u32 v; asm volatile("inl %1, %0" : "=a"(v) : "Nd"(port)); return v; }

static void text(const char *s) { while (*s) out8(0xe9, *s++); }
static void hex(u32 value)
{
    for (int shift = 28; shift >= 0; shift -= 4) out8(0xe9, "0123456789abcdef"[(value >> shift) & 15]);
}
static void told(const char *what, u32 value) { text(what); text(" "); hex(value); text("\n"); }

/* --- interrupts: every vector counts, and notes the order --- */

struct gate { u16 low, selector, attributes, high; } __attribute__((packed));
static struct gate idt[256];
volatile u32 counts[256];
volatile u8 order[64];
volatile u32 ordered;
volatile u32 in_service; /* what the handler found in ISR */
static volatile u32 *const apic = (u32 *)0xfee00000;
static volatile u32 *const ioapic = (u32 *)0xfec00000;

enum { BY_PIC, BY_APIC, SPURIOUS_ONLY };
volatile u32 ending;

void handle(u32 vector)
{
    counts[vector]++;
    if (ordered < sizeof order) order[ordered++] = vector;
    if (ending == BY_PIC) {
        out8(0x20, 0x0b);
        in_service = in8(0x20);
        if (vector >= 0x28) out8(0xa0, 0x20);
        out8(0x20, 0x20);
    } else {
        in_service = apic[(0x100 + vector / 32 * 16) / 4];
        /* The serial port's level falls in the third. */
        if (vector == 0xc4 && counts[vector] == 3) in8(0x3fa);
        apic[0xb0 / 4] = 0;
    }
}

asm(".balign 16\nstubs:\n.set vector, 0\n.rept 256\n  pushl $vector\n  jmp common\n  .balign 16\n.set vector, vector + 1\n.endr\n"
    "common:\n  pusha\n  pushl 32(%esp)\n  call handle\n  add $4, %esp\n  popa\n  add $4, %esp\n  iret\n");
extern u8 stubs[];

static void set_up_idt(void)
{
    for (int i = 32; i < 256; i++) {
        u32 at = (u32)stubs + i * 16;
        idt[i].low = at;
        idt[i].high = at >> 16;
        idt[i].selector = 8;
        idt[i].attributes = 0x8e00;
    }
    struct { u16 limit; u32 base; } __attribute__((packed)) pointer = { sizeof idt - 1, (u32)idt };
    asm volatile("lidt %0" : : "m"(pointer));
}

static void wait_for(u32 vector, u32 count)
{
    while (counts[vector] < count) asm volatile("sti\n hlt\n cli" : : : "memory");
}

/* --- the 8259s --- */

static void pic(void)
{
    text("# 8259\n");
    out8(0x20, 0x11); out8(0xa0, 0x11);
    out8(0x21, 0x20); out8(0xa1, 0x28);
    out8(0x21, 4); out8(0xa1, 2);
    out8(0x21, 1); out8(0xa1, 1);
    told("mask after initialization", in8(0x21) << 8 | in8(0xa1));
    out8(0x21, 0xfb); out8(0xa1, 0xff);
    told("mask", in8(0x21) << 8 | in8(0xa1));
    out8(0x4d0, 0xff); out8(0x4d1, 0xff);
    told("edge and level", in8(0x4d0) << 8 | in8(0x4d1));
    out8(0x4d0, 0); out8(0x4d1, 0);
    out8(0x20, 0x0b); out8(0xa0, 0x0b);
    told("in service", in8(0x20) << 8 | in8(0xa0));
}

/* --- the 8254 --- */

static void set_timer(u32 count, u8 mode) { out8(0x43, 0x30 | mode << 1); out8(0x40, count); out8(0x40, count >> 8); }

static void pit(void)
{
    text("# 8254 through the 8259\n");
    out8(0x21, 0xfa);
    ending = BY_PIC;
    set_timer(1193, 2);
    wait_for(0x20, 10);
    told("ticks in mode 2 at least", counts[0x20] >= 10);
    told("in service in the handler", in_service);
    counts[0x20] = 0;
    set_timer(1193, 3);
    wait_for(0x20, 10);
    told("ticks in mode 3 at least", counts[0x20] >= 10);
    counts[0x20] = 0;
    set_timer(11930, 0);
    wait_for(0x20, 1);
    told("ticks in mode 0", counts[0x20]);
    out8(0x43, 0xe2); /* read back the status of counter 0 */
    told("status after mode 0", in8(0x40));
    out8(0x21, 0xfb);

    out8(0x61, (in8(0x61) & ~3) | 1);
    out8(0x43, 0xb0);
    out8(0x42, 0xff); out8(0x42, 0x3f);
    told("output 2 at first", in8(0x61) & 0x21);
    out8(0x43, 0x80); /* latch */
    u32 first = in8(0x42); first |= in8(0x42) << 8;
    for (volatile int i = 0; i < 1000; i++);
    out8(0x43, 0x80);
    u32 second = in8(0x42); second |= in8(0x42) << 8;
    told("counter 2 counts down", second < first && first <= 0x3fff);
    while (!(in8(0x61) & 0x20))
        for (volatile int i = 0; i < 10000; i++);
    told("output 2 in the end", in8(0x61) & 0x21);
    out8(0x43, 0xe8);
    told("status of counter 2", in8(0x42));
    out8(0x61, in8(0x61) & ~3);
}

/* --- the serial port --- */

static void serial(void)
{
    text("# 16550A\n");
    out8(0x3f9, 0);
    out8(0x3fc, 0x10 | 0x0a);
    told("modem status in loopback", in8(0x3fe) & 0xf0);
    out8(0x3fc, 0x10 | 0x05);
    told("modem status in loopback", in8(0x3fe) & 0xf0);
    out8(0x3ff, 0x5a);
    told("scratch", in8(0x3ff));
    out8(0x3fb, 0x80); out8(0x3f8, 1); out8(0x3f9, 0); out8(0x3fb, 3);
    told("line control", in8(0x3fb));
    out8(0x3fb, 0x83);
    told("divisor", in8(0x3f8) | in8(0x3f9) << 8);
    out8(0x3fb, 3);
    out8(0x3fa, 0);
    told("interrupt identification", in8(0x3fa));
    out8(0x3fa, 7);
    told("with FIFOs", in8(0x3fa));
    told("line status", in8(0x3fd));
    out8(0x3f9, 0xff);
    told("interrupt enable", in8(0x3f9));
    told("transmitter empty", in8(0x3fa));
    told("told once", in8(0x3fa));
    out8(0x3f9, 0);

    /* The transmitter's interrupt, through the 8259. */
    counts[0x24] = 0;
    ending = BY_PIC;
    out8(0x21, 0xeb);
    out8(0x3fc, 8);
    out8(0x3f9, 2);
    wait_for(0x24, 1);
    told("in service in the handler", in_service);
    told("its reason", in8(0x3fa));
    asm volatile("sti\n nop\n nop\n cli");
    told("interrupts", counts[0x24]);
    out8(0x3f9, 0);
    out8(0x3fc, 0);
    out8(0x21, 0xfb);
}

/* --- the local APIC, in memory --- */

static void local_apic(void)
{
    text("# local APIC\n");
    told("version", apic[0x30 / 4]);
    told("id", apic[0x20 / 4]);
    apic[0xf0 / 4] = 0x1ff;
    told("spurious vector", apic[0xf0 / 4]);
    apic[0xe0 / 4] = 0xffffffff;
    told("destination format", apic[0xe0 / 4]);
    apic[0xd0 / 4] = 0x01000000;
    told("logical destination", apic[0xd0 / 4]);
    apic[0x320 / 4] = 0x10000;
    apic[0x80 / 4] = 0x20;
    told("task priority", apic[0x80 / 4]);
    told("processor priority", apic[0xa0 / 4]);
    apic[0x80 / 4] = 0;

    text("# interrupts to oneself\n");
    ending = BY_APIC;
    ordered = 0;
    apic[0x310 / 4] = 0;
    apic[0x300 / 4] = 0x40041; /* self */
    apic[0x300 / 4] = 0x80061; /* all including self */
    apic[0x300 / 4] = 0xc0071; /* all but self */
    apic[0x300 / 4] = 0x00051; /* physical 0 */
    apic[0x310 / 4] = 0x01000000;
    apic[0x300 / 4] = 0x00891; /* logical 1 */
    apic[0x310 / 4] = 0x02000000;
    apic[0x300 / 4] = 0x008a1; /* logical 2: nobody */
    told("requested 0x40", apic[0x220 / 4]);
    told("requested 0x60", apic[0x230 / 4]);
    told("requested 0x80", apic[0x240 / 4]);
    told("requested 0xa0", apic[0x250 / 4]);
    apic[0x80 / 4] = 0x60;
    asm volatile("sti\n nop\n nop\n cli" : : : "memory");
    told("above priority 6", ordered);
    told("in service in the handler", in_service);
    apic[0x80 / 4] = 0;
    wait_for(0x41, 1);
    for (u32 i = 0; i < ordered; i++) told("vector", order[i]);
    told("requested 0x40", apic[0x220 / 4]);
}

static void apic_timer(void)
{
    text("# local APIC's timer\n");
    apic[0x3e0 / 4] = 0xb;
    told("divider", apic[0x3e0 / 4]);
    apic[0x320 / 4] = 0x100b0;
    apic[0x380 / 4] = 0x10000000;
    for (volatile int i = 0; i < 1000; i++);
    told("counts down", apic[0x390 / 4] < 0x10000000 && apic[0x390 / 4] > 0);
    apic[0x380 / 4] = 0;
    told("stopped", apic[0x390 / 4]);
    apic[0x320 / 4] = 0xb0;
    apic[0x380 / 4] = 1000000;
    wait_for(0xb0, 1);
    told("after one shot", apic[0x390 / 4]);
    apic[0x320 / 4] = 0x200b0;
    apic[0x380 / 4] = 1000000;
    wait_for(0xb0, 4);
    told("periodic at least", counts[0xb0] >= 4);
    apic[0x320 / 4] = 0x10000;
    apic[0x380 / 4] = 0;
}

/* --- the I/O APIC --- */

static u32 ioapic_read(u32 index) { ioapic[0] = index; return ioapic[4]; }
static void ioapic_write(u32 index, u32 value) { ioapic[0] = index; ioapic[4] = value; }

static void io_apic(void)
{
    text("# I/O APIC\n");
    told("inputs less one", (ioapic_read(1) >> 16) & 0xff);
    ioapic_write(0x10 + 2 * 5, 0xffffffff);
    told("writable", ioapic_read(0x10 + 2 * 5) & 0x1ffff);
    ioapic_write(0x10 + 2 * 5, 0x10000);
    out8(0x21, 0xff);
    counts[0x20] = 0;
    ioapic_write(0x10 + 2 * 2 + 1, 0);
    ioapic_write(0x10 + 2 * 2, 0xc0);
    ending = BY_APIC;
    set_timer(1193, 2);
    wait_for(0xc0, 5);
    told("timer at input 2 at least", counts[0xc0] >= 5);
    told("in service in the handler", in_service);
    told("by the 8259", counts[0x20]);
    set_timer(1193, 0);
    ioapic_write(0x10 + 2 * 2, 0x10000);

    /* A level-triggered input that stays high comes again after each end of interrupt. */
    counts[0xc4] = 0;
    ioapic_write(0x10 + 2 * 4 + 1, 0);
    ioapic_write(0x10 + 2 * 4, 0x80c4);
    out8(0x3fc, 8);
    out8(0x3f9, 2);
    wait_for(0xc4, 3);
    for (int i = 0; i < 8; i++) asm volatile("sti\n nop\n nop\n cli" : : : "memory");
    told("times until it fell", counts[0xc4]);
    told("trigger mode", apic[0x1e0 / 4]);
    told("remote IRR", ioapic_read(0x10 + 2 * 4) & 0x4000);
    out8(0x3f9, 0);
    ioapic_write(0x10 + 2 * 4, 0x10000);
}

/* --- the real-time clock --- */

static u8 cmos(u8 index) { out8(0x70, index); return in8(0x71); }
static void set_cmos(u8 index, u8 value) { out8(0x70, index); out8(0x71, value); }

/* Century, year, month, day, weekday, hours, minutes, seconds. */
static const u8 date_registers[8] = { 0x32, 9, 8, 7, 6, 4, 2, 0 };

static void set_date(u8 format, const u8 *date)
{
    set_cmos(0x0b, 0x80 | format);
    for (int i = 0; i < 8; i++) set_cmos(date_registers[i], date[i]);
    set_cmos(0x0b, format);
}

static void tell_date(const char *what)
{
    u32 values[2] = { 0, 0 };
    for (int i = 0; i < 8; i++) values[i / 4] = values[i / 4] << 8 | cmos(date_registers[i]);
    told(what, values[0]);
    told("", values[1]);
}

/* So many interrupts of one kind; what register C said of the last. */
static u8 wait_for_clock(u8 format, u8 kind, u32 count)
{
    u8 cause = 0;
    cmos(0x0c);
    set_cmos(0x0b, format | kind);
    for (u32 i = 0; i < count; i++) {
        wait_for(0xc8, counts[0xc8] + 1);
        cause = cmos(0x0c);
    }
    set_cmos(0x0b, format);
    return cause;
}

static void clock_interrupts(u8 format, const char *what, const u8 *date, u32 updates)
{
    set_date(format, date);
    told(what, wait_for_clock(format, 0x10, updates) & 0x90);
    tell_date("date");
}

static void clock(void)
{
    text("# clock\n");
    ioapic_write(0x10 + 2 * 8 + 1, 0);
    ioapic_write(0x10 + 2 * 8, 0xc8);
    clock_interrupts(2, "leap day", (const u8[]){ 0x20, 0x28, 0x02, 0x28, 2, 0x23, 0x59, 0x58 }, 3);
    clock_interrupts(2, "century", (const u8[]){ 0x20, 0x99, 0x12, 0x31, 5, 0x23, 0x59, 0x59 }, 2);
    clock_interrupts(0, "12 hours, before midnight", (const u8[]){ 0x20, 0x26, 0x04, 0x30, 5, 0x91, 0x59, 0x59 }, 2);
    clock_interrupts(0, "before noon", (const u8[]){ 0x20, 0x26, 0x04, 0x30, 5, 0x11, 0x59, 0x59 }, 2);
    clock_interrupts(4, "binary", (const u8[]){ 20, 26, 12, 31, 5, 0x8b, 59, 59 }, 2);

    set_cmos(0x0b, 0x92);
    told("updates stopped", cmos(0x0b));
    set_cmos(0x0d, 0);
    told("valid", cmos(0x0d));

    /* An alarm at a second of any minute; one at a time of the day. */
    set_date(2, (const u8[]){ 0x20, 0x26, 0x11, 0x23, 2, 0x08, 0x59, 0x57 });
    set_cmos(1, 0x01); set_cmos(3, 0xff); set_cmos(5, 0xc0);
    told("alarm", wait_for_clock(2, 0x20, 1) & 0xa0);
    tell_date("date");
    set_cmos(1, 0x02); set_cmos(3, 0x00); set_cmos(5, 0x09);
    told("alarm", wait_for_clock(2, 0x20, 1) & 0xa0);
    tell_date("date");

    set_cmos(0x0a, 0x26);
    told("periodic", wait_for_clock(2, 0x40, 8) & 0xc0);

    /* The first update half a second after the divider was reset: 1789772 ticks. */
    set_cmos(0x0b, 0x82);
    set_cmos(0x0a, 0x66);
    set_cmos(0x0b, 0x02);
    set_cmos(0x0a, 0x26);
    u32 start = in32(0x608);
    told("after a reset", wait_for_clock(2, 0x10, 1) & 0x90);
    u32 ticks = (in32(0x608) - start) & 0xffffff;
    told("of that length", ticks > 1789000 && ticks < 1791000);
    ioapic_write(0x10 + 2 * 8, 0x10000);
}

static void others(void)
{
    text("# clock, PCI\n");
    out8(0x70, 0x0d);
    told("clock is valid", in8(0x71));
    out8(0x70, 0x0b);
    told("24 hours, BCD", in8(0x71) & 7);
    out8(0x70, 0x32);
    told("century", in8(0x71));
    out32(0xcf8, 0x80000000);
    told("address", in32(0xcf8));
    told("host bridge", in32(0xcfc));
    told("its class", in32(0xcfc) ? (out32(0xcf8, 0x80000008), in32(0xcfc) >> 8) : 0);
    out32(0xcf8, 0x8000f800);
    told("nobody", in32(0xcfc));
    out32(0xcf8, 0);
    told("not enabled", in32(0xcfc));
    u32 before = in32(0x608);
    for (volatile int i = 0; i < 1000; i++);
    told("ACPI timer runs", in32(0x608) != before);
}

void guest(void)
{
    set_up_idt();
    pic();
    pit();
    serial();
    local_apic();
    apic_timer();
    io_apic();
    others();
    clock();
    text("# end\n");
    /* S5 of a PIIX4 as qemu has it, and as the ACPI tables here do. */
    out16(0x604, 0x2000);
    out16(0x604, 0x3400);
}
