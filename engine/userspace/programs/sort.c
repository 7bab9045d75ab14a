// qsort, bsearch, and the heap under many allocations.
#include <stdlib.h>
#include <string.h>

#include "suite.h"

#define COUNT 20000

static int by_value(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}
static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }
static int by_double(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

int sort_main(void) {
  uint64_t seed = 5;
  uint64_t *values = malloc(COUNT * sizeof *values);
  for (int i = 0; i < COUNT; i++) values[i] = next_random(&seed) >> (i % 60);
  qsort(values, COUNT, sizeof *values, by_value);
  printf("integers %016llx, least %llu\n", (unsigned long long)digest(DIGEST_START, values, COUNT * sizeof *values), (unsigned long long)values[0]);
  int found = 0;
  for (int i = 0; i < COUNT; i += 17) {
    uint64_t *at = bsearch(&values[i], values, COUNT, sizeof *values, by_value);
    found += at != NULL && *at == values[i];
  }
  printf("found %d\n", found);
  char **texts = malloc(COUNT / 4 * sizeof *texts);
  for (int i = 0; i < COUNT / 4; i++) {
    size_t n = next_random(&seed) % 30;
    texts[i] = malloc(n + 1);
    for (size_t j = 0; j < n; j++) texts[i][j] = (char)('a' + next_random(&seed) % 4);
    texts[i][n] = 0;
  }
  qsort(texts, COUNT / 4, sizeof *texts, by_text);
  uint64_t hash = DIGEST_START;
  for (int i = 0; i < COUNT / 4; i++) hash = digest(hash, texts[i], strlen(texts[i]) + 1);
  printf("strings %016llx, last %s\n", (unsigned long long)hash, texts[COUNT / 4 - 1]);
  double *numbers = malloc(COUNT * sizeof *numbers);
  for (int i = 0; i < COUNT; i++) numbers[i] = (double)(int64_t)next_random(&seed) / (1 + i);
  qsort(numbers, COUNT, sizeof *numbers, by_double);
  printf("doubles %016llx\n", (unsigned long long)digest(DIGEST_START, numbers, COUNT * sizeof *numbers));
  // Allocations of all sizes, grown and freed in another order than made.
  static char *blocks[512];
  static size_t sizes[512];
  for (int i = 0; i < 20000; i++) {
    size_t k = next_random(&seed) % 512, n = next_random(&seed) % (i % 97 == 0 ? 200000 : 700);
    if (next_random(&seed) % 3 == 0) {
      free(blocks[k]);
      blocks[k] = NULL;
      sizes[k] = 0;
      continue;
    }
    blocks[k] = realloc(blocks[k], n + 1);
    if (n > sizes[k]) memset(blocks[k] + sizes[k], (int)k, n - sizes[k]);
    sizes[k] = n;
  }
  hash = DIGEST_START;
  for (int k = 0; k < 512; k++) hash = digest(hash, blocks[k], sizes[k]);
  printf("heap %016llx\n", (unsigned long long)hash);
  return 0;
}
