/** Processor time below which a measurement is mostly noise, in microseconds. */
const LEAST_MICROSECONDS = 2_000;
const TRIES = 6;
/** Between linear and quadratic. */
const LINEAR = 1.6;

async function cost(work: () => unknown): Promise<number> {
  const start = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(start);
  return user + system;
}

/**
 * How the processor time of `work` grows with its size: 1 if linearly, 2 if with the square, from two sizes far enough apart. What
 * else happens in a process (its compiler, its garbage collector) can only add to it, so the least of some tries counts; as soon
 * as they say "linear", that is enough. Wall time is not looked at: other processes' work is none of this one's.
 */
export async function growth(work: (size: number) => unknown, small: number, large: number): Promise<number> {
  let exponent = Number.POSITIVE_INFINITY;
  let [few, many] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let i = 0; i < TRIES && !(exponent < LINEAR); i++) {
    few = Math.min(few, await cost(() => work(small)));
    many = Math.min(many, await cost(() => work(large)));
    exponent = Math.log(many / Math.max(few, LEAST_MICROSECONDS)) / Math.log(large / small);
  }
  return exponent;
}

/** Most that `growth` gives for what is linear. */
export const MOST_GROWTH = LINEAR;
