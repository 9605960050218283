/** What is said on one data channel: clock questions, receipts, and the messages for the owner. Reads no clock and owns no channel. */

import { ClockFilter, type ClockEstimate } from "./clock.js";
import { LatencyBook, type Latency } from "./latency.js";
import { parseToClient, type ToClient, type ToServer } from "./wire.js";

/** What a conversation tells its owner. */
export interface ConversationEvents {
  readonly send: (message: ToServer) => void;
  /** Every message that is not about clocks or latency. */
  readonly message: (message: ToClient) => void;
  /** The whole account of an event, once it has been shown. */
  readonly latency: (latency: Latency) => void;
}

/** One conversation, from the opening of the channel to its end. Times are the client's clock in microseconds. */
export class Conversation {
  private readonly filter = new ClockFilter();
  private readonly book = new LatencyBook();

  /** Messages that could not be used, and messages of types that this version does not know. */
  readonly counts = { malformed: 0, unknown: 0 };

  constructor(private readonly events: ConversationEvents) {}

  /** The server's clock against ours, or null before the first answer. */
  get clock(): ClockEstimate | null {
    return this.filter.best;
  }

  /** Takes in a text of the server that came at `now_us`. */
  receive(text: unknown, now_us: number): void {
    const parsed = parseToClient(text);
    if (!parsed.ok) {
      this.counts[parsed.why] += 1;
      return;
    }
    const message = parsed.message;
    switch (message.type) {
      case "clock":
        this.answered(message.t0_us, message.t1_us, now_us);
        return;
      case "latency":
        this.book.account(message);
        this.settle(message.of);
        return;
      default:
        if ("id" in message && message.id !== null) this.book.received(message.id, now_us);
        this.events.message(message);
    }
  }

  /** Asks for the server's clock. */
  ask(now_us: number): void {
    this.events.send({ type: "clock", t0_us: now_us });
  }

  /** Event `id` is on the screen since `shown_us`. An unknown event, or one that was shown before, changes nothing. */
  shown(id: number, shown_us: number): void {
    const event = this.book.shown(id, shown_us);
    if (event === null || this.clock === null) return;
    this.report(this.clock, id, event.received_us, shown_us);
    this.settle(id);
  }

  private answered(t0_us: number, t1_us: number, now_us: number): void {
    const first = this.filter.best === null;
    if (!this.filter.answer(t0_us, t1_us, now_us) || this.filter.best === null) return;
    const clock = this.filter.best;
    this.events.send({ type: "clock.offset", ...clock });
    if (!first) return;
    for (const event of this.book.shownEvents()) this.report(clock, event.id, event.received_us, event.shown_us);
    for (const latency of this.book.completeAll(clock)) this.events.latency(latency);
  }

  private report(clock: ClockEstimate, id: number, received_us: number, shown_us: number): void {
    this.events.send({ type: "shown", id, received_us: received_us + clock.offset_us, shown_us: shown_us + clock.offset_us });
  }

  private settle(id: number): void {
    if (this.clock === null) return;
    const latency = this.book.complete(id, this.clock);
    if (latency !== null) this.events.latency(latency);
  }
}
