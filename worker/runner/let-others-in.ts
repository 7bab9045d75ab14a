/**
 * Lets the other events of this process happen. Awaiting a promise or the storage would not. A turn of the event loop takes
 * 5 us, a timer 0.5 ms; in production the clock stands still until something like a timer.
 */
export function letOthersIn(moveClock: boolean): Promise<void> {
  return moveClock ? scheduler.wait(0) : new Promise((resolve) => setImmediate(resolve));
}
