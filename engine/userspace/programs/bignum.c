// Modular exponentiation of 1024-bit numbers (a Fermat test and an RSA round trip), and factorials in decimal.
#include <string.h>

#include "suite.h"

#define LIMBS 16
typedef unsigned __int128 u128;
typedef struct { uint64_t limb[LIMBS]; } number;

static void print_number(const char *name, const number *n) {
  printf("%s ", name);
  for (int i = LIMBS - 1; i >= 0; i--) printf("%016llx", (unsigned long long)n->limb[i]);
  printf("\n");
}

static int compare(const number *a, const number *b) {
  for (int i = LIMBS - 1; i >= 0; i--)
    if (a->limb[i] != b->limb[i]) return a->limb[i] < b->limb[i] ? -1 : 1;
  return 0;
}

static uint64_t subtract(number *a, const number *b) {
  uint64_t borrow = 0;
  for (int i = 0; i < LIMBS; i++) {
    u128 d = (u128)a->limb[i] - b->limb[i] - borrow;
    a->limb[i] = (uint64_t)d;
    borrow = (uint64_t)(d >> 64) & 1;
  }
  return borrow;
}

/** Montgomery product a * b / 2^1024 modulo m. */
static number montgomery(const number *a, const number *b, const number *m, uint64_t inverse) {
  uint64_t t[LIMBS + 2] = {0};
  for (int i = 0; i < LIMBS; i++) {
    u128 carry = 0;
    for (int j = 0; j < LIMBS; j++) {
      carry += (u128)a->limb[i] * b->limb[j] + t[j];
      t[j] = (uint64_t)carry;
      carry >>= 64;
    }
    carry += t[LIMBS];
    t[LIMBS] = (uint64_t)carry;
    t[LIMBS + 1] = (uint64_t)(carry >> 64);
    uint64_t q = t[0] * inverse;
    carry = ((u128)q * m->limb[0] + t[0]) >> 64;
    for (int j = 1; j < LIMBS; j++) {
      carry += (u128)q * m->limb[j] + t[j];
      t[j - 1] = (uint64_t)carry;
      carry >>= 64;
    }
    carry += t[LIMBS];
    t[LIMBS - 1] = (uint64_t)carry;
    t[LIMBS] = t[LIMBS + 1] + (uint64_t)(carry >> 64);
  }
  number r;
  memcpy(r.limb, t, sizeof r.limb);
  if (t[LIMBS] || compare(&r, m) >= 0) subtract(&r, m);
  return r;
}

static number power(const number *base, const number *exponent, const number *m) {
  uint64_t inverse = 1;
  for (int i = 0; i < 6; i++) inverse *= 2 - m->limb[0] * inverse;
  inverse = -inverse;
  // 2^2048 modulo m by doubling.
  number r2 = {{1}};
  for (int i = 0; i < 2048; i++) {
    uint64_t top = r2.limb[LIMBS - 1] >> 63;
    for (int j = LIMBS - 1; j > 0; j--) r2.limb[j] = r2.limb[j] << 1 | r2.limb[j - 1] >> 63;
    r2.limb[0] <<= 1;
    if (top || compare(&r2, m) >= 0) subtract(&r2, m);
  }
  number one = {{1}}, x = montgomery(base, &r2, m, inverse), r = montgomery(&one, &r2, m, inverse);
  for (int i = 64 * LIMBS - 1; i >= 0; i--) {
    r = montgomery(&r, &r, m, inverse);
    if (exponent->limb[i / 64] >> (i % 64) & 1) r = montgomery(&r, &x, m, inverse);
  }
  return montgomery(&r, &one, m, inverse);
}

int bignum_main(void) {
  // The prime of RFC 2409's second Oakley group: 2^1024 - 2^960 - 1 + 2^64 * (floor(2^894 pi) + 129093).
  static const char digits[] =
      "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd"
      "ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed"
      "ee386bfb5a899fa5ae9f24117c4b1fe649286651ece65381ffffffffffffffff";
  number p;
  for (int i = 0; i < LIMBS; i++) {
    unsigned long long limb = 0;
    sscanf(digits + 16 * (LIMBS - 1 - i), "%16llx", &limb);
    p.limb[i] = limb;
  }
  number exponent = p, one = {{1}}, two = {{2}};
  subtract(&exponent, &one);
  number r = power(&two, &exponent, &p);
  print_number("2^(p-1)", &r);
  uint64_t seed = 7;
  number a, b;
  for (int i = 0; i < LIMBS; i++) a.limb[i] = next_random(&seed), b.limb[i] = next_random(&seed);
  a.limb[LIMBS - 1] >>= 1;
  // Diffie-Hellman: both sides find the same.
  number ga = power(&two, &a, &p), gb = power(&two, &b, &p);
  number ab = power(&gb, &a, &p), ba = power(&ga, &b, &p);
  print_number("shared", &ab);
  printf("both sides: %s\n", compare(&ab, &ba) == 0 ? "same" : "DIFFERENT");
  // 1000! in decimal, 9 digits a word.
  static uint32_t words[300] = {1};
  int used = 1;
  for (uint32_t n = 2; n <= 1000; n++) {
    uint64_t carry = 0;
    for (int i = 0; i < used; i++) {
      carry += (uint64_t)words[i] * n;
      words[i] = (uint32_t)(carry % 1000000000);
      carry /= 1000000000;
    }
    if (carry) words[used++] = (uint32_t)carry;
  }
  printf("1000! = %u", words[used - 1]);
  for (int i = used - 2; i >= 0; i--) printf("%09u", words[i]);
  printf("\n");
  __int128 big = ((__int128)0x123456789abcdef << 60) / -977;
  printf("128-bit division %016llx%016llx\n", (unsigned long long)(big >> 64), (unsigned long long)big);
  return 0;
}
