import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { caption, NO_CAPTIONS, textOf, type CaptionEvent, type Captions } from "../src/main/captions.js";
import { seeded } from "./seeded.js";

function words(type: "words.partial" | "words.final", segment: number, text: string): CaptionEvent {
  const list = text === "" ? [] : text.split(" ").map((word) => ({ text: word, start_us: 0, end_us: 1, stability: 1, certainty: null }));
  return { type, id: 1, segment, at_us: 0, words: list };
}
function lost(stage: string, count = 1): CaptionEvent {
  return { type: "lost", stage, why: "too_old", count, at_us: 5 };
}
function after(...events: CaptionEvent[]): Captions {
  return events.reduce(caption, NO_CAPTIONS);
}
function shown(captions: Captions): string[] {
  return captions.lines.map((line) => `${line.kind}: ${textOf(line)}`);
}

describe("captions", () => {
  it("replace a provisional line, and settle it in place", () => {
    const events = [words("words.partial", 0, "a"), words("words.partial", 0, "a house"), words("words.final", 0, "a mouse")];
    assert.deepEqual(shown(after(...events.slice(0, 2))), ["partial: a house"]);
    assert.deepEqual(shown(after(...events)), ["final: a mouse"]);
    assert.equal(after(...events).lines[0]?.key, after(...events.slice(0, 1)).lines[0]?.key);
  });

  it("never unsettle a line, and take a line back that has no words left", () => {
    assert.deepEqual(shown(after(words("words.final", 0, "a"), words("words.partial", 0, "b"))), ["final: a"]);
    assert.deepEqual(shown(after(words("words.partial", 0, "a"), words("words.final", 0, ""))), []);
  });

  it("show lost sound as a gap, neighbouring gaps as one, and lost pictures not at all", () => {
    const captions = after(words("words.final", 0, "a"), lost("vad", 2), lost("decode"), lost("recognise", 3), words("words.final", 1, "b"));
    assert.deepEqual(shown(captions), ["final: a", "gap: …", "final: b"]);
    const [, gap] = captions.lines;
    assert.equal(gap?.kind === "gap" ? gap.count : null, 5);
  });

  it("keep another connection's segments apart", () => {
    const talk = after(words("words.final", 0, "a"), words("words.partial", 1, "b"), { type: "reconnected" }, words("words.partial", 0, "c"));
    assert.deepEqual(shown(talk), ["final: a", "final: b", "gap: …", "partial: c"]);
    const again = after(words("words.final", 0, "a"), { type: "restarted" }, words("words.final", 0, "b"));
    assert.deepEqual(shown(again), ["final: a", "final: b"]);
  });

  it("stay bounded, with keys that are never used twice, over any run of events", () => {
    for (let seed = 0; seed < 20; seed += 1) {
      const chance = seeded(seed);
      let captions = NO_CAPTIONS;
      for (let i = 0; i < 1_000; i += 1) {
        const segment = Math.floor(i / 3);
        const dice = chance();
        const event: CaptionEvent =
          dice < 0.1 ? lost("opus") : dice < 0.12 ? { type: "reconnected" } : words(dice < 0.6 ? "words.partial" : "words.final", segment, dice < 0.2 ? "" : "x y");
        captions = caption(captions, event);
        assert.ok(captions.lines.length <= 200);
        assert.equal(new Set(captions.lines.map((line) => line.key)).size, captions.lines.length);
      }
    }
  });
});
