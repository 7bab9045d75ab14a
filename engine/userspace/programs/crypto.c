// SHA-256 (FIPS 180-4), AES-128 in CBC mode (FIPS 197), ChaCha20 and Poly1305 (RFC 8439).
#include <string.h>

#include "suite.h"

static uint32_t rotate_right(uint32_t x, int n) { return x >> n | x << (32 - n); }
static uint32_t rotate_left(uint32_t x, int n) { return x << n | x >> (32 - n); }

static void print_hex(const char *name, const uint8_t *p, size_t n) {
  printf("%s ", name);
  for (size_t i = 0; i < n; i++) printf("%02x", p[i]);
  printf("\n");
}

// --- SHA-256. The constants are the fractions of square and cube roots of primes, found as integers. ---

typedef unsigned __int128 u128;

/** floor(2^32 * fraction of the root of p), by bisection over integers; power 2 or 3. */
static uint32_t root_fraction(uint64_t p, int power) {
  uint64_t low = 0, high = 1ull << 38;
  while (high - low > 1) {
    uint64_t x = (low + high) / 2;
    int above;
    if (power == 2) above = (u128)x * x > (u128)p << 64;
    else {
      // x < 2^36, so the cube is below 2^108.
      above = (u128)x * x * x > (u128)p << 96;
    }
    if (above) high = x;
    else low = x;
  }
  return (uint32_t)low;
}

static uint32_t sha_k[64], sha_h[8];

static void sha_constants(void) {
  int n = 0;
  for (uint64_t p = 2; n < 64; p++) {
    int prime = 1;
    for (uint64_t d = 2; d * d <= p; d++) prime &= p % d != 0;
    if (!prime) continue;
    if (n < 8) sha_h[n] = root_fraction(p, 2);
    sha_k[n++] = root_fraction(p, 3);
  }
}

