import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Asking } from "../src/main/asking.js";
import type { AnswerEvent, AnswerMessage } from "../src/main/answers.js";
import type { ToServer } from "../src/main/wire.js";

const answer = (ask: number, text: string): AnswerMessage => ({
  type: "answer", ask, question: "?", text, ended: "said", certainty: 0.5, readability: null, engine: "e", evidence: [], pictures: [], first_us: 1, took_us: 2,
});

describe("questions about the picture", () => {
  it("are answered each by its own pieces, in whatever order they come", async () => {
    const sent: ToServer[] = [];
    const asking = new Asking((message) => sent.push(message));
    const [one, two] = [asking.ask("one?"), asking.ask("two?")];
    assert.deepEqual(sent, [{ type: "ask", id: 1, text: "one?" }, { type: "ask", id: 2, text: "two?" }]);
    const events: AnswerEvent[] = [
      { type: "question", ask: 2, by: "channel", text: "two?" },
      { type: "answer.text", id: 5, ask: 2, text: "b " },
      { type: "answer.text", id: 6, ask: 1, text: "a" },
      { type: "answer.text", id: 7, ask: 99, text: "nobody's" },
      { type: "answer.text", id: null, ask: 2, text: "c" },
      answer(2, "b c"),
      { type: "answer.text", id: null, ask: 2, text: "after its end" },
      answer(1, "a"),
    ];
    const collect = async (pieces: AsyncIterable<string>): Promise<string[]> => {
      const all: string[] = [];
      for await (const piece of pieces) all.push(piece);
      return all;
    };
    const both = Promise.all([collect(one), collect(two)]);
    for (const event of events) {
      asking.take(event);
      await Promise.resolve();
    }
    assert.deepEqual(await both, [["a"], ["b ", "c"]]);
    assert.equal((await two.outcome).type, "answer");
    assert.deepEqual(await collect(two), ["b ", "c"], "it can be heard again");
  });

  it("are taken back while they are open, and end with their connection", async () => {
    const sent: ToServer[] = [];
    const asking = new Asking((message) => sent.push(message), 2 ** 32 - 1);
    const [one, two] = [asking.ask("one?"), asking.ask("two?")];
    assert.equal(two.ask, 0, "numbers are the client's own");
    one.cancel();
    assert.deepEqual(sent.at(-1), { type: "ask.cancel", id: 2 ** 32 - 1 });
    assert.deepEqual(asking.lost().map(({ ask, why }) => [ask, why]), [[2 ** 32 - 1, "connection"], [0, "connection"]]);
    for await (const piece of one) assert.fail(piece);
    assert.equal((await two.outcome).type, "answer.none");
    two.cancel();
    assert.equal(sent.length, 3, "an answer that is over is not taken back");
    assert.deepEqual(asking.lost(), []);
  });
});
