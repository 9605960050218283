/** How far the server's clock is from ours, from the round trips of clock questions (the minimum filter of RFC 5905, section 10). */

/** The server's clock minus ours, good to ± `error_us`. */
export interface ClockEstimate {
  readonly offset_us: number;
  readonly error_us: number;
}

interface Sample extends ClockEstimate {
  readonly taken_us: number;
}

/** Drift of 50 parts in a million makes 1.5 ms of this window: more than that would be worse than a slower round trip. */
const WINDOW_US = 30_000_000;
/** A burst of 8, one question every 5 s, and room for answers that come twice. */
const MAX_SAMPLES = 32;
/** An answer that took longer says too little to be kept. */
const MAX_ROUND_TRIP_US = 5_000_000;

/** Keeps the answer with the shortest round trip of the last half minute. Times are microseconds; the caller brings the clock. */
export class ClockFilter {
  private samples: Sample[] = [];

  /** The best estimate so far, or null before the first answer. */
  best: ClockEstimate | null = null;

  /** Takes in an answer: asked at `t0_us` (ours), answered at `t1_us` (theirs), back at `t3_us` (ours). True if the best estimate changed. */
  answer(t0_us: number, t1_us: number, t3_us: number): boolean {
    const roundTrip = t3_us - t0_us;
    if (roundTrip < 0 || roundTrip > MAX_ROUND_TRIP_US) return false;
    const half = Math.ceil(roundTrip / 2);
    this.samples.push({ taken_us: t3_us, offset_us: t1_us - t0_us - half, error_us: half });
    this.samples = this.samples.filter((sample) => sample.taken_us >= t3_us - WINDOW_US).slice(-MAX_SAMPLES);
    const best = this.samples.reduce((a, b) => (b.error_us < a.error_us ? b : a));
    const changed = this.best?.offset_us !== best.offset_us || this.best.error_us !== best.error_us;
    this.best = { offset_us: best.offset_us, error_us: best.error_us };
    return changed;
  }
}

/** Now, on the client's clock: unix time in whole microseconds, monotonic within the page. */
export function now_us(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1000);
}