static void sha_block(uint32_t *h, const uint8_t *p) {
  uint32_t w[64], v[8];
  for (int i = 0; i < 16; i++) w[i] = (uint32_t)p[4 * i] << 24 | p[4 * i + 1] << 16 | p[4 * i + 2] << 8 | p[4 * i + 3];
  for (int i = 16; i < 64; i++) {
    uint32_t s0 = rotate_right(w[i - 15], 7) ^ rotate_right(w[i - 15], 18) ^ w[i - 15] >> 3;
    uint32_t s1 = rotate_right(w[i - 2], 17) ^ rotate_right(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  memcpy(v, h, sizeof v);
  for (int i = 0; i < 64; i++) {
    uint32_t s1 = rotate_right(v[4], 6) ^ rotate_right(v[4], 11) ^ rotate_right(v[4], 25);
    uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + sha_k[i] + w[i];
    uint32_t s0 = rotate_right(v[0], 2) ^ rotate_right(v[0], 13) ^ rotate_right(v[0], 22);
    uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
    memmove(v + 1, v, 7 * sizeof *v);
    v[4] += t1;
    v[0] = t1 + t2;
  }
  for (int i = 0; i < 8; i++) h[i] += v[i];
}

static void sha256(const uint8_t *data, size_t n, uint8_t *out) {
  uint32_t h[8];
  memcpy(h, sha_h, sizeof h);
  size_t done = 0;
  for (; n - done >= 64; done += 64) sha_block(h, data + done);
  uint8_t tail[128] = {0};
  size_t rest = n - done;
  memcpy(tail, data + done, rest);
  tail[rest] = 0x80;
  size_t blocks = rest < 56 ? 1 : 2;
  for (int i = 0; i < 8; i++) tail[64 * blocks - 1 - i] = (uint8_t)((uint64_t)n * 8 >> 8 * i);
  for (size_t i = 0; i < blocks; i++) sha_block(h, tail + 64 * i);
  for (int i = 0; i < 32; i++) out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

// --- AES. The S-box is computed: inverses in GF(2^8) and an affine map. ---

static uint8_t aes_box[256], aes_inverse[256];

static uint8_t aes_multiply(uint8_t a, uint8_t b) {
  uint8_t r = 0;
  for (; b; b >>= 1) {
    if (b & 1) r ^= a;
    a = (uint8_t)(a << 1 ^ (a & 0x80 ? 0x1b : 0));
  }
  return r;
}

static void aes_tables(void) {
  for (int x = 0; x < 256; x++) {
    uint8_t inverse = 0;
    for (int y = 1; y < 256 && x; y++)
      if (aes_multiply((uint8_t)x, (uint8_t)y) == 1) inverse = (uint8_t)y;
    uint8_t s = 0x63;
    for (int i = 0; i < 5; i++) s ^= (uint8_t)(inverse << i | inverse >> (8 - i));
    aes_box[x] = s;
    aes_inverse[s] = (uint8_t)x;
  }
}

static void aes_expand(const uint8_t *key, uint8_t k[11][16]) {
  memcpy(k[0], key, 16);
  uint8_t constant = 1;
  for (int round = 1; round <= 10; round++) {
    for (int i = 0; i < 16; i++) {
      uint8_t left = i < 4 ? k[round - 1][12 + (i + 1) % 4] : k[round][i - 4];
      if (i < 4) left = (uint8_t)(aes_box[left] ^ (i == 0 ? constant : 0));
      k[round][i] = k[round - 1][i] ^ left;
    }
    constant = aes_multiply(constant, 2);
  }
}

static void aes_encrypt(uint8_t k[11][16], uint8_t *s) {
  for (int i = 0; i < 16; i++) s[i] ^= k[0][i];
  for (int round = 1; round <= 10; round++) {
    uint8_t t[16];
    for (int i = 0; i < 16; i++) t[i] = aes_box[s[(i + 4 * (i % 4)) % 16]];
    for (int c = 0; c < 16; c += 4)
      for (int i = 0; i < 4; i++) {
        uint8_t m = t[c + i];
        if (round < 10)
          m = (uint8_t)(aes_multiply(t[c + i], 2) ^ aes_multiply(t[c + (i + 1) % 4], 3) ^ t[c + (i + 2) % 4] ^ t[c + (i + 3) % 4]);
        s[c + i] = m ^ k[round][c + i];
      }
  }
}

static void aes_decrypt(uint8_t k[11][16], uint8_t *s) {
  for (int round = 10; round >= 1; round--) {
    uint8_t t[16];
    for (int i = 0; i < 16; i++) s[i] ^= k[round][i];
    for (int c = 0; c < 16; c += 4)
      for (int i = 0; i < 4; i++)
        t[c + i] = round == 10 ? s[c + i]
                               : (uint8_t)(aes_multiply(s[c + i], 14) ^ aes_multiply(s[c + (i + 1) % 4], 11) ^
                                           aes_multiply(s[c + (i + 2) % 4], 13) ^ aes_multiply(s[c + (i + 3) % 4], 9));
    for (int i = 0; i < 16; i++) s[(i + 4 * (i % 4)) % 16] = aes_inverse[t[i]];
  }
  for (int i = 0; i < 16; i++) s[i] ^= k[0][i];
}

// --- ChaCha20 and Poly1305 ---

static void quarter(uint32_t *x, int a, int b, int c, int d) {
  x[a] += x[b], x[d] = rotate_left(x[d] ^ x[a], 16);
  x[c] += x[d], x[b] = rotate_left(x[b] ^ x[c], 12);
  x[a] += x[b], x[d] = rotate_left(x[d] ^ x[a], 8);
  x[c] += x[d], x[b] = rotate_left(x[b] ^ x[c], 7);
}

static void chacha_block(const uint32_t *start, uint8_t *out) {
  uint32_t x[16];
  memcpy(x, start, sizeof x);
  for (int i = 0; i < 10; i++) {
    for (int j = 0; j < 4; j++) quarter(x, j, 4 + j, 8 + j, 12 + j);
    for (int j = 0; j < 4; j++) quarter(x, j, 4 + (j + 1) % 4, 8 + (j + 2) % 4, 12 + (j + 3) % 4);
  }
  for (int i = 0; i < 16; i++) x[i] += start[i];
  memcpy(out, x, sizeof x);
}

/** Poly1305 in three limbs of 44, 44 and 42 bits. */
static void poly1305(const uint8_t *key, const uint8_t *m, size_t n, uint8_t *tag) {
  const uint64_t mask = (1ull << 44) - 1;
  uint64_t t0, t1, h[3] = {0};
  memcpy(&t0, key, 8);
  memcpy(&t1, key + 8, 8);
  uint64_t r0 = t0 & 0xffc0fffffffull, r1 = (t0 >> 44 | t1 << 20) & 0xfffffc0ffffull, r2 = t1 >> 24 & 0x00ffffffc0full;
  for (size_t at = 0; at < n; at += 16) {
    uint8_t block[17] = {0};
    size_t some = n - at < 16 ? n - at : 16;
    memcpy(block, m + at, some);
    block[some] = 1;
    memcpy(&t0, block, 8);
    memcpy(&t1, block + 8, 8);
    h[0] += t0 & mask;
    h[1] += (t0 >> 44 | t1 << 20) & mask;
    h[2] += t1 >> 24 | (uint64_t)block[16] << 40;
    u128 d0 = (u128)h[0] * r0 + (u128)h[1] * (r2 * 20) + (u128)h[2] * (r1 * 20);
    u128 d1 = (u128)h[0] * r1 + (u128)h[1] * r0 + (u128)h[2] * (r2 * 20);
    u128 d2 = (u128)h[0] * r2 + (u128)h[1] * r1 + (u128)h[2] * r0;
    d1 += (uint64_t)(d0 >> 44);
    d2 += (uint64_t)(d1 >> 44);
    h[0] = ((uint64_t)d0 & mask) + (uint64_t)(d2 >> 42) * 5;
    h[1] = ((uint64_t)d1 & mask) + (h[0] >> 44);
    h[0] &= mask;
    h[2] = (uint64_t)d2 & ((1ull << 42) - 1);
  }
  for (int i = 0; i < 2; i++) {
    h[1] += h[0] >> 44, h[0] &= mask;
    h[2] += h[1] >> 44, h[1] &= mask;
    h[0] += (h[2] >> 42) * 5, h[2] &= (1ull << 42) - 1;
  }
  // Modulo 2^130 - 5, then plus the second half of the key modulo 2^128.
  u128 low = (u128)h[0] + ((u128)h[1] << 44) + ((u128)h[2] << 88);
  uint64_t top = h[2] >> 40;
  u128 less = low + 5;
  if (top + (less < low) >= 4) low = less;
  memcpy(&t0, key + 16, 8);
  memcpy(&t1, key + 24, 8);
  low += (u128)t1 << 64 | t0;
  memcpy(tag, &low, 16);
}

#define BYTES (256 * 1024)
static uint8_t data[BYTES], other[BYTES];

int crypto_main(void) {
  uint64_t seed = 1;
  for (size_t i = 0; i < BYTES; i++) data[i] = (uint8_t)next_random(&seed);
  uint8_t out[64];
  sha_constants();
  sha256((const uint8_t *)"abc", 3, out);
  print_hex("sha256 abc", out, 32);
  for (size_t n = 0; n < 130; n++) {
    sha256(data, n, out);
    memcpy(other + 32 * n, out, 32);
  }
  sha256(other, 32 * 130, out);
  print_hex("sha256 of 130 lengths", out, 32);
  sha256(data, BYTES, out);
  print_hex("sha256 of 256 KiB", out, 32);

  aes_tables();
  uint8_t key[16], k[11][16], chain[16] = {0};
  for (int i = 0; i < 16; i++) key[i] = (uint8_t)i;
  aes_expand(key, k);
  uint8_t block[16];
  for (int i = 0; i < 16; i++) block[i] = (uint8_t)(17 * i);
  aes_encrypt(k, block);
  print_hex("aes of fips 197", block, 16);
  size_t n = 16384;
  for (size_t at = 0; at < n; at += 16) {
    for (int i = 0; i < 16; i++) chain[i] ^= data[at + i];
    aes_encrypt(k, chain);
    memcpy(other + at, chain, 16);
  }
  sha256(other, n, out);
  print_hex("aes-cbc of 16 KiB", out, 32);
  int same = 1;
  for (size_t at = n - 16; at < n; at -= 16) {
    memcpy(block, other + at, 16);
    aes_decrypt(k, block);
    for (int i = 0; i < 16; i++) same &= (block[i] ^ (at ? other[at - 16 + i] : 0)) == data[at + i];
  }
  printf("decrypted again: %s\n", same ? "same" : "DIFFERENT");

  uint32_t start[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
  memcpy(start + 4, data, 32);
  for (size_t at = 0; at < BYTES; at += 64, start[12]++) {
    chacha_block(start, out);
    for (int i = 0; i < 64; i++) other[at + i] = data[at + i] ^ out[i];
  }
  sha256(other, BYTES, out);
  print_hex("chacha20 of 256 KiB", out, 32);
  for (size_t length = 0; length < 100; length += 7) {
    poly1305(data + length, other, length * 50, out);
    print_hex("poly1305", out, 16);
  }
  return 0;
}
