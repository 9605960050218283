/** The captions as a value: a pure step from one list of lines to the next. Drawing them is the page's affair. */

import type { LostMessage, Word, WordsMessage } from "./wire.js";

/** A line of the captions. `key` stays the same while a segment goes from provisional to settled. */
export type CaptionLine =
  | { readonly kind: "partial" | "final"; readonly key: string; readonly id: number; readonly at_us: number; readonly words: readonly Word[] }
  | { readonly kind: "gap"; readonly key: string; readonly count: number; readonly at_us: number | null };

/** All lines, oldest first, and which connection they are from. */
export interface Captions {
  readonly lines: readonly CaptionLine[];
  /** Counts connections: the server numbers the segments of each from 0. */
  readonly epoch: number;
  readonly gaps: number;
}

/** What can happen to captions. After a loss of the connection, or a start by hand, later segments are another session's. */
export type CaptionEvent = WordsMessage | LostMessage | { readonly type: "reconnected" | "restarted" };

/** Stages in which something lost is sound that nobody will read. */
export const SOUND_STAGES: ReadonlySet<string> = new Set(["opus", "resample", "vad", "recognise"]);

/** About ten minutes of speech; the oldest lines go first. */
const MAX_LINES = 200;

/** No captions yet. */
export const NO_CAPTIONS: Captions = { lines: [], epoch: 0, gaps: 0 };

/** The captions after one more event. */
export function caption(captions: Captions, event: CaptionEvent): Captions {
  switch (event.type) {
    case "words.partial":
    case "words.final":
      return spoken(captions, event);
    case "lost":
      return SOUND_STAGES.has(event.stage) ? gap(captions, event) : captions;
    case "restarted":
      return settled(captions);
    case "reconnected":
      return interrupted(captions);
  }
}

/** The text of a line, words joined by spaces. */
export function textOf(line: CaptionLine): string {
  return line.kind === "gap" ? "…" : line.words.map((word) => word.text).join(" ");
}

function spoken(captions: Captions, event: WordsMessage): Captions {
  const key = `${captions.epoch}.${event.segment}`;
  const kind = event.type === "words.final" ? "final" : "partial";
  const index = captions.lines.findIndex((line) => line.key === key);
  const known = captions.lines[index];
  if (known?.kind === "final" && kind === "partial") return captions;
  const lines = [...captions.lines];
  if (event.words.length === 0) {
    if (index >= 0) lines.splice(index, 1);
  } else {
    const line: CaptionLine = { kind, key, id: event.id, at_us: event.at_us, words: event.words };
    if (index >= 0) lines[index] = line;
    else lines.push(line);
  }
  return { ...captions, lines: lines.slice(-MAX_LINES) };
}

function gap(captions: Captions, event: LostMessage): Captions {
  const last = captions.lines.at(-1);
  if (last?.kind === "gap") {
    const longer: CaptionLine = { ...last, count: last.count + event.count };
    return { ...captions, lines: [...captions.lines.slice(0, -1), longer] };
  }
  const line: CaptionLine = { kind: "gap", key: `gap.${captions.gaps}`, count: event.count, at_us: event.at_us };
  return { ...captions, gaps: captions.gaps + 1, lines: [...captions.lines, line].slice(-MAX_LINES) };
}

/** A provisional line of a session that is gone gets no other version: it stays, and a gap says that something is missing. */
function interrupted(captions: Captions): Captions {
  const cut = settled(captions);
  return cut.lines.length === 0 ? cut : gap(cut, { type: "lost", stage: "recognise", why: "too_late", count: 1, at_us: null });
}

function settled(captions: Captions): Captions {
  const lines = captions.lines.map((line) => (line.kind === "partial" ? { ...line, kind: "final" as const } : line));
  return { ...captions, lines, epoch: captions.epoch + 1 };
}
