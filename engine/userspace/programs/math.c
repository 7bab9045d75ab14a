// libm in three precisions, rounding modes and exception flags. The last bits of what x87 computes by its own approximation
// (powers and logarithms of long double) belong to the processor, so those are printed to 15 digits.
#include <complex.h>
#include <fenv.h>
#include <math.h>
#include <string.h>

#include "suite.h"

#define FUNCTIONS(X) X(sin) X(cos) X(tan) X(asin) X(acos) X(atan) X(sinh) X(cosh) X(tanh) X(exp) X(exp2) X(expm1) X(log) X(log2) X(log10) X(log1p) X(sqrt) X(cbrt) X(erf) X(lgamma) X(tgamma) X(floor) X(ceil) X(trunc) X(rint) X(nearbyint) X(round)

typedef double (*function)(double);
typedef float (*function_f)(float);
static const struct {
  const char *name;
  function d;
  function_f f;
} TABLE[] = {
#define ENTRY(n) {#n, n, n##f},
    FUNCTIONS(ENTRY)};

static const struct {
  const char *name;
  long double (*l)(long double);
} LONG_TABLE[] = {{"sinl", sinl}, {"cosl", cosl}, {"tanl", tanl}, {"atanl", atanl}, {"expl", expl}, {"logl", logl}, {"log2l", log2l}, {"sqrtl", sqrtl}, {"cbrtl", cbrtl}, {"coshl", coshl}, {"tgammal", tgammal}, {"floorl", floorl}, {"rintl", rintl}};

static uint64_t digest_double(uint64_t hash, double d) {
  // Which NaN a function gives is its own affair.
  if (isnan(d)) d = 0;
  return digest(hash, &d, sizeof d);
}

int math_main(void) {
  static const double odd[] = {0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.0, 1e-300, 5e-324, 1e300, 700.0, -745.1, 0.7853981633974483, 1e22, INFINITY, -INFINITY};
  for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++) {
    uint64_t seed = 17, hash = DIGEST_START, hash_f = DIGEST_START;
    printf("%s", TABLE[i].name);
    for (size_t j = 0; j < sizeof odd / sizeof *odd; j++) {
      double y = TABLE[i].d(odd[j]);
      if (isnan(y)) printf(" nan");
      else printf(" %a", y);
      hash = digest_double(hash, y);
    }
    for (int j = 0; j < 300; j++) {
      double x = ((double)(int64_t)next_random(&seed) / 9.3e18) * (j % 3 == 0 ? 1 : j % 3 == 1 ? 20 : 1000);
      hash = digest_double(hash, TABLE[i].d(x));
      hash_f = digest_double(hash_f, TABLE[i].f((float)x));
    }
    printf("\n  %016llx %016llx\n", (unsigned long long)hash, (unsigned long long)hash_f);
  }
  uint64_t seed = 23, hash = DIGEST_START;
  for (int i = 0; i < 400; i++) {
    double x = (double)(next_random(&seed) >> 40) / 1000, y = (double)(int32_t)next_random(&seed) / 3e8;
    double all[] = {pow(x, y), atan2(y, x), hypot(x, y), fmod(x, y), remainder(x, y), fdim(x, y), nextafter(x, y), scalbn(y, (int)(x / 100)), fma(x, y, 1 / x), creal(cexp(y + I))};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) hash = digest_double(hash, all[k]);
    if (i < 10) printf("pow(%.17g, %.17g) = %.17g, atan2 %.17g, fma %a\n", x, y, all[0], all[1], all[8]);
  }
  printf("two arguments %016llx\n", (unsigned long long)hash);
  for (size_t i = 0; i < sizeof LONG_TABLE / sizeof *LONG_TABLE; i++) {
    static const long double points[] = {0.1L, 0.5L, 1.0L, 1.75L, 2.5L, 3.0L, 10.0L, 33.3L};
    printf("%s", LONG_TABLE[i].name);
    for (size_t j = 0; j < sizeof points / sizeof *points; j++) printf(" %.15Lg", LONG_TABLE[i].l(points[j]));
    printf("\n");
  }
  printf("powl %.15Lg %.15Lg %.15Lg, fmodl %.20Lg, remquol", powl(1.1L, 1000.0L), powl(2.0L, -16400.0L), powl(-3.0L, 3.0L), fmodl(1e20L, 3.7L));
  int quotient;
  printf(" %.20Lg", remquol(29.3L, 3.0L, &quotient));
  printf(" %d\n", quotient & 7);
  static const int modes[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
  for (int m = 0; m < 4; m++) {
    fesetround(modes[m]);
    volatile double one = 1, three = 3, big = 1e308, small = 5e-324;
    volatile float f = 1.0f / 3;
    volatile long double l = 1.0L / (long double)three;
    printf("rounding %d: %a %a %La", m, one / three, (double)f / -7, l);
    printf(" %ld %lld %g %g", lrint(2.5), llrintl(-3.5L), rint(-0.5), nearbyint(1e15 + 0.5));
    feclearexcept(FE_ALL_EXCEPT);
    volatile double r = big * 10;
    r = small / 3;
    r = one / (three - 3);
    r = sqrt(-one);
    (void)r;
    printf(" exceptions %d\n", !!fetestexcept(FE_OVERFLOW) + 2 * !!fetestexcept(FE_UNDERFLOW) + 4 * !!fetestexcept(FE_DIVBYZERO) + 8 * !!fetestexcept(FE_INVALID) + 16 * !!fetestexcept(FE_INEXACT));
  }
  fesetround(FE_TONEAREST);
  return 0;
}
