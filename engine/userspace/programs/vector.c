// Loops that the compiler turns into vector instructions of the level it builds for, and the intrinsics of that level.
#include <string.h>
#include <emmintrin.h>
#ifdef __SSE4_2__
#include <nmmintrin.h>
#endif

#include "suite.h"

#define N 1000
static float f[N], g[N];
static double d[N], e[N];
static int32_t i32[N], j32[N];
static int16_t i16[N], j16[N];
static uint8_t u8[N], v8[N];
static int64_t i64[N];

#define KEEP __attribute__((noinline, optimize("O3")))

KEEP static void floats(void) {
  for (int k = 0; k < N; k++) f[k] = f[k] * g[k] + (f[k] > g[k] ? g[k] : -f[k]);
  for (int k = 0; k < N; k++) g[k] = (float)i32[k] / (1.5f + g[k] * g[k]);
}
KEEP static void doubles(void) {
  for (int k = 0; k < N; k++) d[k] = d[k] * 0.5 + e[k] / 3;
  for (int k = 0; k < N; k++) e[k] = d[k] < 0 ? __builtin_sqrt(-d[k]) : d[k];
  for (int k = 0; k < N; k++) e[k] += __builtin_floor(d[k]);
}
KEEP static void integers(void) {
  for (int k = 0; k < N; k++) i32[k] = i32[k] * j32[k] + (j32[k] >> 3);
  for (int k = 0; k < N; k++) j32[k] = i32[k] > j32[k] ? i32[k] : j32[k];
  for (int k = 0; k < N; k++) i16[k] = (int16_t)(i16[k] + (j16[k] < 0 ? -j16[k] : j16[k]));
  for (int k = 0; k < N; k++) j16[k] = (int16_t)((i16[k] * j16[k]) >> 16);
  for (int k = 0; k < N; k++) u8[k] = (uint8_t)((u8[k] + v8[k] + 1) >> 1);
  for (int k = 0; k < N; k++) v8[k] = u8[k] < v8[k] ? u8[k] : v8[k];
  for (int k = 0; k < N; k++) i64[k] += (int64_t)i32[k] * j32[k];
  for (int k = 0; k < N; k++) i64[k] = i64[k] > 0 ? i64[k] << 3 : i64[k] >> 5;
}
KEEP static long bits(void) {
  long sum = 0;
  for (int k = 0; k < N; k++) sum += __builtin_popcountll((uint64_t)i64[k]) + (i64[k] ? __builtin_ctzll((uint64_t)i64[k]) - __builtin_clzll((uint64_t)i64[k]) : 0);
  for (int k = 0; k < N; k++) sum += (long)__builtin_bswap64((uint64_t)i64[k]) >> 50;
  return sum;
}

int vector_main(void) {
  uint64_t seed = 41;
  for (int k = 0; k < N; k++) {
    f[k] = (float)(int32_t)next_random(&seed) / 1e8f;
    g[k] = (float)(int16_t)next_random(&seed);
    d[k] = (double)(int64_t)next_random(&seed) / 1e15;
    e[k] = (double)(int32_t)next_random(&seed);
    i32[k] = (int32_t)next_random(&seed), j32[k] = (int32_t)next_random(&seed);
    i16[k] = (int16_t)next_random(&seed), j16[k] = (int16_t)next_random(&seed);
    u8[k] = (uint8_t)next_random(&seed), v8[k] = (uint8_t)next_random(&seed);
  }
  long sum = 0;
  for (int round = 0; round < 20; round++) {
    floats();
    doubles();
    integers();
    sum += bits();
  }
  uint64_t hash = digest(digest(digest(digest(DIGEST_START, i32, sizeof i32), i16, sizeof i16), u8, sizeof u8), i64, sizeof i64);
  printf("integers %016llx, bits %ld\n", (unsigned long long)hash, sum);
  printf("floats %016llx doubles %016llx\n", (unsigned long long)digest(DIGEST_START, g, sizeof g), (unsigned long long)digest(DIGEST_START, e, sizeof e));
  printf("%a %a\n", (double)f[17], d[17]);
  __m128i x = _mm_loadu_si128((const __m128i *)(u8 + 3)), y = _mm_loadu_si128((const __m128i *)(v8 + 5));
  uint64_t out[2];
  _mm_storeu_si128((__m128i *)out, _mm_sad_epu8(x, y));
  printf("sad %llu %llu, mask %x\n", (unsigned long long)out[0], (unsigned long long)out[1], _mm_movemask_epi8(x));
#ifdef __SSE4_2__
  printf("v2: crc %x, ", (unsigned)_mm_crc32_u64(0xffffffff, (uint64_t)i64[3]));
  __m128i needle = _mm_setr_epi8('a', 'z', 'A', 'Z', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  __m128i hay = _mm_loadu_si128((const __m128i *)"0123 5678 x Hello");
  printf("pcmpistri %d, ", _mm_cmpistri(needle, hay, _SIDD_CMP_RANGES));
  _mm_storeu_si128((__m128i *)out, _mm_shuffle_epi8(x, _mm_and_si128(y, _mm_set1_epi8((char)0x8f))));
  printf("pshufb %016llx%016llx, ", (unsigned long long)out[1], (unsigned long long)out[0]);
  _mm_storeu_si128((__m128i *)out, _mm_mullo_epi32(x, y));
  printf("pmulld %016llx%016llx\n", (unsigned long long)out[1], (unsigned long long)out[0]);
#endif
  return 0;
}
