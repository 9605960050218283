/**
 * The messages on the data channel: their types, and the one place where text becomes a checked message.
 * Integers are microseconds (`*_us`). `at_us` is media time on the session's timeline; `t0_us` is the client's clock
 * (unix time); every other moment is the server's clock. Unknown types and fields are ignored.
 */

import { ALLOCATE_MODES, type AllocateMode, type AllocationMessage } from "./allocation.js";
import { SERVERS_OWN, type AnswerEvent } from "./answers.js";

/** The label of the data channel that the client opens. */
export const CHANNEL = "hearsight";
/** The longest message that either side accepts, in bytes of UTF-8. */
export const MAX_MESSAGE = 16 * 1024;

/** One word with its media times. `stability`: chance that later results leave it; `certainty`: chance that it is right. */
export interface Word {
  readonly text: string;
  readonly start_us: number;
  readonly end_us: number;
  readonly stability: number;
  readonly certainty: number | null;
}
/** First message of a session: which recogniser is at work and who answers questions about the picture, and what to expect of them. */
export interface SessionMessage {
  readonly type: "session";
  readonly version: number;
  readonly session: string;
  readonly recogniser: { readonly name: string; readonly note: string };
  /** Null where nobody answers. */
  readonly answerer: { readonly name: string; readonly note: string } | null;
}
/** Speech began or ended, as the server's voice detector hears it. */
export interface SpeechMessage {
  readonly type: "speech.started" | "speech.stopped";
  readonly id: number;
  readonly at_us: number;
}
/** Speech ended at `at_us`: so much silence has followed that it will hardly go on. */
export interface SpeechEndedMessage {
  readonly type: "speech.ended";
  readonly at_us: number;
}
/** The words of a segment; replaces the earlier message of the same segment. Final words will not change again. */
export interface WordsMessage {
  readonly type: "words.partial" | "words.final";
  readonly id: number;
  readonly segment: number;
  readonly at_us: number;
  readonly words: readonly Word[];
}
/** What the server's decoder sees. `vectors`: mean motion vectors per picture; `motion`: their mean length in pixels. */
export interface PictureMessage {
  readonly type: "picture.stats";
  readonly id: number;
  readonly at_us: number;
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  readonly kbps: number;
  readonly decoded: number;
  readonly keyframes: number;
  readonly vectors: number;
  readonly motion: number;
  readonly brightness: number;
  readonly cut: boolean;
}
/** One line of text in the picture. `region`: its corners as shares of width and height, clockwise from where the text begins, at the top. */
export interface ReadLine {
  readonly text: string;
  readonly region: readonly (readonly [x: number, y: number])[];
  /** The chance that the text is right. */
  readonly certainty: number;
}
/** What the picture of `at_us` says, as it was read in the picture of `read_at_us`: an earlier one where nothing has changed since. */
export interface ReadingMessage {
  readonly type: "reading";
  readonly id: number;
  readonly at_us: number;
  readonly read_at_us: number;
  /** How well what looks like text can be read, 0..1; null where nothing does. */
  readonly readability: number | null;
  /** Places that look like text and are not among the lines. */
  readonly unread: number;
  /** In reading order. */
  readonly lines: readonly ReadLine[];
}
/** How pictures between others are made, the best first. */
export type Rung = "full" | "vectors" | "blend" | "hold";
/**
 * How the pictures of the smooth view came about since it was first watched, once a second: shown as they were received,
 * made between two, extrapolated from the last, and the last one held. `rung` is the best way that the machine has time
 * for, `reason` why it is not `full`, where it is the machine. The rates are pictures per second.
 */
