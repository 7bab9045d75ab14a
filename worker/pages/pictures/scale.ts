/** Axes: round numbers in about equal steps. */
export interface Tick {
  readonly value: number;
  /** 0 to 100, for attributes in percent. */
  readonly at: number;
}

const STEPS = [1, 2, 2.5, 5, 10] as const;

/** About `count` ticks from 0 to `most`, at round values. */
export function ticks(most: number, count = 5): readonly Tick[] {
  if (!(most > 0) || !Number.isFinite(most)) return [{ value: 0, at: 0 }];
  const rough = most / count;
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const step = magnitude * (STEPS.find((factor) => factor * magnitude >= rough) ?? 10);
  const result: Tick[] = [];
  for (let index = 0; index * step <= most * (1 + 1e-9); index++) {
    const value = Number((index * step).toPrecision(12));
    result.push({ value, at: share(value, most) });
  }
  return result;
}

/** `value` of `most` in percent, as few digits as a picture needs. */
export function share(value: number, most: number): number {
  if (!(most > 0)) return 0;
  return Number(Math.min(100, Math.max(0, (value / most) * 100)).toFixed(4));
}
