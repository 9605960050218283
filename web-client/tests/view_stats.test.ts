import assert from "node:assert/strict";
import { test } from "node:test";
import { viewStatsFromReport } from "../src/main/view_stats.js";

const entry = (at_ms: number, more: Record<string, unknown>): [string, Record<string, unknown>][] => [
  ["A", { type: "inbound-rtp", kind: "audio", framesDecoded: 9 }],
  ["V", { type: "inbound-rtp", kind: "video", timestamp: at_ms, ...more }],
];

test("rates are differences between two reports, and unknown before the second", () => {
  const first = viewStatsFromReport(entry(1000, { framesDecoded: 10, bytesReceived: 1_000, frameWidth: 640, frameHeight: 480 }), null);
  assert.deepEqual([first.stats.fps, first.stats.kbps, first.stats.width, first.stats.decoded], [null, null, 640, 10]);
  const next = viewStatsFromReport(
    entry(2000, { framesDecoded: 70, bytesReceived: 126_000, jitterBufferDelay: 1.2, jitterBufferEmittedCount: 60 }),
    first.counters,
  );
  assert.deepEqual([next.stats.fps, next.stats.kbps, next.stats.buffered_ms], [60, 1000, 20]);
});

test("what a browser leaves out or gets wrong is unknown, never a number that is none", () => {
  assert.deepEqual(viewStatsFromReport([], null).counters, null);
  const before = { at_ms: 5, decoded: 5, bytes: 5, delay_s: 0, emitted: 0 };
  for (const more of [{}, { framesDecoded: NaN }, { framesDecoded: "7" }, { framesDecoded: 0, bytesReceived: 0 }]) {
    for (const at_ms of [5, 4, 6]) {
      const { stats } = viewStatsFromReport(entry(at_ms, more), before);
      for (const value of Object.values(stats)) assert.ok(value === null || (Number.isFinite(value) && Number(value) >= 0), `${at_ms} ${JSON.stringify(stats)}`);
    }
  }
});