export interface ViewMessage {
  readonly type: "view";
  readonly received: number;
  readonly made: number;
  readonly extrapolated: number;
  readonly held: number;
  readonly rung: Rung;
  readonly fps_in: number;
  readonly fps_out: number;
  readonly reason: "no-gpu" | "overload" | null;
}
/** One step of the way; `us` is null where it cannot be known. */
export interface Segment {
  readonly name: string;
  readonly us: number | null;
}
/** Where the server's share of event `of` went. The segments sum to `sent_us − born_us`. */
export interface LatencyMessage {
  readonly type: "latency";
  readonly of: number;
  readonly outlet: string;
  readonly born_us: number;
  readonly measured: boolean;
  readonly segments: readonly Segment[];
  readonly sent_us: number;
}
/** Units are missing: which stage dropped them, why and how many. */
export interface LostMessage {
  readonly type: "lost";
  readonly stage: string;
  readonly why: string;
  readonly count: number;
  readonly at_us: number | null;
}
/** The server's answer to a clock question. */
export interface ClockMessage {
  readonly type: "clock";
  readonly t0_us: number;
  readonly t1_us: number;
}
/** Why queued work is thrown away. */
export type FlushWhy = "seek" | "barge_in";
/** The server has thrown away what was queued. */
export interface FlushedMessage {
  readonly type: "flushed";
  readonly why: FlushWhy;
  readonly at_us: number;
}
/** The server could not take a message of ours, or cannot go on. */
export interface ErrorMessage {
  readonly type: "error";
  readonly code: string;
  readonly message: string;
}
/** Everything a server says. */
export type ToClient =
  | SessionMessage
  | SpeechMessage
  | SpeechEndedMessage
  | WordsMessage
  | PictureMessage
  | ReadingMessage
  | AnswerEvent
  | ViewMessage
  | AllocationMessage
  | LatencyMessage
  | LostMessage
  | ClockMessage
  | FlushedMessage
  | ErrorMessage;

/** Everything a client says. */
export type ToServer =
  | { readonly type: "clock"; readonly t0_us: number }
  | { readonly type: "clock.offset"; readonly offset_us: number; readonly error_us: number }
  | { readonly type: "shown"; readonly id: number; readonly received_us: number; readonly shown_us: number }
  | { readonly type: "ask"; readonly id: number; readonly text: string }
  | { readonly type: "ask.cancel"; readonly id: number }
  | { readonly type: "allocate"; readonly mode: AllocateMode; readonly most_kbps?: number }
  | { readonly type: "flush"; readonly why: FlushWhy };

/** What became of a text: a message, a type of a later version, or nothing usable. */
export type Parsed<M> =
  | { readonly ok: true; readonly message: M }
  | { readonly ok: false; readonly why: "unknown"; readonly detail: string }
  | { readonly ok: false; readonly why: "malformed"; readonly detail: string };

/** Reads a message of the server. Never throws; unknown fields are dropped. */
export function parseToClient(text: unknown): Parsed<ToClient> {
  return parse(text, TO_CLIENT);
}

/** Reads a message of a client, as the server does. Never throws. */
export function parseToServer(text: unknown): Parsed<ToServer> {
  return parse(text, TO_SERVER);
}

class Malformed extends Error {}

/** An object whose fields are taken out one by one, each checked. */
class Fields {
  constructor(private readonly from: Readonly<Record<string, unknown>>) {}

  text(name: string): string {
    const value = this.from[name];
    if (typeof value !== "string") throw new Malformed(`${name} is not text`);
    return value;
  }
  number(name: string): number {
    const value = this.from[name];
    if (typeof value !== "number" || !Number.isFinite(value)) throw new Malformed(`${name} is not a number`);
    return value;
  }
  integer(name: string): number {
    const value = this.from[name];
    if (!Number.isSafeInteger(value)) throw new Malformed(`${name} is not a whole number`);
    return value as number;
  }
  count(name: string): number {
    const value = this.integer(name);
    if (value < 0) throw new Malformed(`${name} is negative`);
    return value;
  }
  truth(name: string): boolean {
    const value = this.from[name];
    if (typeof value !== "boolean") throw new Malformed(`${name} is not true or false`);
    return value;
  }
  /** One of the words that the schema knows. */
  one<W extends string>(name: string, words: readonly W[]): W {
    const found = words.find((word) => word === this.from[name]);
    if (found === undefined) throw new Malformed(`${name} is none of ${words.join(", ")}`);
    return found;
  }
  /** The value that `take` finds, or null where the field is null or absent. */
  maybe<T>(name: string, take: (fields: Fields, name: string) => T): T | null {
    const value = this.from[name];
    return value === null || value === undefined ? null : take(this, name);
  }
  corners(name: string): (readonly [number, number])[] {
    const value = this.from[name];
    if (!Array.isArray(value) || value.length !== 4) throw new Malformed(`${name} is not a list of four corners`);
    return value.map((corner: unknown) => {
      const [x, y, ...more] = Array.isArray(corner) ? (corner as unknown[]) : [];
      if (!Number.isFinite(x) || !Number.isFinite(y) || more.length > 0) throw new Malformed(`${name} holds what is no corner`);
      return [x as number, y as number] as const;
    });
  }
  object(name: string): Fields {
    return new Fields(record(this.from[name], name));
  }
  list<T>(name: string, each: (item: Fields) => T): T[] {
    const value = this.from[name];
    if (!Array.isArray(value)) throw new Malformed(`${name} is not a list`);
    return value.map((item) => each(new Fields(record(item, name))));
  }
}

