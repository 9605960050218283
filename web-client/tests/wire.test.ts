import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { MAX_MESSAGE, parseToClient, parseToServer } from "../src/main/wire.js";

interface Vector {
  readonly name: string;
  readonly direction: "to_client" | "to_server" | "malformed";
  readonly json: unknown;
}

// The runner starts in web-client/.
const vectors = JSON.parse(readFileSync("../apps/hearsight/wire/vectors.json", "utf8")) as Vector[];
const CLIENT_TYPES = [
  "session", "speech.started", "speech.stopped", "speech.ended", "words.partial", "words.final", "picture.stats", "reading", "question", "answer.text", "answer", "answer.none", "view", "allocation", "latency", "lost", "clock", "flushed", "error",
];
const SERVER_TYPES = ["clock", "clock.offset", "shown", "ask", "ask.cancel", "allocate", "flush"];

describe("the shared vectors", () => {
  for (const { name, direction, json } of vectors) {
    it(`${direction}: ${name}`, () => {
      const text = JSON.stringify(json);
      if (direction === "malformed") {
        for (const parse of [parseToClient, parseToServer]) {
          const parsed = parse(text);
          assert.equal(parsed.ok ? "taken" : parsed.why, "malformed");
        }
        return;
      }
      const parsed = direction === "to_client" ? parseToClient(text) : parseToServer(text);
      assert.ok(parsed.ok, parsed.ok ? "" : parsed.detail);
      assert.deepEqual(JSON.parse(JSON.stringify(parsed.message)), json);
    });
  }

  it("cover every type of both directions", () => {
    const types = (direction: string): Set<unknown> =>
      new Set(vectors.filter((v) => v.direction === direction).map((v) => (v.json as { type: unknown }).type));
    assert.deepEqual(types("to_client"), new Set(CLIENT_TYPES));
    assert.deepEqual(types("to_server"), new Set(SERVER_TYPES));
  });
});

describe("reading", () => {
  it("takes no number of the server's for a question", () => {
    assert.equal(parseToServer('{"type":"ask","id":4294967295,"text":"?"}').ok, true);
    for (const id of ["4294967296", "-1", "0.5", '"1"']) assert.equal(parseToServer(`{"type":"ask","id":${id},"text":"?"}`).ok, false);
  });

  it("ignores unknown types and drops unknown fields", () => {
    assert.deepEqual(parseToClient('{"type":"weather","sun":true}'), { ok: false, why: "unknown", detail: "weather" });
    const parsed = parseToClient('{"type":"speech.started","id":1,"at_us":2,"mood":"good"}');
    assert.deepEqual(parsed, { ok: true, message: { type: "speech.started", id: 1, at_us: 2 } });
  });

  it("takes an absent optional field for null", () => {
    const parsed = parseToClient('{"type":"lost","stage":"vad","why":"too_old","count":1}');
    assert.deepEqual(parsed, { ok: true, message: { type: "lost", stage: "vad", why: "too_old", count: 1, at_us: null } });
  });

  it("refuses a view whose counts or words are none", () => {
    const view = { type: "view", received: 1, made: 1, extrapolated: 0, held: 0, rung: "full", fps_in: 30, fps_out: 60, reason: null };
    assert.ok(parseToClient(JSON.stringify(view)).ok);
    for (const wrong of [{ received: -1 }, { made: 0.5 }, { rung: "top" }, { rung: null }, { reason: "rain" }, { fps_out: "60" }]) {
      const parsed = parseToClient(JSON.stringify({ ...view, ...wrong }));
      assert.equal(parsed.ok ? "taken" : parsed.why, "malformed", JSON.stringify(wrong));
    }
  });

  it("does not mistake inherited names for types", () => {
    for (const type of ["constructor", "__proto__", "toString"]) {
      const parsed = parseToClient(JSON.stringify({ type }));
      assert.equal(parsed.ok ? "taken" : parsed.why, "unknown");
    }
  });

  it("refuses what is no text, no JSON, too long or too deep, without throwing", () => {
    const deep = "[".repeat(MAX_MESSAGE);
    const long = JSON.stringify({ type: "error", code: "x", message: "é".repeat(MAX_MESSAGE / 2) });
    for (const bad of [new ArrayBuffer(4), undefined, "", "{", "\u0000", deep, long]) {
      const parsed = parseToClient(bad);
      assert.equal(parsed.ok ? "taken" : parsed.why, "malformed");
    }
  });

  it("survives every message cut short and with any one field of another type", () => {
    for (const { direction, json } of vectors) {
      if (direction === "malformed") continue;
      const parse = direction === "to_client" ? parseToClient : parseToServer;
      const text = JSON.stringify(json);
      for (let end = 0; end < text.length; end += 1) assert.equal(parse(text.slice(0, end)).ok, false);
      for (const field of Object.keys(json as object)) {
        const parsed = parse(JSON.stringify({ ...(json as object), [field]: { odd: [] } }));
        assert.equal(parsed.ok, false, field);
      }
    }
  });
});
