import { functionOf } from "./title.ts";

/** What is remembered of a call trace, innermost frame first. */
export interface Frames {
  /** The innermost frame that says something about the failure. */
  readonly first: string | null;
  /** The frame before the one just read. */
  readonly previous: string | null;
  /** The function that do_one_initcall called. */
  readonly initcall: string | null;
  /** do_one_initcall is in the trace. */
  readonly inInitcall: boolean;
}

export const NO_FRAMES: Frames = { first: null, previous: null, initcall: null, inInitcall: false };

/** Functions that report, wait, allocate or check for others: the failure is their caller's. */
const GENERIC = new RegExp(
  `^_*(?:${[
    "dump_stack",
    "show_stack",
    "panic(?![a-z])",
    "warn(?![a-z])",
    "warn_alloc",
    "report_bug",
    "handle_bug",
    "die",
    "oops_",
    "page_fault_oops",
    "(?:asm_)?exc_",
    "(?:asm_)?sysvec_",
    "schedule",
    "io_schedule",
    "wait_for_common",
    "wait_for_completion",
    "msleep",
    "usleep_range",
    "mutex_lock",
    "mutex_trylock",
    "might_(?:sleep|resched|fault)",
    "lockdep_",
    "lock_acquire",
    "check_(?:noncircular|deadlock|irq_usage|prev_add)",
    "validate_chain",
    "print_(?:circular|deadlock|report|usage|bad_irq|irq_inversion)",
    "kasan_",
    "ubsan_",
    "rwsem_",
    "down_(?:read|write|killable|interruptible|timeout)",
    "xen_(?:hypercall|safe_halt|safe_halt_pv)",
    "native_",
    "raw_spin_",
    "refcount_warn_saturate",
    "list_(?:add|del)",
    "usercopy_abort",
    "check_(?:heap_object|object_size)",
    "copy_(?:to|from)_user",
    "copy_overflow",
    "alloc_pages",
    "get_free_pages",
    "kmalloc",
    "kmem_cache_alloc",
    "rcu_(?:dump|check|note|sched_clock)",
    "mem(?:cpy|set|move)",
    "str(?:len|cpy|cmp|ncpy|scpy)",
  ].join("|")})`,
);

/** Whether a function says nothing about a failure. */
export function isGeneric(name: string): boolean {
  return GENERIC.test(name);
}

/** The function of a frame the unwinder is sure of; undefined for a "?" frame and for other lines. */
export function frameOf(text: string): string | undefined {
  return text.startsWith(" ") && !text.trimStart().startsWith("? ") ? functionOf(text) : undefined;
}

export function withFrame(frames: Frames, name: string): Frames {
  const isInitcall = name === "do_one_initcall";
  return {
    first: frames.first ?? (isGeneric(name) ? null : name),
    previous: name,
    initcall: frames.initcall ?? (isInitcall && !frames.inInitcall ? frames.previous : null),
    inInitcall: frames.inInitcall || isInitcall,
  };
}
