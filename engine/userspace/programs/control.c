// Control that leaves the ordinary path: setjmp, signals by faults of the processor, alternate stacks, variable arguments.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "suite.h"

static sigjmp_buf back;
static volatile long caught_signal, caught_trap, caught_error;
static char *volatile fault_at;
static char *page;

static void on_signal(int number, siginfo_t *info, void *context) {
  ucontext_t *u = context;
  caught_signal = number;
  caught_trap = u->uc_mcontext.gregs[REG_TRAPNO];
  caught_error = u->uc_mcontext.gregs[REG_ERR];
  fault_at = number == SIGSEGV ? info->si_addr : NULL;
  siglongjmp(back, info->si_code);
}

static void attempt(const char *what, void (*run)(void)) {
  int code = sigsetjmp(back, 1);
  if (code == 0) {
    run();
    printf("%s: nothing\n", what);
  } else printf("%s: signal %ld code %d trap %ld error %ld at %ld\n", what, caught_signal, code, caught_trap, caught_error, fault_at ? (long)(fault_at - page) : -1);
}

static volatile int zero;
static void divide(void) { zero = 7 / zero; }
static void divide_overflow(void) { __asm__ volatile("movl $0x80000000, %%eax; cltd; movl $-1, %%ecx; idivl %%ecx" ::: "eax", "ecx", "edx"); }
static void undefined(void) { __asm__ volatile("ud2"); }
static void write_read_only(void) { page[5] = 1; }
static void read_nothing(void) { zero = page[4096 + 16]; }
static void execute_data(void) { ((void (*)(void))page)(); }
static void privileged(void) { __asm__ volatile("hlt"); }
static void breakpoint(void) { __asm__ volatile("int3"); }
static void not_canonical(void) { zero = *(volatile char *)0x8000000000000000ull; }
static void simd_exception(void) {
  unsigned mxcsr = 0x1f80 & ~0x200u, old = 0x1f80;
  __asm__ volatile("ldmxcsr %0; xorps %%xmm0, %%xmm0; divss %%xmm0, %%xmm0; ldmxcsr %1" ::"m"(mxcsr), "m"(old) : "xmm0");
  mxcsr = 0x1f80 & ~0x80u;
  __asm__ volatile("ldmxcsr %0; xorps %%xmm0, %%xmm0; divss %%xmm0, %%xmm0; ldmxcsr %1" ::"m"(mxcsr), "m"(old) : "xmm0");
}
static void x87_exception(void) {
  unsigned short word = 0x37b;
  __asm__ volatile("fnclex; fldcw %0; fldz; fld1; fdivp; fwait" ::"m"(word));
}

static long sum(int n, ...) {
  va_list list;
  va_start(list, n);
  double total = 0;
  for (int i = 0; i < n; i++) total += i % 2 ? va_arg(list, double) : va_arg(list, int);
  va_end(list);
  return (long)total;
}

static jmp_buf deep;
#pragma GCC diagnostic ignored "-Winfinite-recursion"
static int descend(int n) {
  char filler[64];
  memset(filler, n, sizeof filler);
  if (n == 0) longjmp(deep, 77);
  return descend(n - 1) + filler[3];
}

int control_main(void) {
  page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  page[0] = (char)0xc3;
  mprotect(page, 4096, PROT_READ);
  mprotect(page + 4096, 4096, PROT_NONE);
  static char stack[65536];
  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alternate, NULL);
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  static const int signals[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGTRAP};
  for (int i = 0; i < 5; i++) sigaction(signals[i], &action, NULL);
  attempt("divide by zero", divide);
  attempt("divide overflow", divide_overflow);
  attempt("undefined opcode", undefined);
  attempt("write to read-only", write_read_only);
  attempt("read of nothing", read_nothing);
  attempt("execute data", execute_data);
  attempt("privileged", privileged);
  attempt("breakpoint", breakpoint);
  attempt("not canonical", not_canonical);
  attempt("simd exception", simd_exception);
  unsigned mxcsr = 0x1f80;
  __asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
  attempt("x87 exception", x87_exception);
  __asm__ volatile("fninit");
  volatile int rounds = 0;
  int got = setjmp(deep);
  if (got == 0 || rounds < 100) {
    rounds++;
    descend(200);
  }
  printf("longjmp gave %d after %d rounds\n", got, rounds);
  printf("variable arguments %ld\n", sum(6, 1, 2.5, 3, 4.5, 5, 6.0));
  int ends[2];
  if (pipe(ends) != 0) return 1;
  fflush(stdout);
  for (int i = 0; i < 5; i++) {
    pid_t child = fork();
    if (child == 0) {
      char text[32];
      int n = snprintf(text, sizeof text, "child %d;", i * i);
      if (write(ends[1], text, (size_t)n) != n) _exit(1);
      if (i == 4) raise(SIGKILL);
      _exit(i);
    }
    int status;
    waitpid(child, &status, 0);
    printf("child %d: %s %d\n", i, WIFEXITED(status) ? "exit" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
  }
  char text[200];
  ssize_t n = read(ends[0], text, sizeof text);
  printf("%.*s\n", (int)n, text);
  return 0;
}
