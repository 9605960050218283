import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Backoff, DEFAULT_BACKOFF } from "../src/main/backoff.js";
import { seeded } from "./seeded.js";

describe("the back-off", () => {
  it("doubles up to its cap, never waits less than half, and gives up in the end", () => {
    for (let seed = 0; seed < 50; seed += 1) {
      const backoff = new Backoff(DEFAULT_BACKOFF, seeded(seed));
      let now = 1_000;
      let attempts = 0;
      for (let wait = backoff.next(now); wait !== null; wait = backoff.next(now)) {
        const ceiling = Math.min(DEFAULT_BACKOFF.cap_ms, DEFAULT_BACKOFF.first_ms * 2 ** attempts);
        assert.ok(wait >= ceiling / 2 && wait <= ceiling, `seed ${seed}, attempt ${attempts}: ${wait}`);
        now += wait;
        attempts += 1;
        assert.ok(attempts < 1_000);
      }
      assert.ok(now - 1_000 <= DEFAULT_BACKOFF.give_up_after_ms);
    }
  });

  it("waits as long as the server asks", () => {
    assert.equal(new Backoff(DEFAULT_BACKOFF, () => 0).next(0, 42_000), 42_000);
    assert.equal(new Backoff(DEFAULT_BACKOFF, () => 0).next(0, 10_000_000), null);
  });

  it("begins anew after a reset", () => {
    const backoff = new Backoff(DEFAULT_BACKOFF, () => 1);
    assert.deepEqual([backoff.next(0), backoff.next(0), backoff.next(0)], [500, 1_000, 2_000]);
    backoff.reset();
    assert.equal(backoff.next(10_000_000), 500);
  });
});
