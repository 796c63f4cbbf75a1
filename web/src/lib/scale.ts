/** The axes of charts: round steps, and where a value lies. */

/** At most `count` round steps from 0 that reach `most`; the last one is the top of the axis. */
export function ticks(most: number, count: number, wholeOnly = false): number[] {
  const top = Number.isFinite(most) && most > 0 ? most : 1;
  const rough = top / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const nice =
    [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((step) => step >= rough - 1e-9) ?? rough;
  const step = wholeOnly ? Math.max(1, Math.ceil(nice)) : nice;
  const found: number[] = [];
  for (let at = 0; at <= Math.ceil(top / step - 1e-9); at += 1)
    found.push(Number((at * step).toPrecision(12)));
  return found;
}

/** Which of `count` places get a label when at most `most` fit: every n-th, counted from the last. */
export function labelled(count: number, most: number): number[] {
  const every = Math.max(1, Math.ceil(count / Math.max(1, most)));
  return Array.from({ length: count }, (_, at) => at).filter((at) => (count - 1 - at) % every === 0);
}

/** The value below which a share of `sorted` (ascending) lies; undefined of none. */
export function percentile(sorted: readonly number[], share: number): number | undefined {
  if (sorted.length === 0) return undefined;
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))];
}
