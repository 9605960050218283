import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAP } from "../src/main/allocation.js";
import { coarser, Detail, kept } from "../src/worker/detail.js";
import { Guard } from "../src/worker/guard.js";
import { CELL, cellsOf, planesOf, softenPlane } from "../src/worker/planes.js";
import { seeded } from "./seeded.js";

const levels = (of: (x: number, y: number) => number): number[] =>
  Array.from({ length: MAP.columns * MAP.rows }, (_, at) => of(((at % MAP.columns) + 0.5) / MAP.columns, (Math.floor(at / MAP.columns) + 0.5) / MAP.rows));

/** What {@link softenPlane} says it does, sample by sample. */
function reference(bytes: Uint8Array, width: number, height: number, shares: Float32Array, columns: number, rows: number): number[] {
  const means = Array.from({ length: columns * rows }, (_, at) => {
    const [left, top] = [(at % columns) * CELL, Math.floor(at / columns) * CELL];
    let [sum, count] = [0, 0];
    for (let y = top; y < Math.min(top + CELL, height); y += 1) for (let x = left; x < Math.min(left + CELL, width); x += 1) [sum, count] = [sum + (bytes[y * width + x] ?? 0), count + 1];
    return sum / count;
  });
  const between = (grid: ArrayLike<number>, x: number, y: number): number => {
    const at = (row: number, column: number): number => grid[Math.min(rows - 1, Math.max(0, row)) * columns + Math.min(columns - 1, Math.max(0, column))] ?? 0;
    const [column, row] = [(x + 0.5) / CELL - 0.5, (y + 0.5) / CELL - 0.5];
    const [left, top] = [Math.floor(column), Math.floor(row)];
    const [u, v] = [column - left, row - top];
    return (at(top, left) * (1 - u) + at(top, left + 1) * u) * (1 - v) + (at(top + 1, left) * (1 - u) + at(top + 1, left + 1) * u) * v;
  };
  return Array.from(bytes, (sample, at) => {
    const [x, y] = [at % width, Math.floor(at / width)];
    const mean = between(means, x, y);
    return mean + between(shares, x, y) * (sample - mean);
  });
}

describe("a softened plane", () => {
  it("is drawn towards its means by just so much, whatever its size", () => {
    const random = seeded(7);
    for (const [width, height] of [[64, 48], [71, 33], [8, 8], [5, 3], [160, 9]] as const) {
      const bytes = Uint8Array.from({ length: width * height }, () => Math.floor(random() * 256));
      const [columns, rows] = cellsOf(width, height);
      const shares = Float32Array.from({ length: columns * rows }, () => (random() < 0.3 ? 1 : random()));
      const expected = reference(bytes, width, height, shares, columns, rows);
      const softened = bytes.slice();
      softenPlane(softened, { offset: 0, stride: width, step: 1, width, height, cell: CELL }, shares, columns, rows);
      softened.forEach((sample, at) => {
        assert.ok(Math.abs(sample - (expected[at] ?? 0)) <= 0.55, `${width}×${height}: ${sample} for ${expected[at]} at ${at}`);
      });
    }
  });

  it("is what it was, bit for bit, where all is kept, and outside its own rows and samples", () => {
    const random = seeded(3);
    const [width, height] = [1280, 720];
    const detail = new Detail();
    detail.aim(levels((x) => (x < 0.5 ? 1 : 0)));
    detail.advance(60_000);
    const [columns, rows] = cellsOf(width, height);
    const grid = detail.grid(columns, rows);
    const bytes = Uint8Array.from({ length: (width * height * 3) / 2 }, () => Math.floor(random() * 256));
    const softened = bytes.slice();
    const planes = planesOf("NV12", width, height, [{ offset: 0, stride: width }, { offset: width * height, stride: width }]) ?? [];
    assert.equal(planes.length, 3);
    for (const plane of planes.slice(0, 2)) softenPlane(softened, plane, grid, columns, rows);
    let [left, right, blue, red] = [0, 0, 0, 0];
    bytes.forEach((sample, at) => {
      const changed = Number(sample !== softened[at]);
      const chroma = at >= width * height;
      if (chroma && at % 2 === 1) red += changed;
      else if (at % width < width * 0.47) left += changed;
      else if (at % width > width * 0.53 && chroma) blue += changed;
      else if (at % width > width * 0.53) right += changed;
    });
    assert.deepEqual([left, red], [0, 0]);
    assert.ok(right > 0.4 * width * height && blue > 0.1 * (width / 2) * (height / 2), `${right} and ${blue} samples`);
  });

  it("knows the formats that it can soften", () => {
    const layout = [0, 1, 2].map((n) => ({ offset: n, stride: 4 }));
    assert.equal(planesOf("I420", 3, 3, layout)?.[2]?.width, 2);
    for (const format of ["BGRX", "I444", null]) assert.equal(planesOf(format, 3, 3, layout), null);
    assert.equal(planesOf("I420", 3, 3, []), null);
  });
});

