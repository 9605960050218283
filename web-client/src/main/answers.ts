/** Questions about the picture and their answers, as the data channel carries them. */

/** Questions with this number or a larger one are the server's own; a client's are smaller. */
export const SERVERS_OWN = 2 ** 32;

/** A question about the picture was taken. Numbers from {@link SERVERS_OWN} on are the server's: it was said, or came over HTTP. */
export interface QuestionMessage {
  readonly type: "question";
  readonly ask: number;
  readonly by: "channel" | "voice" | "http";
  readonly text: string;
}
/** More of an answer; `id` numbers its first piece, which has a latency. */
export interface AnswerTextMessage {
  readonly type: "answer.text";
  readonly id: number | null;
  readonly ask: number;
  readonly text: string;
}
/** A place that an answer rests on, in which of its `pictures`; corners as shares of width and height. */
export interface Evidence {
  readonly picture: number;
  readonly region: readonly (readonly [x: number, y: number])[];
  /** Its share of all the looking. */
  readonly share: number;
}
/** A picture that was looked at: how old it is at the end of the answer, and how long ago it was last seen to be still so. */
export interface LookedAt {
  readonly at_us: number;
  readonly age_us: number;
  readonly still_us: number;
}
/** A whole answer. */
export interface AnswerMessage {
  readonly type: "answer";
  readonly ask: number;
  readonly question: string;
  readonly text: string;
  /** `late`: its deadline cut it short. `long`: it was as long as it may be. */
  readonly ended: "said" | "long" | "late";
  /** The chance that it is right, and how clearly what it looked at can be seen, 0..1; null where the engine can't tell. */
  readonly certainty: number | null;
  readonly readability: number | null;
  readonly engine: string;
  readonly evidence: readonly Evidence[];
  readonly pictures: readonly LookedAt[];
  /** From the question to its first words. */
  readonly first_us: number | null;
  /** From the question to its end. */
  readonly took_us: number;
}
/** A question has no answer, or no more of it. */
export interface UnansweredMessage {
  readonly type: "answer.none";
  readonly ask: number;
  readonly question: string;
  /** `late`, `crowded`, `no_picture`, `no_engine`, `unfit`, `allowance`, `cancelled`, `failed`, or one of a later version. */
  readonly why: string;
  /** What to do. */
  readonly message: string;
}
/** What is told of a question and its answer. */
export type AnswerEvent = QuestionMessage | AnswerTextMessage | AnswerMessage | UnansweredMessage;
