/* What descriptors, gates and the task state of emu32pae look like; a part of descriptors.c. */

/* Descriptor bits, SDM vol. 3A figure 3-8. */
#define DESCRIPTOR_DPL1 (1ULL << 45)
#define DESCRIPTOR_DPL (3ULL << 45)
#define DESCRIPTOR_SEGMENT (1ULL << 44) /* S: code or data */
#define DESCRIPTOR_PRESENT (1ULL << 47)
#define DESCRIPTOR_CODE (1ULL << 43)
#define DESCRIPTOR_EXPAND_DOWN (1ULL << 42) /* of data */
#define DESCRIPTOR_LONG (1ULL << 53)
#define DESCRIPTOR_BIG (1ULL << 54)   /* D/B */
#define DESCRIPTOR_PAGES (1ULL << 55) /* G */
#define DESCRIPTOR_LIMIT 0x000f00000000ffffULL

/* The guest's flat segments end at M2P_VIRTUAL_END. */
#define CODE_DPL0 0x00cf9b000000ffffULL
#define DATA_DPL0 0x00cf93000000ffffULL
#define FLAT_LIMIT ((M2P_VIRTUAL_END >> PAGE_SHIFT) - 1)
#define FLAT(access) (0x00c0000000000000ULL | (u64)(access) << 40 | (FLAT_LIMIT & 0xf0000ULL) << 32 | (FLAT_LIMIT & 0xffff))
#define TYPE_TSS 0x89ULL
#define TYPE_LDT 0x82ULL
#define GATE_INTERRUPT 0x8e
#define GATE_TRAP 0x8f
#define GATE_DPL_SHIFT 5

struct idt_gate {
    u16 offset_low, selector;
    u8 reserved, type;
    u16 offset_high;
} __attribute__((packed));

struct task_state {
    u32 link, sp0, ss0, sp1, ss1, sp2, ss2;
    u32 others[18];
    u16 trap, io_bitmap;
} __attribute__((packed));

struct table_register {
    u16 limit;
    u32 base;
} __attribute__((packed));

static struct idt_gate idt[256] __attribute__((aligned(16)));
static struct task_state tss __attribute__((aligned(128)));