describe("the detail that is kept", () => {
  it("is all of it inside, and less the less a block is worth, as a quantiser would have it", () => {
    assert.deepEqual([1, 0.8, 0.5, 0].map(coarser), [0, 0, 16, 25]);
    assert.equal(kept(1), 1);
    assert.ok(Math.abs(kept(0) - 2 ** (-25 / 6)) < 1e-9);
    assert.deepEqual([-1, 2, Number.NaN].map((odd) => kept(odd) >= 0 || Number.isNaN(kept(odd))), [true, true, true]);
  });

  it("comes back at once, and goes by and by", () => {
    const detail = new Detail();
    assert.equal(detail.untouched, true);
    detail.aim(levels(() => 0));
    detail.advance(500);
    assert.ok((detail.shares[0] ?? 0) > 0.7);
    assert.equal(detail.untouched, false);
    detail.advance(60_000);
    assert.ok(Math.abs((detail.shares[0] ?? 1) - kept(0)) < 1e-6);
    const version = detail.version;
    detail.advance(100);
    assert.equal(detail.version, version, "nothing changed");
    detail.aim([1, 2, 3]);
    detail.advance(0);
    assert.equal(detail.version, version, "no map");
    detail.aim(null);
    detail.advance(0);
    assert.equal(detail.untouched, true);
    assert.ok(detail.version > version);
  });

  it("lies over a grid as over the map", () => {
    const detail = new Detail();
    detail.aim(levels((x, y) => Number(x > 0.25 && x < 0.5 && y > 0.25 && y < 0.5)));
    detail.advance(60_000);
    for (const [columns, rows] of [[160, 90], [80, 60], [3, 2], [40, 18]] as const) {
      const grid = detail.grid(columns, rows);
      const at = (x: number, y: number): number => grid[Math.floor(y * rows) * columns + Math.floor(x * columns)] ?? Number.NaN;
      assert.ok(grid.every((share) => share > 0 && share <= 1));
      assert.ok(Math.abs(at(0.99, 0.99) - kept(0)) < 1e-6, `${columns}×${rows}`);
      if (columns > 3) assert.equal(at(0.375, 0.375), 1);
    }
  });
});

describe("the guard", () => {
  it("minds what pictures take for long, and no pause", () => {
    const judged = (spent: (n: number) => number): number => {
      const guard = new Guard(33);
      return Array.from({ length: 240 }, (_, n) => guard.exceeded(spent(n))).filter(Boolean).length;
    };
    assert.equal(judged(() => 5), 0);
    assert.equal(judged((n) => (n % 3 === 2 ? 400 : 5)), 0);
    assert.equal(judged(() => 15), 10);
    assert.equal(judged(() => 50), 48, "what is hopeless is not tried for long");
    assert.equal(judged(() => Number.NaN), 48, "what can't be measured is not believed");
  });
});
