// The oracle: runs short pieces of x86 code on the processor of this machine, from a complete user-mode state, and
// reports the complete state at the fault or trap that ended them.
//
// There is one loop, and it lives in the signal handler. Every case ends by a signal (INT3 behind the code, or the fault
// that the case is about); the kernel writes the whole state of the case into the signal frame; the handler copies it
// into the answer, writes the next case's state over the frame and returns, so that sigreturn loads every register,
// the flags, RSP, CS and the FXSAVE image at once. One signal a case, no ptrace, no second process.
//
// It is freestanding on purpose: no C library, hence no thread-local storage, so a case may do what it likes with FS.
// A seccomp filter turns every system call from below 4 GiB (where the cases live) into SIGSYS.
//
// Protocol, little-endian, stdin to stdout; lengths include the header. protocol.ts is the other end.
//   set-up:   u32 regions, u32 0, then per region: u64 address, u64 bytes, u32 PROT_*, u32 0, the bytes
//   request:  u32 length, u32 pokes, state (STATE_BYTES), then per poke: u64 address, u32 n, u32 0, n bytes padded to 8
//   response: u32 length, u32 signal, u32 trap number, u32 error code, u64 cr2, u32 changes, u32 0, state,
//             then per changed run of memory: u64 address, u32 n, u32 0, n bytes padded to 8
// Signal 26 (SIGVTALRM) in a response: the case did not end within two ticks of the watchdog, which counts the processor's time: a
// process that has to wait for its turn is not endless.

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/memfd.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

#include <asm/prctl.h>
#include <asm/sigcontext.h>
#include <asm/unistd.h>
#include <linux/prctl.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define PAGE 4096u
#define MAX_REGIONS 16
#define MAX_POKES 256
#define INPUT_BYTES (1u << 20)
#define OUTPUT_BYTES (1u << 20)
#define ALTSTACK_BYTES (1u << 16)
#define TICK_MICROSECONDS 50000
#define CHUNK 64u

enum { ITIMER_VIRTUAL = 1 };
enum { SIG_ILL = 4, SIG_TRAP = 5, SIG_BUS = 7, SIG_FPE = 8, SIG_SEGV = 11, SIG_VTALRM = 26, SIG_SYS = 31 };

// A processor state on the wire. General registers are in the order of their encoding.
struct state {
  u64 gpr[16];
  u64 rip, rflags, fs_base, gs_base;
  u16 es, cs, ss, ds, fs, gs, pad[2];
  u8 fx[512];
};
#define STATE_BYTES sizeof(struct state)

struct request {
  u32 length, pokes;
  struct state state;
};

struct response {
  u32 length, signal, trap, error;
  u64 cr2;
  u32 changes, zero;
  struct state state;
};

struct range {
  u64 address;
  u32 bytes, zero;
};

struct region {
  u64 address, bytes;
  u32 prot;
  u8 *alias;   // the same memory, always writable, elsewhere
  u8 *before;  // what it held when the case began
  u8 *base;    // what it holds between cases
};

static struct region regions[MAX_REGIONS];
static u32 region_count;
static struct range poked[MAX_POKES];
static u32 poked_count;

static u8 input[INPUT_BYTES] __attribute__((aligned(16)));
static u32 input_from, input_to;
static u8 output[OUTPUT_BYTES] __attribute__((aligned(16)));
static u32 output_bytes;
static u8 altstack[ALTSTACK_BYTES] __attribute__((aligned(64)));

static u64 case_number, watched_case;
static u32 watched_ticks;
static int started;

static long call6(long n, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return result;
}
#define CALL(n, a, b, c) call6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)

static _Noreturn void quit(int code) {
  for (;;) CALL(__NR_exit_group, code, 0, 0);
}

static _Noreturn void die(const char *message) {
  u32 n = 0;
  while (message[n]) n++;
  CALL(__NR_write, 2, message, n);
  CALL(__NR_write, 2, "\n", 1);
  quit(70);
}

// gcc emits calls to these two even in freestanding code.
void *memcpy(void *to, const void *from, size_t n) {
  void *d = to;
  __asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(n) : : "memory");
  return to;
}
void *memset(void *to, int value, size_t n) {
  void *d = to;
  __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(value) : "memory");
  return to;
}

