// SPDX-License-Identifier: MIT
/*
 * A kernel module that does what a broken driver does, so that a kernel's own words about it can be recorded:
 * insmod fail.ko how=NAME. Built by record.ts against Debian's kernel headers.
 */
#include <linux/bug.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kfence.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/irqflags.h>

static char *how = "";
module_param(how, charp, 0);

static struct rcu_head grace_period;

static void nothing(struct rcu_head *head)
{
}

/* Keeps the processor, asleep most of the time: the clock then skips ahead, and 30 s cost next to nothing. */
static noinline void keep_processor(unsigned int seconds)
{
	unsigned long end = jiffies + seconds * HZ;

	preempt_disable();
	while (time_before(jiffies, end))
		safe_halt();
	preempt_enable();
}

/* Sleeps where no one may, so that no grace period ends. */
static noinline void sleep_as_reader(void)
{
	rcu_read_lock();
	call_rcu(&grace_period, nothing);
	msleep(15000);
	rcu_read_unlock();
}

static noinline void take_all_memory(void)
{
	int i;

	for (i = 0; i < 64; i++)
		__get_free_pages(GFP_ATOMIC, 10);
}

static noinline void corrupt_list(void)
{
	static LIST_HEAD(head);
	static struct list_head entry;

	list_add(&entry, &head);
	head.next = &head;
	list_del(&entry);
}

static noinline void expose_memory(void)
{
	char *buffer = kmalloc(64, GFP_KERNEL);
	/* The compiler must not see that this is too much. */
	unsigned long size = strlen(how) * 16;

	if (!buffer)
		return;
	if (copy_to_user((void __user *)0x10000, buffer, size))
		pr_info("fail: copy_to_user refused\n");
	kfree(buffer);
}

static noinline void free_twice(void)
{
	refcount_t count = REFCOUNT_INIT(1);

	refcount_dec(&count);
	refcount_dec(&count);
}

/* What the checkers of build-checkers.sh look for; other kernels let most of it pass. */

static noinline void write_beyond(void)
{
	char *buffer = kmalloc(40, GFP_KERNEL);

	if (!buffer)
		return;
	OPTIMIZER_HIDE_VAR(buffer);
	buffer[40] = 1;
	kfree(buffer);
}

static noinline void read_freed(void)
{
	volatile char *buffer = kmalloc(40, GFP_KERNEL);

	if (!buffer)
		return;
	kfree((void *)buffer);
	pr_info("fail: %d\n", buffer[8]);
}

/* KFENCE guards an allocation now and then, and the page before it only of those that lie at the beginning of theirs. */
static noinline void read_before(void)
{
	unsigned long end = jiffies + 20 * HZ;

	while (time_before(jiffies, end)) {
		volatile char *buffer = kmalloc(64, GFP_KERNEL);

		if (!buffer)
			return;
		if (is_kfence_address((void *)buffer) && !offset_in_page(buffer)) {
			pr_info("fail: %d\n", buffer[-1]);
			end = jiffies;
		}
		kfree((void *)buffer);
		msleep(1);
	}
}

static noinline void shift_too_far(void)
{
	volatile int distance = 33;

	pr_info("fail: %d\n", 1 << distance);
}

static DEFINE_MUTEX(first_lock);
static DEFINE_MUTEX(second_lock);

static noinline void lock_both_ways(void)
{
	mutex_lock(&first_lock);
	mutex_lock(&second_lock);
	mutex_unlock(&second_lock);
	mutex_unlock(&first_lock);
	mutex_lock(&second_lock);
	mutex_lock(&first_lock);
	mutex_unlock(&first_lock);
	mutex_unlock(&second_lock);
}

static noinline void read_unprotected(void)
{
	static int __rcu *pointer;

	pr_info("fail: %p\n", rcu_dereference(pointer));
}

static noinline void sleep_with_interrupts_off(void)
{
	local_irq_disable();
	mutex_lock(&first_lock);
	mutex_unlock(&first_lock);
	local_irq_enable();
}

static int __init fail_init(void)
{
	if (!strcmp(how, "bug")) {
		BUG();
	} else if (!strcmp(how, "warn")) {
		WARN(1, "fail: %d of %d buffers lost\n", 3, 8);
	} else if (!strcmp(how, "null")) {
		WRITE_ONCE(*(volatile int *)8, 1);
	} else if (!strcmp(how, "wild")) {
		WRITE_ONCE(*(volatile int *)0xffffdead00000010UL, 1);
	} else if (!strcmp(how, "noncanonical")) {
		WRITE_ONCE(*(volatile int *)0x6b6b6b6b6b6b6b6bUL, 1);
	} else if (!strcmp(how, "divide")) {
		volatile unsigned int zero = 0;

		pr_info("fail: %u\n", 100 / zero);
	} else if (!strcmp(how, "panic")) {
		panic("fail: device %d does not answer", 7);
	} else if (!strcmp(how, "list")) {
		corrupt_list();
	} else if (!strcmp(how, "usercopy")) {
		expose_memory();
	} else if (!strcmp(how, "refcount")) {
		free_twice();
	} else if (!strcmp(how, "atomic")) {
		preempt_disable();
		msleep(10);
		preempt_enable();
	} else if (!strcmp(how, "allocation")) {
		take_all_memory();
	} else if (!strcmp(how, "hung")) {
		DECLARE_COMPLETION_ONSTACK(never);

		wait_for_completion(&never);
	} else if (!strcmp(how, "keep")) {
		keep_processor(45);
	} else if (!strcmp(how, "reader")) {
		sleep_as_reader();
	} else if (!strcmp(how, "beyond")) {
		write_beyond();
	} else if (!strcmp(how, "freed")) {
		read_freed();
	} else if (!strcmp(how, "before")) {
		read_before();
	} else if (!strcmp(how, "shift")) {
		shift_too_far();
	} else if (!strcmp(how, "locks")) {
		lock_both_ways();
	} else if (!strcmp(how, "unprotected")) {
		read_unprotected();
	} else if (!strcmp(how, "sleeper")) {
		sleep_with_interrupts_off();
	} else {
		pr_err("fail: how=%s is not known\n", how);
		return -EINVAL;
	}
	return 0;
}

module_init(fail_init);
MODULE_DESCRIPTION("Fails in the way asked for");
MODULE_LICENSE("Dual MIT/GPL");
