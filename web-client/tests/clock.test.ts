import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ClockFilter } from "../src/main/clock.js";
import { seeded } from "./seeded.js";

describe("the clock filter", () => {
  it("says nothing before the first answer", () => {
    assert.equal(new ClockFilter().best, null);
  });

  it("is never further off than the error it states, whatever the delays and however unequal", () => {
    for (let seed = 0; seed < 200; seed += 1) {
      const chance = seeded(seed);
      const truth = Math.round((chance() - 0.5) * 4e15);
      const filter = new ClockFilter();
      let now = 1_795_224_420_000_000;
      for (let i = 0; i < 60; i += 1) {
        const there = Math.round(chance() ** 4 * 200_000);
        const back = Math.round(chance() ** 4 * 200_000);
        filter.answer(now, now + there + truth, now + there + back);
        assert.ok(filter.best !== null);
        assert.ok(Math.abs(filter.best.offset_us - truth) <= filter.best.error_us, `seed ${seed}`);
        assert.ok(Number.isInteger(filter.best.offset_us) && filter.best.error_us >= 0);
        now += 5_000_000;
      }
    }
  });

  it("keeps the quickest answer of the window and lets go of it afterwards", () => {
    const filter = new ClockFilter();
    assert.equal(filter.answer(0, 1_000, 200), true);
    assert.equal(filter.answer(1_000_000, 1_005_000, 1_009_000), false);
    assert.deepEqual(filter.best, { offset_us: 900, error_us: 100 });
    assert.equal(filter.answer(31_000_000, 31_002_000, 31_004_000), true);
    assert.equal(filter.best.error_us, 2_000);
  });

  it("refuses answers from the future and answers that took too long", () => {
    const filter = new ClockFilter();
    assert.equal(filter.answer(10, 5, 9), false);
    assert.equal(filter.answer(0, 5, 6_000_000), false);
    assert.equal(filter.best, null);
  });
});
