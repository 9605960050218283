/** Whether softening costs too much: it must never cost the frame rate. Knows no clock. */

/** So many pictures are judged together; the median of them, so that a pause of the machine is not held against it. */
const JUDGED = 24;
/** So few are enough where they take longer than there is from one to the next. */
const JUDGED_EARLY = 5;
/** The share of the time from picture to picture that softening one may take. */
const SHARE = 0.3;

/** The judge of one way to soften. */
export class Guard {
  private spent: number[] = [];
  private latest = 0;

  /** For pictures that come so far apart. */
  constructor(private readonly interval_ms: number) {}

  /** What one picture took in the middle, in milliseconds; 0 while none did. */
  get picture_ms(): number {
    return this.latest;
  }

  /** Takes the time that one picture took; true where the way is too slow. */
  exceeded(spent_ms: number): boolean {
    this.spent.push(spent_ms);
    this.latest = middle(this.spent);
    const count = this.spent.length;
    const hopeless = count >= JUDGED_EARLY && !(this.latest <= this.interval_ms);
    if (count < JUDGED && !hopeless) return false;
    this.spent = [];
    return !(this.latest <= SHARE * this.interval_ms);
  }
}

function middle(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}
