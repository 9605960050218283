import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Heed, leastRate, levelsFromMap, MAP, type AllocationMessage } from "../src/main/allocation.js";

const wish = (number: number, more: Partial<AllocationMessage> = {}): AllocationMessage => ({
  type: "allocation", session: "ours", number, mode: "full", cap_kbps: 300, reason: "enough", kind: "text", readability: 0.9, map: null, slot_ms: 500, ...more,
});

describe("a map", () => {
  it("is read run by run, whole or not at all", () => {
    const levels = levelsFromMap(`f1${"0z".repeat(20)}0j`);
    assert.ok(levels !== null && levels.length === MAP.columns * MAP.rows && levels[0] === 1 && levels[1] === 0);
    for (const none of ["", "f", "fz", "g1", "f0", "-1", "fz".repeat(1_000), " 1"]) assert.equal(levelsFromMap(none), null, none.slice(0, 9));
  });
});

describe("a sender", () => {
  it("heeds only what is its own, newer and can be", () => {
    const heed = new Heed();
    assert.equal(heed.take(wish(1), 0), false, "nobody greeted us yet");
    heed.greeted("ours");
    assert.ok(heed.take(wish(7), 0));
    assert.equal(heed.cap_kbps(100), 300);
    for (const odd of [wish(7), wish(3), wish(8, { session: "theirs" }), wish(8, { map: "f9" })]) assert.equal(heed.take(odd, 1_500), false);
    assert.equal(heed.cap_kbps(1_500), 300);
    assert.equal(heed.refused, 5);
    assert.ok(heed.take(wish(9, { cap_kbps: 1 }), 2_000));
    assert.equal(heed.cap_kbps(2_000), 100, "nobody is starved");
    assert.equal(heed.cap_kbps(7_001), null, "silence decides nothing");
    assert.ok(heed.take(wish(10, { mode: "off" }), 8_000));
    assert.equal(heed.cap_kbps(8_000), null);
  });

  it("sends as many pictures as losses ask for, in full alone, and for as long as it is told so", () => {
    for (const [lost, fps] of [[0, 5], [0.1, 6], [0.3, 20], [0.5, 60]] as const) assert.equal(leastRate(lost, 500), fps, `${lost} lost`);
    for (const none of [1, 2, -1, Number.NaN]) assert.equal(leastRate(none, 500), null);
    const heed = new Heed();
    heed.greeted("ours");
    assert.equal(heed.fps(0, 0), null);
    assert.ok(heed.take(wish(1), 0));
    assert.deepEqual([heed.fps(5_000, 0.3), heed.fps(5_001, 0.3)], [20, null]);
    assert.ok(heed.take(wish(2, { mode: "cap+regions" }), 6_000));
    assert.equal(heed.fps(6_000, 0), null);
    let number = 3;
    for (const slot_ms of [null, 0, -1, 1e9]) {
      assert.ok(heed.take(wish((number += 1), { slot_ms }), 8_000));
      assert.equal(heed.fps(8_000, 0), null, `${slot_ms} ms`);
    }
  });

  it("sends in layers where packets are lost, in full alone, and does not waver", () => {
    const heed = new Heed();
    heed.greeted("ours");
    assert.equal(heed.layers(0, 0.5), 1, "nobody wishes it");
    let number = 0;
    const layers = (now_ms: number, lost: number, more: Partial<AllocationMessage> = {}): number => {
      assert.ok(heed.take(wish((number += 1), more), now_ms));
      return heed.layers(now_ms, lost);
    };
    assert.deepEqual([layers(1_000, 0.01), layers(2_000, 0.03), layers(3_000, 0)], [1, 2, 2], "it stays for a while");
    assert.deepEqual([layers(13_000, 0.01), layers(14_000, 0.004), layers(15_000, 0.5)], [2, 1, 1]);
    assert.equal(layers(25_000, Number.NaN), 1);
    assert.equal(layers(26_000, 0.5), 2);
    assert.equal(layers(40_000, 0.5, { mode: "cap" }), 1);
  });

  it("refuses a flood, which passes", () => {
    const heed = new Heed();
    heed.greeted("ours");
    let taken = 0;
    for (let number = 0; number < 1_000; number += 1) taken += heed.take(wish(number), 10) ? 1 : 0;
    assert.equal(taken, 20);
    assert.ok(heed.take(wish(2_000), 1_100));
  });
});