function record(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Malformed(`${name} is not an object`);
  return value as Record<string, unknown>;
}

function parse<M>(text: unknown, readers: ReadonlyMap<string, (fields: Fields) => M>): Parsed<M> {
  if (typeof text !== "string") return malformed("the message is not text");
  // A character takes at least one byte, so the cheap test comes first and bounds the exact one.
  if (text.length > MAX_MESSAGE || new TextEncoder().encode(text).length > MAX_MESSAGE) return malformed("the message is too long");
  try {
    const fields = new Fields(record(JSON.parse(text) as unknown, "the message"));
    const type = fields.text("type");
    const read = readers.get(type);
    if (read === undefined) return { ok: false, why: "unknown", detail: type };
    return { ok: true, message: read(fields) };
  } catch (error) {
    return malformed(error instanceof Malformed ? error.message : "the message is not JSON");
  }
}

function malformed(detail: string): { ok: false; why: "malformed"; detail: string } {
  return { ok: false, why: "malformed", detail };
}

const WHYS = ["seek", "barge_in"] as const;
const RUNGS = ["full", "vectors", "blend", "hold"] as const;
const BYS = ["channel", "voice", "http"] as const;
const ENDS = ["said", "long", "late"] as const;
const REASONS = ["no-gpu", "overload"] as const;

const number = (f: Fields, name: string): number => f.number(name);
const integer = (f: Fields, name: string): number => f.integer(name);

const askNumber = (f: Fields): number => {
  const id = f.count("id");
  if (id >= SERVERS_OWN) throw new Malformed("id is not a client's number");
  return id;
};

const speech =
  (type: SpeechMessage["type"]) =>
  (f: Fields): ToClient => ({ type, id: f.count("id"), at_us: f.integer("at_us") });

const words =
  (type: WordsMessage["type"]) =>
  (f: Fields): ToClient => ({
    type,
    id: f.count("id"),
    segment: f.count("segment"),
    at_us: f.integer("at_us"),
    words: f.list("words", (w) => ({
      text: w.text("text"),
      start_us: w.integer("start_us"),
      end_us: w.integer("end_us"),
      stability: w.number("stability"),
      certainty: w.maybe("certainty", number),
    })),
  });

const picture = (f: Fields): ToClient => ({
  type: "picture.stats",
  id: f.count("id"),
  at_us: f.integer("at_us"),
  width: f.count("width"),
  height: f.count("height"),
  fps: f.number("fps"),
  kbps: f.number("kbps"),
  decoded: f.count("decoded"),
  keyframes: f.count("keyframes"),
  vectors: f.number("vectors"),
  motion: f.number("motion"),
  brightness: f.number("brightness"),
  cut: f.truth("cut"),
});

const reading = (f: Fields): ToClient => ({
  type: "reading",
  id: f.count("id"),
  at_us: f.integer("at_us"),
  read_at_us: f.integer("read_at_us"),
  readability: f.maybe("readability", number),
  unread: f.count("unread"),
  lines: f.list("lines", (line) => ({ text: line.text("text"), region: line.corners("region"), certainty: line.number("certainty") })),
});

const view = (f: Fields): ToClient => ({
  type: "view",
  received: f.count("received"),
  made: f.count("made"),
  extrapolated: f.count("extrapolated"),
  held: f.count("held"),
  rung: f.one("rung", RUNGS),
  fps_in: f.number("fps_in"),
  fps_out: f.number("fps_out"),
  reason: f.maybe("reason", (fields, name) => fields.one(name, REASONS)),
});

const allocation = (f: Fields): ToClient => ({
  type: "allocation",
  session: f.text("session"),
  number: f.count("number"),
  mode: f.one("mode", ALLOCATE_MODES),
  cap_kbps: f.maybe("cap_kbps", (fields, name) => fields.count(name)),
  reason: f.text("reason"),
  kind: f.text("kind"),
  readability: f.maybe("readability", number),
  map: f.maybe("map", (fields, name) => fields.text(name)),
  slot_ms: f.maybe("slot_ms", (fields, name) => fields.count(name)),
});

