// An instruction of x86-64-v2 whatever this was built for: on a processor of v1 the program ends by SIGILL.
#include "suite.h"

int features_main(void) {
  uint64_t x = 0xff00ff, n;
  __asm__ volatile("popcntq %1, %0" : "=r"(n) : "r"(x) : "cc");
  printf("popcnt %llu\n", (unsigned long long)n);
  return 0;
}
