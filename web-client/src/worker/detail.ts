/** How much of its detail each part of a picture keeps. Knows nothing of pictures. */

import { MAP } from "../main/allocation.js";

const { columns: COLUMNS, rows: ROWS } = MAP;
/** What is worth less is not softened at once but over so long: maps breathe with the age of what they frame. */
const RELEASE_MS = 2_000;

/** How much coarser a block of this worth (0..1) would be quantised, in steps of H.264's QP (Artic, arXiv 2602.12641, section 4.2). */
export function coarser(worth: number): number {
  const clamped = Math.min(1, Math.max(0, worth));
  return Math.min(25, Math.max(0, Math.round(51 * (1 - clamped ** 2.5)) - 26));
}

/** The share of its detail that a block of this worth keeps: six steps of QP double the quantiser, and so does halving the detail. */
export const kept = (worth: number): number => 2 ** (-coarser(worth) / 6);

/** The shares of the blocks of a map over time: sharp at once, soft by and by. */
export class Detail {
  private target: Float32Array = whole();
  private now: Float32Array = whole();
  /** Rises whenever the shares change. */
  version = 0;

  /** Takes the levels of a map (0..1, row by row); null: everything is worth the same. What is no map changes nothing. */
  aim(levels: readonly number[] | null): void {
    if (levels === null) this.target = whole();
    else if (levels.length === COLUMNS * ROWS) this.target = Float32Array.from(levels, kept);
  }

  /** Goes on for so long. */
  advance(ms: number): void {
    const step = Math.max(0, ms) / RELEASE_MS;
    const after = this.now.map((share, at) => Math.max(this.target[at] ?? 1, share - step));
    if (after.every((share, at) => share === this.now[at])) return;
    this.now = after;
    this.version += 1;
  }

  /** Whether all of the picture is left as it is. */
  get untouched(): boolean {
    return this.now.every((share) => share === 1);
  }

  /** The shares now, row by row. */
  get shares(): Readonly<Float32Array> {
    return this.now;
  }

  /** The shares at the centres of a grid of cells, between those of the blocks. */
  grid(columns: number, rows: number): Float32Array {
    const grid = new Float32Array(columns * rows);
    const [across, down] = [places(columns, COLUMNS), places(rows, ROWS)];
    const at = (row: number, column: number): number => this.now[row * COLUMNS + column] ?? 1;
    down.forEach(([top, bottom, v], row) => {
      across.forEach(([left, right, u], column) => {
        const above = at(top, left) + (at(top, right) - at(top, left)) * u;
        const below = at(bottom, left) + (at(bottom, right) - at(bottom, left)) * u;
        grid[row * columns + column] = above + (below - above) * v;
      });
    });
    return grid;
  }
}

const whole = (): Float32Array => new Float32Array(COLUMNS * ROWS).fill(1);

/** For each of `count` centres: the blocks before and after it of `blocks`, and how far it is on the way between theirs. */
function places(count: number, blocks: number): [number, number, number][] {
  return Array.from({ length: count }, (_, index) => {
    const place = Math.min(blocks - 1, Math.max(0, ((index + 0.5) * blocks) / count - 0.5));
    const before = Math.floor(place);
    return [before, Math.min(blocks - 1, before + 1), place - before];
  });
}