const latency = (f: Fields): ToClient => ({
  type: "latency",
  of: f.count("of"),
  outlet: f.text("outlet"),
  born_us: f.integer("born_us"),
  measured: f.truth("measured"),
  segments: f.list("segments", (s) => ({ name: s.text("name"), us: s.maybe("us", integer) })),
  sent_us: f.integer("sent_us"),
});

const question = (f: Fields): ToClient => ({ type: "question", ask: f.count("ask"), by: f.one("by", BYS), text: f.text("text") });

const answer = (f: Fields): ToClient => ({
  type: "answer",
  ask: f.count("ask"),
  question: f.text("question"),
  text: f.text("text"),
  ended: f.one("ended", ENDS),
  certainty: f.maybe("certainty", number),
  readability: f.maybe("readability", number),
  engine: f.text("engine"),
  evidence: f.list("evidence", (place) => ({ picture: place.count("picture"), region: place.corners("region"), share: place.number("share") })),
  pictures: f.list("pictures", (p) => ({ at_us: p.integer("at_us"), age_us: p.integer("age_us"), still_us: p.integer("still_us") })),
  first_us: f.maybe("first_us", integer),
  took_us: f.integer("took_us"),
});

const unanswered = (f: Fields): ToClient => ({
  type: "answer.none",
  ask: f.count("ask"),
  question: f.text("question"),
  why: f.text("why"),
  message: f.text("message"),
});

const named = (f: Fields): { name: string; note: string } => ({ name: f.text("name"), note: f.text("note") });

const session = (f: Fields): ToClient => {
  return {
    type: "session",
    version: f.count("version"),
    session: f.text("session"),
    recogniser: named(f.object("recogniser")),
    answerer: f.maybe("answerer", (fields, name) => named(fields.object(name))),
  };
};

const lost = (f: Fields): ToClient => ({
  type: "lost",
  stage: f.text("stage"),
  why: f.text("why"),
  count: f.count("count"),
  at_us: f.maybe("at_us", integer),
});

const TO_CLIENT: ReadonlyMap<string, (fields: Fields) => ToClient> = new Map<string, (fields: Fields) => ToClient>([
  ["session", session],
  ["speech.started", speech("speech.started")],
  ["speech.stopped", speech("speech.stopped")],
  ["speech.ended", (f) => ({ type: "speech.ended", at_us: f.integer("at_us") })],
  ["words.partial", words("words.partial")],
  ["words.final", words("words.final")],
  ["picture.stats", picture],
  ["reading", reading],
  ["question", question],
  ["answer.text", (f) => ({ type: "answer.text", id: f.maybe("id", (fields, name) => fields.count(name)), ask: f.count("ask"), text: f.text("text") })],
  ["answer", answer],
  ["answer.none", unanswered],
  ["view", view],
  ["allocation", allocation],
  ["latency", latency],
  ["lost", lost],
  ["clock", (f) => ({ type: "clock", t0_us: f.integer("t0_us"), t1_us: f.integer("t1_us") })],
  ["flushed", (f) => ({ type: "flushed", why: f.one("why", WHYS), at_us: f.integer("at_us") })],
  ["error", (f) => ({ type: "error", code: f.text("code"), message: f.text("message") })],
]);

function allocate(f: Fields): ToServer {
  const most_kbps = f.maybe("most_kbps", (fields, name) => fields.count(name));
  return { type: "allocate", mode: f.one("mode", ALLOCATE_MODES), ...(most_kbps === null ? {} : { most_kbps }) };
}

const TO_SERVER: ReadonlyMap<string, (fields: Fields) => ToServer> = new Map<string, (fields: Fields) => ToServer>([
  ["clock", (f) => ({ type: "clock", t0_us: f.integer("t0_us") })],
  ["clock.offset", (f) => ({ type: "clock.offset", offset_us: f.integer("offset_us"), error_us: f.count("error_us") })],
  ["shown", (f) => ({ type: "shown", id: f.count("id"), received_us: f.integer("received_us"), shown_us: f.integer("shown_us") })],
  ["ask", (f) => ({ type: "ask", id: askNumber(f), text: f.text("text") })],
  ["ask.cancel", (f) => ({ type: "ask.cancel", id: askNumber(f) })],
  ["allocate", allocate],
  ["flush", (f) => ({ type: "flush", why: f.one("why", WHYS) })],
]);
