// What the programs of the suite share. Each prints what it computed; nothing of it may depend on time, on addresses, or on
// which variant of a library function the processor gets.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** Pseudo-random numbers, the same everywhere. */
static inline uint64_t next_random(uint64_t *state) {
  uint64_t x = *state;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return *state = x;
}

/** FNV-1a: a digest of what is too long to print. */
static inline uint64_t digest(uint64_t hash, const void *data, size_t bytes) {
  const uint8_t *p = data;
  for (size_t i = 0; i < bytes; i++) hash = (hash ^ p[i]) * 0x100000001b3ull;
  return hash;
}
#define DIGEST_START 0xcbf29ce484222325ull

int crypto_main(void);
int bignum_main(void);
int print_main(void);
int regex_main(void);
int sort_main(void);
int math_main(void);
int strings_main(void);
int control_main(void);
int threads_main(void);
int vector_main(void);
int features_main(void);
