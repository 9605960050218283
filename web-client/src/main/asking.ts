/** Questions about the picture: which are open, and what came of each. Owns no channel. */

import { SERVERS_OWN, type AnswerEvent, type AnswerMessage, type UnansweredMessage } from "./answers.js";
import type { ToServer } from "./wire.js";

/** What an answer was, in the end. */
export type Outcome = AnswerMessage | UnansweredMessage;

/** The answer to one question, as it comes: iterate over it for its text, piece by piece. */
export class Asked implements AsyncIterable<string> {
  private readonly pieces: string[] = [];
  private wake: (() => void) | null = null;
  private ended: Outcome | null = null;
  private settle: (outcome: Outcome) => void = () => undefined;

  /** The answer as a whole, or why there is none. Never rejects. */
  readonly outcome = new Promise<Outcome>((resolve) => {
    this.settle = resolve;
  });

  constructor(
    /** The number that events of this question carry as `ask`. */
    readonly ask: number,
    private readonly taken: (ask: number) => void,
  ) {}

  /** The answer is not wanted any more. */
  cancel(): void {
    if (this.ended === null) this.taken(this.ask);
  }

  async *[Symbol.asyncIterator](): AsyncIterator<string> {
    for (let next = 0; ; ) {
      const piece = this.pieces[next];
      if (piece !== undefined) {
        next += 1;
        yield piece;
      } else if (this.ended !== null) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
      }
    }
  }

  /** Takes in an event of this question; true when it was the last. */
  take(event: AnswerEvent): boolean {
    if (event.type === "answer.text") this.pieces.push(event.text);
    if (event.type === "answer" || event.type === "answer.none") {
      this.ended = event;
      this.settle(event);
    }
    this.wake?.();
    this.wake = null;
    return this.ended !== null;
  }
}

/** The questions of one connection. */
export class Asking {
  private readonly open = new Map<number, Asked>();

  constructor(
    private readonly send: (message: ToServer) => void,
    private next = 1,
  ) {}

  /** Asks. */
  ask(text: string): Asked {
    const ask = this.next;
    this.next = (this.next + 1) % SERVERS_OWN;
    const asked = new Asked(ask, (id) => {
      this.send({ type: "ask.cancel", id });
    });
    this.open.set(ask, asked);
    this.send({ type: "ask", id: ask, text });
    return asked;
  }

  /** Takes in what is told of a question. */
  take(event: AnswerEvent): void {
    if (this.open.get(event.ask)?.take(event) === true) this.open.delete(event.ask);
  }

  /** The connection is gone, and with it the answers: what is told in their place. */
  lost(): UnansweredMessage[] {
    const events = [...this.open.keys()].map((ask) => lost(ask));
    for (const event of events) this.take(event);
    return events;
  }
}

/** Why a question has no answer that could not be asked, or whose connection is gone. */
export function lost(ask: number): UnansweredMessage {
  return { type: "answer.none", ask, question: "", why: "connection", message: "The connection was lost before the answer was complete: ask again." };
}