static void flush(void) {
  u32 done = 0;
  while (done < output_bytes) {
    long n = CALL(__NR_write, 1, output + done, output_bytes - done);
    if (n == -4) continue;
    if (n <= 0) quit(0);
    done += (u32)n;
  }
  output_bytes = 0;
}

// Makes at least n bytes of input contiguous and available.
static u8 *need(u32 n) {
  if (n > INPUT_BYTES) die("harness: message too long");
  if (input_to - input_from < n) {
    if (input_from + n > INPUT_BYTES) {
      memcpy(input, input + input_from, input_to - input_from);
      input_to -= input_from;
      input_from = 0;
    }
    flush();
    while (input_to - input_from < n) {
      long got = CALL(__NR_read, 0, input + input_to, INPUT_BYTES - input_to);
      if (got == -4) continue;
      if (got <= 0) quit(0);
      input_to += (u32)got;
    }
  }
  return input + input_from;
}

static void *map(u64 address, u64 bytes, u32 prot, int flags, int fd) {
  long at = call6(__NR_mmap, (long)address, (long)bytes, prot, flags, fd, 0);
  if (at < 0 && at > -4096) die("harness: mmap failed");
  return (void *)at;
}

enum { READ = 1, WRITE = 2, SHARED = 1, PRIVATE = 2, FIXED_NOREPLACE = 0x100000, ANONYMOUS = 0x20 };

static void set_up_memory(void) {
  u32 *head = (u32 *)need(8);
  region_count = head[0];
  if (region_count > MAX_REGIONS) die("harness: too many regions");
  input_from += 8;
  for (u32 i = 0; i < region_count; i++) {
    struct { u64 address, bytes; u32 prot, zero; } h;
    memcpy(&h, need(24), 24);
    input_from += 24;
    struct region *r = &regions[i];
    r->address = h.address;
    r->bytes = h.bytes;
    r->prot = h.prot;
    int fd = (int)CALL(__NR_memfd_create, "case", 0, 0);
    if (fd < 0 || CALL(__NR_ftruncate, fd, h.bytes, 0) < 0) die("harness: memfd failed");
    r->alias = map(0, h.bytes, READ | WRITE, SHARED, fd);
    r->before = map(0, h.bytes, READ | WRITE, PRIVATE | ANONYMOUS, -1);
    r->base = map(0, h.bytes, READ | WRITE, PRIVATE | ANONYMOUS, -1);
    void *at = map(h.address, h.bytes, h.prot, SHARED | FIXED_NOREPLACE, fd);
    if ((u64)at != h.address) die("harness: address taken");
    for (u64 done = 0; done < h.bytes; done += PAGE) memcpy(r->alias + done, need(PAGE), PAGE), input_from += PAGE;
    memcpy(r->before, r->alias, h.bytes);
    memcpy(r->base, r->alias, h.bytes);
    // Touched now, so that no case sees the page fault of a page that is only not there yet.
    for (u64 done = 0; done < h.bytes; done += PAGE) (void)*(volatile u8 *)(h.address + done);
  }
}

static struct region *region_of(u64 address, u32 bytes) {
  for (u32 i = 0; i < region_count; i++) {
    struct region *r = &regions[i];
    if (address >= r->address && address + bytes <= r->address + r->bytes) return r;
  }
  die("harness: poke outside the regions");
}

static int chunk_differs(const u64 *a, const u64 *b) {
  u64 d = 0;
  for (u32 i = 0; i < CHUNK / 8; i++) d |= a[i] ^ b[i];
  return d != 0;
}

// Appends every changed run of memory to the response, and puts memory back to its base.
static u32 collect_changes(u8 **out) {
  u32 changes = 0;
  u8 *limit = output + OUTPUT_BYTES - PAGE;
  for (u32 i = 0; i < region_count; i++) {
    struct region *r = &regions[i];
    for (u64 at = 0; at < r->bytes; at += CHUNK) {
      if (!chunk_differs((u64 *)(r->alias + at), (u64 *)(r->before + at))) continue;
      for (u64 p = at; p < at + CHUNK;) {
        if (r->alias[p] == r->before[p]) {
          p++;
          continue;
        }
        u64 end = p + 1;
        while (end < at + CHUNK && r->alias[end] != r->before[end]) end++;
        struct range *c = (struct range *)*out;
        u32 n = (u32)(end - p);
        if (*out + sizeof *c + n + 8 > limit) die("harness: too many changes");
        c->address = r->address + p;
        c->bytes = n;
        c->zero = 0;
        memcpy(c + 1, r->alias + p, n);
        *out += sizeof *c + ((n + 7) & ~7u);
        changes++;
        p = end;
      }
      memcpy(r->alias + at, r->base + at, CHUNK);
    }
  }
  for (u32 i = 0; i < poked_count; i++) {
    struct region *r = region_of(poked[i].address, poked[i].bytes);
    u64 at = poked[i].address - r->address;
    memcpy(r->alias + at, r->base + at, poked[i].bytes);
    memcpy(r->before + at, r->base + at, poked[i].bytes);
  }
  poked_count = 0;
  return changes;
}

