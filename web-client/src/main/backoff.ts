/** How long to wait before the next attempt: doubling, capped, and spread by chance so that many clients do not return at once. */

/** The shape of the waits, in milliseconds. */
export interface BackoffLimits {
  /** About how long the first wait is. */
  readonly first_ms: number;
  /** No wait is longer, except where the server asks for it. */
  readonly cap_ms: number;
  /** After this much trying in vain there is no next attempt. */
  readonly give_up_after_ms: number;
}

/** Half a second first, ten at most, five minutes in all. */
export const DEFAULT_BACKOFF: BackoffLimits = { first_ms: 500, cap_ms: 10_000, give_up_after_ms: 300_000 };

/** Waits; a network that comes back (`early`) or the end of the session cuts it short. */
export function waited(wait_ms: number, signal: AbortSignal, early: boolean): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      removeEventListener("online", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, wait_ms);
    if (early) addEventListener("online", done);
    signal.addEventListener("abort", done);
  });
}

/** Decides the waits of one outage. Time and chance are brought by the caller. */
export class Backoff {
  private attempts = 0;
  private began_ms: number | null = null;

  constructor(
    private readonly limits: BackoffLimits = DEFAULT_BACKOFF,
    private readonly chance: () => number = Math.random,
  ) {}

  /** Milliseconds until the next attempt, at least `asked_ms` (a server's Retry-After); null when it is time to give up. */
  next(now_ms: number, asked_ms = 0): number | null {
    this.began_ms ??= now_ms;
    const ceiling = Math.min(this.limits.cap_ms, this.limits.first_ms * 2 ** Math.min(this.attempts, 30));
    this.attempts += 1;
    // Between half and all of the ceiling: never at once, never all together.
    const wait = Math.max(ceiling * (0.5 + 0.5 * this.chance()), asked_ms);
    return now_ms + wait - this.began_ms > this.limits.give_up_after_ms ? null : wait;
  }

  /** The connection is back: the next outage begins from the start. */
  reset(): void {
    this.attempts = 0;
    this.began_ms = null;
  }
}
