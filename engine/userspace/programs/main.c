// suite NAME: one of the programs.
#include <string.h>

#include "suite.h"

static const struct {
  const char *name;
  int (*run)(void);
} PROGRAMS[] = {
    {"crypto", crypto_main}, {"bignum", bignum_main},   {"print", print_main},     {"regex", regex_main},
    {"sort", sort_main},     {"math", math_main},       {"strings", strings_main}, {"control", control_main},
    {"threads", threads_main}, {"vector", vector_main}, {"features", features_main},
};

int main(int argc, char **argv) {
  for (size_t i = 0; i < sizeof PROGRAMS / sizeof *PROGRAMS; i++)
    if (argc == 2 && strcmp(argv[1], PROGRAMS[i].name) == 0) return PROGRAMS[i].run();
  fprintf(stderr, "no such program\n");
  return 64;
}
