/* Text, by Xen's port for it, which needs no hypercall; and the end. */

#include "guest.h"

static void out8(unsigned short port, unsigned char value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

void print(const char *text)
{
	while (*text)
		out8(0xe9, (unsigned char)*text++);
}

void print_number(long value)
{
	char digits[24];
	unsigned i = sizeof(digits);
	unsigned long left = value < 0 ? -(unsigned long)value : (unsigned long)value;

	digits[--i] = 0;
	do
		digits[--i] = (char)('0' + left % 10);
	while (left /= 10);
	if (value < 0)
		digits[--i] = '-';
	print(&digits[i]);
}

void power_off(void)
{
	struct sched_shutdown shutdown = {.reason = SHUTDOWN_poweroff};

	hypercall(path_vmcall, __HYPERVISOR_sched_op, SCHEDOP_shutdown, (unsigned long)&shutdown, 0);
	for (;;)
		__asm__ volatile("cli; hlt");
}

void fatal(long vector, unsigned long ip)
{
	print("FAIL exception ");
	print_number(vector);
	print(" at ");
	print_number((long)ip);
	print("\n");
	power_off();
}