// The kernel's signal frame, as far as it is used here (asm/ucontext.h, asm/sigcontext.h).
struct frame {
  u64 flags;
  void *link;
  u64 stack[3];
  struct sigcontext_64 regs;
};

static u64 *gpr_of(struct sigcontext_64 *c, int n) {
  switch (n) {
    case 0: return (u64 *)&c->ax;
    case 1: return (u64 *)&c->cx;
    case 2: return (u64 *)&c->dx;
    case 3: return (u64 *)&c->bx;
    case 4: return (u64 *)&c->sp;
    case 5: return (u64 *)&c->bp;
    case 6: return (u64 *)&c->si;
    case 7: return (u64 *)&c->di;
    default: return (u64 *)&c->r8 + (n - 8);
  }
}

enum { FX_SW_RESERVED = 464, XSTATE_BV = 512, MXCSR_MASK = 0xffff };

static void answer(int signal, struct frame *f) {
  if (OUTPUT_BYTES - output_bytes < OUTPUT_BYTES / 2) flush();
  struct response *r = (struct response *)(output + output_bytes);
  struct sigcontext_64 *c = &f->regs;
  r->signal = (u32)signal;
  r->trap = (u32)c->trapno;
  r->error = (u32)c->err;
  r->cr2 = c->cr2;
  r->zero = 0;
  struct state *s = &r->state;
  for (int i = 0; i < 16; i++) s->gpr[i] = *gpr_of(c, i);
  s->rip = c->ip;
  s->rflags = c->flags;
  __asm__ volatile("rdfsbase %0" : "=r"(s->fs_base));
  __asm__ volatile("rdgsbase %0" : "=r"(s->gs_base));
  s->cs = c->cs;
  s->ss = c->ss;
  __asm__ volatile("mov %%es, %0" : "=r"(s->es));
  __asm__ volatile("mov %%ds, %0" : "=r"(s->ds));
  __asm__ volatile("mov %%fs, %0" : "=r"(s->fs));
  __asm__ volatile("mov %%gs, %0" : "=r"(s->gs));
  s->pad[0] = s->pad[1] = 0;
  memcpy(s->fx, (u8 *)c->fpstate, 512);
  memset(s->fx + FX_SW_RESERVED, 0, 512 - FX_SW_RESERVED);
  u8 *end = (u8 *)(r + 1);
  r->changes = collect_changes(&end);
  r->length = (u32)(end - (u8 *)r);
  output_bytes += r->length;
}

static void load(struct frame *f) {
  u32 length = *(u32 *)need(4);
  struct request *q = (struct request *)need(length);
  if (length < sizeof *q || q->pokes > MAX_POKES) die("harness: bad request");
  struct sigcontext_64 *c = &f->regs;
  struct state *s = &q->state;
  for (int i = 0; i < 16; i++) *gpr_of(c, i) = s->gpr[i];
  c->ip = s->rip;
  c->flags = s->rflags;
  c->cs = s->cs;
  c->ss = s->ss;
  u8 *fx = (u8 *)c->fpstate;
  memcpy(fx, s->fx, 28);            // the control area up to MXCSR; MXCSR_MASK stays
  memcpy(fx + 32, s->fx + 32, 384);  // ST0-ST7, XMM0-XMM15
  *(u32 *)(fx + 24) &= MXCSR_MASK;
  *(u64 *)(fx + XSTATE_BV) |= 3;     // x87 and SSE are in the frame; else sigreturn would take their initial state
  __asm__ volatile("mov %0, %%es" : : "r"(s->es));
  __asm__ volatile("mov %0, %%ds" : : "r"(s->ds));
  __asm__ volatile("mov %0, %%fs" : : "r"(s->fs));
  __asm__ volatile("mov %0, %%gs" : : "r"(s->gs));
  __asm__ volatile("wrfsbase %0" : : "r"(s->fs_base));
  __asm__ volatile("wrgsbase %0" : : "r"(s->gs_base));
  u8 *p = (u8 *)(q + 1);
  for (u32 i = 0; i < q->pokes; i++) {
    struct range *k = (struct range *)p;
    struct region *r = region_of(k->address, k->bytes);
    u64 at = k->address - r->address;
    memcpy(r->alias + at, k + 1, k->bytes);
    memcpy(r->before + at, k + 1, k->bytes);
    poked[poked_count++] = *k;
    p += sizeof *k + ((k->bytes + 7) & ~7u);
  }
  input_from += length;
  case_number++;
}

