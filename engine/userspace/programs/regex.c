// POSIX regular expressions over made-up text.
#include <regex.h>
#include <string.h>

#include "suite.h"

static const char *const PATTERNS[] = {
    "^[a-z]+@[a-z]+\\.(com|org|net)$", "(foo|bar)+baz",  "[0-9]{3}-[0-9]{4}", "([a-c]*)([b-d]*)(x?)", "^(a?){12}a{12}$",
    "[[:upper:]][[:lower:]]+ [[:digit:]]{2,4}", "(.*)(,)(.*)", "x(y(z|w)*)?$", "^$", "[^aeiou]{5}", "(a|ab)(c|bcd)(d*)",
};
static const char *const TEXTS[] = {
    "someone@example.org", "foobarfoobaz", "call 555-1234 now", "abcbcdx", "aaaaaaaaaaaa", "The year: March 1987, May 24",
    "one,two,three", "xyzwzwz", "", "rhythms and strengths", "abcd", "someone@example.edu", "foo",
};

int regex_main(void) {
  uint64_t hash = DIGEST_START;
  for (size_t p = 0; p < sizeof PATTERNS / sizeof *PATTERNS; p++) {
    regex_t re;
    int error = regcomp(&re, PATTERNS[p], REG_EXTENDED);
    printf("%s: %d, %zu groups\n", PATTERNS[p], error, re.re_nsub);
    if (error) continue;
    for (size_t t = 0; t < sizeof TEXTS / sizeof *TEXTS; t++) {
      regmatch_t m[5];
      if (regexec(&re, TEXTS[t], 5, m, 0) != 0) continue;
      printf("  \"%s\":", TEXTS[t]);
      for (size_t i = 0; i <= re.re_nsub && i < 5; i++) printf(" %d-%d", (int)m[i].rm_so, (int)m[i].rm_eo);
      printf("\n");
    }
    // A longer text, all matches one after the other.
    uint64_t seed = 11 + p;
    char text[4001];
    for (int i = 0; i < 4000; i++) text[i] = "abcdefxyz 0123-,FBar"[next_random(&seed) % 20];
    text[4000] = 0;
    int found = 0;
    for (size_t at = 0; at < 4000 && found < 500;) {
      regmatch_t m;
      if (regexec(&re, text + at, 1, &m, at ? REG_NOTBOL : 0) != 0) break;
      int span[2] = {(int)m.rm_so, (int)m.rm_eo};
      hash = digest(hash, span, sizeof span);
      at += (size_t)m.rm_eo + (m.rm_eo == m.rm_so);
      found++;
    }
    printf("  found %d\n", found);
    regfree(&re);
  }
  printf("matches %016llx\n", (unsigned long long)hash);
  return 0;
}
