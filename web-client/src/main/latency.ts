/** Completes the server's latency segments with the client's own two, so that they sum to what the person felt. */

import type { ClockEstimate } from "./clock.js";
import type { LatencyMessage, Segment } from "./wire.js";

/**
 * Where the time of one event went, from capture to the screen. The known segments sum exactly to `felt_us`.
 * `deliver` runs from the last mark inside the server to our receipt (the server's `send` is folded into it);
 * `show` from there to the screen. `deliver` may be negative by no more than the clock's `error_us`.
 */
export interface Latency {
  readonly of: number;
  readonly outlet: string;
  readonly segments: readonly Segment[];
  readonly felt_us: number;
  /** False when capture time is unknown: `network` is then null and `felt_us` counts from the arrival at the server. */
  readonly measured: boolean;
  readonly clock_error_us: number;
}

interface Entry {
  received_us: number;
  shown_us: number | null;
  server: LatencyMessage | null;
}

/** More than a minute of events; older ones were never shown. */
const MAX_ENTRIES = 256;

/** Brings together, per event, the server's account, our receipt and the painting. Times are the client's clock in microseconds. */
export class LatencyBook {
  private readonly entries = new Map<number, Entry>();

  /** Event `id` has arrived. */
  received(id: number, received_us: number): void {
    this.entries.delete(id);
    this.entries.set(id, { received_us, shown_us: null, server: null });
    for (const oldest of this.entries.keys()) {
      if (this.entries.size <= MAX_ENTRIES) break;
      this.entries.delete(oldest);
    }
  }

  /** Event `id` is on the screen. Its receipt, or null when the event is unknown or was shown before. */
  shown(id: number, shown_us: number): { received_us: number } | null {
    const entry = this.entries.get(id);
    if (entry?.shown_us !== null) return null;
    entry.shown_us = shown_us;
    return { received_us: entry.received_us };
  }

  /** The server's account of an event. */
  account(message: LatencyMessage): void {
    const entry = this.entries.get(message.of);
    if (entry !== undefined) entry.server = message;
  }

  /** Takes out event `id` when everything about it is known, else null. */
  complete(id: number, clock: ClockEstimate): Latency | null {
    const entry = this.entries.get(id);
    if (entry === undefined || entry.shown_us === null || entry.server === null) return null;
    this.entries.delete(id);
    return completed(entry.server, entry.received_us + clock.offset_us, entry.shown_us + clock.offset_us, clock.error_us);
  }

  /** Takes out everything that is complete: for the moment at which the clock becomes known. */
  completeAll(clock: ClockEstimate): Latency[] {
    return [...this.entries.keys()].map((id) => this.complete(id, clock)).filter((done) => done !== null);
  }

  /** Events that were shown already, with both times: what the server has not been told while the clock was unknown. */
  shownEvents(): { id: number; received_us: number; shown_us: number }[] {
    return [...this.entries].flatMap(([id, { received_us, shown_us }]) => (shown_us === null ? [] : [{ id, received_us, shown_us }]));
  }
}

/** The whole account of an event that was received and shown at these moments of the server's clock. */
export function completed(server: LatencyMessage, received_us: number, shown_us: number, clock_error_us: number): Latency {
  const inside = server.segments.filter((segment) => segment.name !== "send");
  const send = server.segments.find((segment) => segment.name === "send")?.us ?? 0;
  const segments: Segment[] = [
    ...inside,
    { name: "deliver", us: received_us - server.sent_us + send },
    { name: "show", us: shown_us - received_us },
  ];
  return {
    of: server.of,
    outlet: server.outlet,
    segments,
    felt_us: shown_us - server.born_us,
    measured: server.measured,
    clock_error_us,
  };
}

/** The middle value; of an even number the mean of the middle two. Null for none. */
export function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle];
  const lower = sorted[sorted.length % 2 === 0 ? middle - 1 : middle];
  return upper === undefined || lower === undefined ? null : (upper + lower) / 2;
}