__attribute__((used)) void on_signal(int signal, void *info, struct frame *f) {
  (void)info;
  if (signal == SIG_VTALRM) {
    if (!started || watched_case != case_number) {
      watched_case = case_number;
      watched_ticks = 0;
      return;
    }
    if (++watched_ticks < 2) return;
  }
  if (started) answer(signal, f);
  started = 1;
  load(f);
}

_Static_assert(offsetof(struct frame, regs.flags) == 176, "signal_return reads the flags there");

// Cases may leave AC set, and the handler's own code is not written for alignment checks. NT and ID would last: sigreturn
// takes them not from the frame but from whoever calls it (arch/x86/kernel/signal_64.c FIX_EFLAGS). So they are cleared at first, and at
// last they are what the frame says: those of the next case, or those of the one that a tick of the watchdog came upon.
__asm__(
    ".globl signal_entry\n"
    "signal_entry:\n"
    "  pushfq\n"
    "  andq $~0x244000, (%rsp)\n"
    "  popfq\n"
    "  jmp on_signal\n"
    ".globl signal_return\n"
    "signal_return:\n"
    "  movl 176(%rsp), %eax\n"
    "  andl $0x204000, %eax\n"
    "  pushfq\n"
    "  orq %rax, (%rsp)\n"
    "  popfq\n"
    "  movl $15, %eax\n"
    "  syscall\n"
    ".globl _start\n"
    "_start:\n"
    "  xorl %ebp, %ebp\n"
    "  andq $-16, %rsp\n"
    "  call run\n"
    "  ud2\n");
extern void signal_entry(void);
extern void signal_return(void);

struct kernel_sigaction {
  void (*handler)(void);
  u64 flags;
  void (*restorer)(void);
  u64 mask;
};

static void install_all(void) {
  static const int signals[] = {SIG_ILL, SIG_TRAP, SIG_BUS, SIG_FPE, SIG_SEGV, SIG_VTALRM, SIG_SYS};
  for (u32 i = 0; i < sizeof signals / sizeof *signals; i++) {
    struct kernel_sigaction a = {signal_entry, 0x08000000 | 0x04000000 | 4, signal_return, ~0ull};
    if (call6(__NR_rt_sigaction, signals[i], (long)&a, 0, 8, 0, 0) < 0) die("harness: sigaction failed");
  }
}

static void forbid_calls_from_cases(void) {
  struct sock_filter program[] = {
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, instruction_pointer) + 4},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_TRAP},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
  };
  struct { u16 length; struct sock_filter *filter; } fprog = {4, program};
  if (CALL(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0) < 0) die("harness: no_new_privs failed");
  if (CALL(__NR_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &fprog) < 0) die("harness: seccomp failed");
}

__attribute__((used)) void run(void) {
  set_up_memory();
  struct { void *at; int flags; u64 bytes; } stack = {altstack, 0, ALTSTACK_BYTES};
  if (CALL(__NR_sigaltstack, &stack, 0, 0) < 0) die("harness: sigaltstack failed");
  install_all();
  forbid_calls_from_cases();
  struct { long every_s, every_us, first_s, first_us; } tick = {0, TICK_MICROSECONDS, 0, TICK_MICROSECONDS};
  if (CALL(__NR_setitimer, ITIMER_VIRTUAL, &tick, 0) < 0) die("harness: setitimer failed");
  __asm__ volatile("int3");
  die("harness: the first case did not start");
}
