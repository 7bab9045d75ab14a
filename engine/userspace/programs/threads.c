// Threads, with locks, conditions, atomics and thread-local variables; the result does not depend on who comes first.
#include <pthread.h>
#include <stdatomic.h>

#include "suite.h"

#define THREADS 4
#define TURNS 200

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn;
static long locked;
static atomic_long counted;
static _Thread_local uint64_t own;
static uint64_t results[THREADS];
static __attribute__((aligned(16))) unsigned __int128 wide;

static void *work(void *argument) {
  int me = (int)(size_t)argument;
  own = 100 + (uint64_t)me;
  for (int i = 0; i < TURNS; i++) {
    pthread_mutex_lock(&mutex);
    while (turn % THREADS != me) pthread_cond_wait(&changed, &mutex);
    turn++;
    locked = locked * 31 % 1000003 + me;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    for (int j = 0; j < 100; j++) atomic_fetch_add(&counted, j);
    next_random(&own);
  }
  results[me] = own;
  return (void *)(size_t)(me * 3);
}

int threads_main(void) {
  pthread_t threads[THREADS];
  for (size_t i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, (void *)i);
  long sum = 0;
  for (int i = 0; i < THREADS; i++) {
    void *result;
    pthread_join(threads[i], &result);
    sum += (long)(size_t)result;
  }
  wide = (unsigned __int128)locked << 64 | (uint64_t)sum;
  printf("turns %d locked %ld counted %ld sum %ld wide %lld\n", turn, locked, atomic_load(&counted), sum, (long long)(wide >> 64));
  for (int i = 0; i < THREADS; i++) printf("%016llx\n", (unsigned long long)results[i]);
  return 0;
}
