/* What the files of the guest share. Xen's own headers say what its structures are. */

#pragma once

#include <stddef.h>
#include <stdint.h>

#define __XEN_INTERFACE_VERSION__ 0x00040e00
#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/arch-x86/hvm/start_info.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#define PAGE 4096UL
/** Four GiB pages of address space are free here; see start.S. */
#define WINDOW 0x40000000UL

/** Start.S. */
extern void path_vmcall(void), path_vmmcall(void), path_page(void);
extern long hypercall(void (*path)(void), long number, unsigned long a1, unsigned long a2, unsigned long a3);
extern long user_hypercall(void (*path)(void), long number, unsigned long a1, unsigned long a2, unsigned long a3);
extern int clobbered;
extern unsigned long page_used;
/** Physical addresses: of struct hvm_start_info, or of Linux's struct boot_params; the other one is 0. */
extern uint32_t start_info, boot_params;

/** print.c */
void print(const char *text);
void print_number(long value);
void fatal(long vector, unsigned long ip) __attribute__((noreturn));
void power_off(void) __attribute__((noreturn));

/** rows.c */
#define ARG 0xa0000001UL	/* the block, copied to a page of its own */
#define POSITIVE 0x7fffffff	/* any result above zero */
#define NOTHING 0x7ffffffe	/* whatever the result is */

struct row {
	const char *name;
	long number;
	unsigned long a1, a2, a3;
	const void *block;
	unsigned long bytes;
	long expected;
};
extern const struct row rows[];
extern const unsigned long row_count;

/** A call that is given a pointer: in argument `at`, to so many bytes. */
struct pointer_call {
	long number;
	unsigned long op;
	int at;
	unsigned long bytes;
	long expected;
};
extern const struct pointer_call pointer_calls[];
extern const unsigned long pointer_call_count;
extern const unsigned char offered[];
extern const unsigned long offered_count;
