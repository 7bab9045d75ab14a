// Floating-point output and input: every conversion, of ordinary numbers and of the odd ones.
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

static const char *const FORMATS[] = {"%e", "%f", "%g", "%a", "%.0e", "%.17g", "%+.3f", "%#.5g", "%030.10f", "%-20.3e|", "% .1f", "%.25g"};
static const char *const LONG_FORMATS[] = {"%Le", "%Lg", "%La", "%.21Lg", "%.40Lf", "%+.0Lf"};

static double from_bits(uint64_t bits) {
  double d;
  memcpy(&d, &bits, 8);
  return d;
}

static long double extended(uint64_t significand, uint16_t exponent) {
  long double x = 0;
  memcpy(&x, &significand, 8);
  memcpy((char *)&x + 8, &exponent, 2);
  return x;
}

static void print_double(double d) {
  uint64_t bits;
  memcpy(&bits, &d, 8);
  printf("%016llx", (unsigned long long)bits);
  for (size_t i = 0; i < sizeof FORMATS / sizeof *FORMATS; i++) {
    printf(" ");
    printf(FORMATS[i], d);
  }
  printf("\n");
}

int print_main(void) {
  static const double odd[] = {0.0, -0.0, 1.0, 0.1, 1.0 / 3, 5e-324, -5e-324, DBL_MIN, DBL_MAX, -DBL_MAX, 9.5, 0.5, 1.5, 2.5,
                               1e15, 1e16, 123456789012345680.0, 9007199254740993.0, 1e22, 1e23, 999999.5, 0.00001, 2.2250738585072011e-308};
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) print_double(odd[i]);
  print_double(INFINITY);
  print_double(-INFINITY);
  print_double(NAN);
  uint64_t seed = 3, hash = DIGEST_START;
  for (int i = 0; i < 1500; i++) {
    double d = from_bits(next_random(&seed));
    if (d != d) continue;
    char text[800];
    int n = snprintf(text, sizeof text, "%.17g %a %.30e %f", d, d, d, fabs(d) < 1e30 ? d : 1.0);
    hash = digest(hash, text, (size_t)n);
    char *end;
    double again = strtod(text, &end);
    if (memcmp(&again, &d, 8) != 0) printf("%s came back as %.17g\n", text, again);
    if (i < 20) printf("%s\n", text);
    float f = (float)d;
    n = snprintf(text, sizeof text, "%.9g", f);
    hash = digest(hash, text, (size_t)n);
  }
  printf("doubles %016llx\n", (unsigned long long)hash);

  static const long double ends[] = {0.0L, -0.0L, 1.0L, 0.1L, LDBL_MAX, LDBL_MIN, 1e4000L, 3.14159265358979323846264338327950288L, -1e-4940L};
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    for (size_t j = 0; j < sizeof LONG_FORMATS / sizeof *LONG_FORMATS; j++) {
      // %.40Lf of the largest ones is long; its digest will do.
      char text[6000];
      int n = snprintf(text, sizeof text, LONG_FORMATS[j], ends[i]);
      if (n < 100) printf("%s ", text);
      else printf("%016llx ", (unsigned long long)digest(DIGEST_START, text, (size_t)n));
    }
    printf("\n");
  }
  printf("smallest %Lg %La, pseudo %d\n", extended(1, 0), extended(3, 0), (int)(extended(1ull << 63, 0) == LDBL_MIN));
  for (int i = 0; i < 300; i++) {
    long double x = extended(next_random(&seed) | 1ull << 63, (uint16_t)(next_random(&seed) % 0x7fff));
    char text[6000];
    int n = snprintf(text, sizeof text, "%.21Lg %La %.5Le", x, x, x);
    hash = digest(hash, text, (size_t)n);
    long double again = strtold(text, NULL);
    if (again != x) printf("%s came back as %.21Lg\n", text, again);
    if (i < 10) printf("%s\n", text);
  }
  printf("long doubles %016llx\n", (unsigned long long)hash);

  static const char *const inputs[] = {"1e400", "-1e400", "1e-400", "0x1.fffffffffffff8p0", "0x1p-1075", "infinity", "nan", "  +12.5xyz", ".5e1", "1e", "123456789012345678901234567890"};
  for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
    char *end;
    errno = 0;
    double d = strtod(inputs[i], &end);
    printf("strtod(%s) = %a, rest \"%s\", %s\n", inputs[i], d, end, errno == ERANGE ? "ERANGE" : "ok");
  }
  int i1;
  unsigned u1;
  char word[20];
  double d1;
  int fields = sscanf("  -42 0xff words 6.25e2", "%d %x %19s %lf", &i1, &u1, word, &d1);
  printf("sscanf %d: %d %u %s %g\n", fields, i1, u1, word, d1);
  return 0;
}
