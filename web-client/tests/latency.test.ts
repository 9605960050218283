import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Conversation } from "../src/main/conversation.js";
import { completed, LatencyBook, median, type Latency } from "../src/main/latency.js";
import type { LatencyMessage, Segment, ToServer } from "../src/main/wire.js";
import { seeded } from "./seeded.js";

const NAMES = ["network", "jitter", "decode", "vad", "recognise", "send"];

function sum(segments: readonly Segment[]): number {
  return segments.reduce((total, { us }) => total + (us ?? 0), 0);
}

function account(chance: () => number, measured: boolean): LatencyMessage {
  const segments: Segment[] = NAMES.filter(() => chance() < 0.8).map((name) => ({ name, us: Math.round(chance() * 300_000) }));
  if (!measured) segments.unshift({ name: "network", us: null });
  const born_us = Math.round(chance() * 1e9);
  return { type: "latency", of: 7, outlet: "words.final", born_us, measured, segments, sent_us: born_us + sum(segments) };
}

describe("a completed latency", () => {
  it("sums to what was felt, whatever segments there are", () => {
    for (let seed = 0; seed < 300; seed += 1) {
      const chance = seeded(seed);
      const server = account(chance, seed % 2 === 0);
      const received = server.sent_us + Math.round((chance() - 0.02) * 50_000);
      const shown = received + Math.round(chance() * 40_000);
      const done = completed(server, received, shown, 250);
      assert.equal(sum(done.segments), done.felt_us, `seed ${seed}`);
      assert.equal(done.felt_us, shown - server.born_us);
      assert.deepEqual(done.segments.slice(-2).map(({ name }) => name), ["deliver", "show"]);
      assert.ok(!done.segments.some(({ name }) => name === "send"));
      assert.equal(done.segments.some(({ us }) => us === null), !done.measured);
    }
  });
});

describe("the latency book", () => {
  it("stays bounded when nothing is ever shown, and forgets the oldest first", () => {
    const book = new LatencyBook();
    for (let id = 0; id < 10_000; id += 1) book.received(id, id);
    assert.equal(book.shown(9_000, 1), null);
    assert.deepEqual(book.shown(9_999, 1), { received_us: 9_999 });
    assert.equal(book.shown(9_999, 2), null);
  });
});

describe("a conversation", () => {
  function begin(): { talk: Conversation; sent: ToServer[]; latencies: Latency[] } {
    const sent: ToServer[] = [];
    const latencies: Latency[] = [];
    const talk = new Conversation({ send: (m) => sent.push(m), message: () => undefined, latency: (l) => latencies.push(l) });
    return { talk, sent, latencies };
  }
  const event = JSON.stringify({ type: "speech.started", id: 7, at_us: 0 });
  const server = JSON.stringify({
    type: "latency", of: 7, outlet: "speech.started", born_us: 1_000, measured: true,
    segments: [{ name: "network", us: 500 }, { name: "send", us: 100 }], sent_us: 1_600,
  });
  const answer = JSON.stringify({ type: "clock", t0_us: 100_000, t1_us: 1_100 });

  it("completes an event in whatever order clock, account and painting come", () => {
    const steps: Record<string, (talk: Conversation) => void> = {
      answer: (talk) => { talk.receive(answer, 100_200); },
      account: (talk) => { talk.receive(server, 101_000); },
      shown: (talk) => { talk.shown(7, 117_000); },
    };
    for (const order of ["answer account shown", "answer shown account", "account answer shown", "account shown answer", "shown answer account", "shown account answer"]) {
      const { talk, sent, latencies } = begin();
      talk.receive(event, 100_900);
      for (const step of order.split(" ")) steps[step]?.(talk);
      talk.shown(7, 150_000);
      assert.deepEqual(latencies.map((l) => [l.of, l.felt_us, sum(l.segments)]), [[7, 17_000, 17_000]], order);
      assert.deepEqual(
        sent,
        [{ type: "clock.offset", offset_us: -99_000, error_us: 100 }, { type: "shown", id: 7, received_us: 1_900, shown_us: 18_000 }],
        order,
      );
    }
  });

  it("counts what it cannot use and goes on", () => {
    const { talk } = begin();
    talk.receive("{", 0);
    talk.receive(new ArrayBuffer(1), 0);
    talk.receive('{"type":"tomorrow"}', 0);
    assert.deepEqual(talk.counts, { malformed: 2, unknown: 1 });
    talk.receive(answer, 100_200);
    assert.equal(talk.clock?.offset_us, -99_000);
  });
});

describe("the median", () => {
  it("is the middle, or the mean of the middle two, or nothing", () => {
    assert.equal(median([]), null);
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
  });
});
