/* What descriptors, gates and the task state of emu64 look like; a part of descriptors.c. */

/* Descriptor bits, SDM vol. 3A figure 3-8. */
#define DESCRIPTOR_DPL3 (3UL << 45)
#define DESCRIPTOR_SEGMENT (1UL << 44) /* S: code or data */
#define DESCRIPTOR_PRESENT (1UL << 47)
#define DESCRIPTOR_TYPE (15UL << 40)

#define CODE64_DPL0 0x00af9b000000ffffUL
#define DATA_DPL0 0x00cf93000000ffffUL
#define CODE32_DPL3 0x00cffb000000ffffUL
#define DATA_DPL3 0x00cff3000000ffffUL
#define CODE64_DPL3 0x00affb000000ffffUL
#define TYPE_TSS 0x89UL
#define TYPE_LDT 0x82UL
#define GATE_INTERRUPT 0x8e
#define GATE_DPL3 0x60

struct idt_gate {
    u16 offset_low, selector;
    u8 ist, type;
    u16 offset_middle;
    u32 offset_high, reserved;
} __attribute__((packed));

struct task_state {
    u32 reserved0;
    u64 rsp[3];
    u64 reserved1;
    u64 ist[7];
    u64 reserved2;
    u16 reserved3, io_bitmap;
} __attribute__((packed));

struct table_register {
    u16 limit;
    u64 base;
} __attribute__((packed));

static struct idt_gate idt[256] __attribute__((aligned(16)));
static struct task_state tss __attribute__((aligned(128)));
