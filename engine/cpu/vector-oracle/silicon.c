// Executes single vector and x87 instructions on the processor it runs on. Reads cases from standard input, writes what
// became of the state to standard output; both are arrays of the structures below (see silicon.ts).
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { MEMORY = 640 };

// General registers: rax, rcx, rdx, r8, r9, rdi, then the flags. rbx points to memory + offset.
struct in {
  uint8_t code[16];
  uint32_t length;
  uint32_t offset;
  uint64_t regs[7];
  uint8_t fx[512];
  uint8_t memory[MEMORY];
} __attribute__((packed));

struct out {
  uint64_t vector; // exception vector, or ~0 for none
  uint64_t regs[7];
  uint8_t fx[512];
  uint8_t memory[MEMORY];
} __attribute__((packed));

static struct {
  uint64_t regs[7];
  uint64_t rbx;
  uint64_t code;
} state;
static uint8_t image[512] __attribute__((aligned(64)));
static uint8_t after[512] __attribute__((aligned(64)));
static uint8_t clean[512] __attribute__((aligned(64)));
static sigjmp_buf recover;
static uint64_t trapped;

static void on_signal(int signal, siginfo_t *info, void *context) {
  (void)signal;
  (void)info;
  ucontext_t *uc = context;
  trapped = uc->uc_mcontext.gregs[REG_TRAPNO];
  memcpy(after, uc->uc_mcontext.fpregs, 512);
  const int order[6] = {REG_RAX, REG_RCX, REG_RDX, REG_R8, REG_R9, REG_RDI};
  for (int i = 0; i < 6; i++) state.regs[i] = uc->uc_mcontext.gregs[order[i]];
  state.regs[6] = uc->uc_mcontext.gregs[REG_EFL];
  siglongjmp(recover, 1);
}

__attribute__((noinline)) static void execute(void) {
  __asm__ volatile(
      "fxrstor64 %[image]\n\t"
      "lea %[state], %%r12\n\t"
      "mov 0(%%r12), %%rax\n\t"
      "mov 8(%%r12), %%rcx\n\t"
      "mov 16(%%r12), %%rdx\n\t"
      "mov 24(%%r12), %%r8\n\t"
      "mov 32(%%r12), %%r9\n\t"
      "mov 40(%%r12), %%rdi\n\t"
      "mov 56(%%r12), %%rbx\n\t"
      "pushq 48(%%r12)\n\t"
      "popfq\n\t"
      "call *64(%%r12)\n\t"
      "pushfq\n\t"
      "popq 48(%%r12)\n\t"
      "mov %%rax, 0(%%r12)\n\t"
      "mov %%rcx, 8(%%r12)\n\t"
      "mov %%rdx, 16(%%r12)\n\t"
      "mov %%r8, 24(%%r12)\n\t"
      "mov %%r9, 32(%%r12)\n\t"
      "mov %%rdi, 40(%%r12)\n\t"
      "fxsave64 %[after]\n\t"
      : [state] "+m"(state), [after] "=m"(after)
      : [image] "m"(image)
      : "rax", "rbx", "rcx", "rdx", "rdi", "r8", "r9", "r12", "memory", "cc");
}

int main(void) {
  uint8_t *code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  uint8_t *memory = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code == MAP_FAILED || memory == MAP_FAILED) return 1;
  stack_t alternate = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
  sigaltstack(&alternate, 0);
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
  const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
  for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, 0);
  __asm__ volatile("fxsave64 %0" : "=m"(clean));

  static struct in in;
  static struct out out;
  while (fread(&in, sizeof in, 1, stdin) == 1) {
    memcpy(code, in.code, in.length);
    code[in.length] = 0xc3;
    memcpy(memory, in.memory, MEMORY);
    memcpy(image, in.fx, 512);
    memcpy(state.regs, in.regs, sizeof in.regs);
    state.regs[5] = (uint64_t)(memory + in.offset); // rdi as well, for MASKMOVDQU
    state.rbx = (uint64_t)(memory + in.offset);
    state.code = (uint64_t)code;
    trapped = ~(uint64_t)0;
    if (!sigsetjmp(recover, 0)) execute();
    __asm__ volatile("fxrstor64 %0" : : "m"(clean));
    out.vector = trapped;
    memcpy(out.regs, state.regs, sizeof out.regs);
    memcpy(out.fx, after, 512);
    memcpy(out.memory, memory, MEMORY);
    fwrite(&out, sizeof out, 1, stdout);
  }
  return 0;
}
