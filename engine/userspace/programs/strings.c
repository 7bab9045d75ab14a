// String functions at every alignment, against the end of what is mapped: C libraries have variants of them for what the
// processor offers, and the wrong one, or a load too many, shows here.
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <wchar.h>

#include "suite.h"

#define PAGE 4096

/** A page that the next one after it is not mapped behind. */
static char *page_before_nothing(void) {
  char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED || mprotect(p + PAGE, PAGE, PROT_NONE) != 0) abort();
  return p;
}

static int sign(int x) { return (x > 0) - (x < 0); }
static long at(const char *from, const void *p) { return p == NULL ? -1 : (const char *)p - from; }

int strings_main(void) {
  char *a = page_before_nothing(), *b = page_before_nothing();
  uint64_t seed = 29, hash = DIGEST_START;
  for (size_t length = 0; length < 200; length += length < 70 ? 1 : 13) {
    for (size_t offset = 0; offset < 64; offset += length < 40 ? 1 : 5) {
      // Both strings end where the page ends, or `offset` before it.
      char *s = a + PAGE - length - 1 - offset, *t = b + PAGE - length - 1;
      for (size_t i = 0; i < length; i++) s[i] = t[i] = (char)(1 + next_random(&seed) % 120);
      s[length] = t[length] = 0;
      size_t k = length ? next_random(&seed) % length : 0;
      char c = (char)(1 + next_random(&seed) % 127);
      long results[40];
      int n = 0;
      results[n++] = (long)strlen(s);
      results[n++] = (long)strnlen(s, k);
      results[n++] = at(s, strchr(s, c));
      results[n++] = at(s, strrchr(s, c));
      results[n++] = at(s, memchr(s, c, length));
      results[n++] = at(s, memrchr(s, c, length));
      results[n++] = at(s, memchr(s, 0, length + 1));
      results[n++] = at(s, strchrnul(s, c));
      results[n++] = sign(strcmp(s, t));
      if (length) t[k] ^= 1;
      results[n++] = sign(strcmp(s, t));
      results[n++] = sign(strncmp(s, t, k));
      results[n++] = sign(memcmp(s, t, length));
      results[n++] = sign(strcasecmp(s, t));
      results[n++] = sign(strncasecmp(s, t, k + 1));
      char set[3] = {c, (char)(c ^ 5), 0};
      results[n++] = (long)strspn(s, set);
      results[n++] = (long)strcspn(s, set);
      results[n++] = at(s, strpbrk(s, set));
      results[n++] = at(s, strstr(s, s + length - (length < 4 ? length : 4)));
      results[n++] = at(s, memmem(s, length, t + k, length - k < 3 ? length - k : 3));
      hash = digest(hash, results, (size_t)n * sizeof *results);
      memcpy(t, s, length + 1);
      results[0] = at(t, stpcpy(t, s));
      memmove(a + offset, a + offset + 3, length + 64);
      memmove(a + offset + 5, a + offset, length + 64);
      memset(b + offset, c, length);
      strncpy(b + 512 + offset, s, length / 2 + 3);
      hash = digest(digest(hash, results, sizeof *results), b, PAGE);
      hash = digest(hash, a, 512);
    }
  }
  printf("bytes %016llx\n", (unsigned long long)hash);
  wchar_t *w = (wchar_t *)a, *v = (wchar_t *)b;
  for (size_t length = 0; length < 60; length++) {
    wchar_t *s = w + PAGE / 4 - length - 1, *t = v + PAGE / 4 - length - 1;
    for (size_t i = 0; i < length; i++) s[i] = t[i] = (wchar_t)(1 + next_random(&seed) % 1000);
    s[length] = t[length] = 0;
    if (length) t[length / 2]++;
    long results[] = {(long)wcslen(s), sign(wcscmp(s, t)), sign(wmemcmp(s, t, length)), wcschr(s, 500) ? wcschr(s, 500) - s : -1};
    hash = digest(hash, results, sizeof results);
  }
  printf("wide %016llx\n", (unsigned long long)hash);
  // Large copies: the variants for them begin at some kibibytes.
  char *large = malloc(1 << 20), *copy = malloc(1 << 20);
  for (size_t i = 0; i < 1 << 20; i++) large[i] = (char)next_random(&seed);
  for (size_t n = 1000; n < 1000000; n = n * 3 + 7) {
    memcpy(copy + 3, large + 1, n);
    memmove(copy + 40, copy, n);
    memset(copy + n / 2, 7, n / 3);
    hash = digest(hash, copy, n < 60000 ? n : 60000);
  }
  printf("large %016llx, %d\n", (unsigned long long)hash, memcmp(large, copy, 1 << 20) != 0);
  char text[] = "one, two;three  four";
  for (char *word = strtok(text, ",; "); word; word = strtok(NULL, ",; ")) printf("[%s]", word);
  printf("\n");
  return 0;
}
