/** Softens the planes of a picture where little of their detail is kept, on the processor. The shader in `gl.ts` does the same. */

/** Width and height in luma pixels of the cells whose mean is what stays where no detail is kept. */
export const CELL = 8;

/** One plane in a buffer: where it begins, bytes from row to row and from sample to sample. */
export interface Plane {
  readonly offset: number;
  readonly stride: number;
  readonly step: number;
  readonly width: number;
  readonly height: number;
  /** Samples of a cell's side: {@link CELL} for luma, half of it for chroma. */
  readonly cell: number;
}

/** The planes of a picture of `width` × `height` in `layout`; null for formats that are not softened here. */
export function planesOf(format: string | null, width: number, height: number, layout: readonly { readonly offset: number; readonly stride: number }[]): Plane[] | null {
  const [y, u, v] = layout;
  if (y === undefined || u === undefined) return null;
  const luma = { ...y, step: 1, width, height, cell: CELL };
  const half = { width: (width + 1) >> 1, height: (height + 1) >> 1, cell: CELL / 2 };
  if (format === "I420" && v !== undefined) return [luma, { ...u, step: 1, ...half }, { ...v, step: 1, ...half }];
  if (format === "NV12") return [luma, { ...u, step: 2, ...half }, { ...u, offset: u.offset + 1, step: 2, ...half }];
  return null;
}

/** Cells across and down. */
export const cellsOf = (width: number, height: number): readonly [number, number] => [Math.ceil(width / CELL), Math.ceil(height / CELL)];

/** Means and shares are whole numbers of this many parts: engines are far quicker with those. */
const BITS = 16;
const ONE = 1 << BITS;
/** What a sample differs by has fewer, so that its product with a share stays whole. */
const FEWER = 6;

/**
 * Draws every sample towards the mean of the cells around it, `mean + kept · (sample − mean)`, both taken between the centres of
 * cells. `kept` has the share for each cell, row by row; where the four around are 1, nothing is changed.
 */
export function softenPlane(bytes: Uint8Array, plane: Plane, kept: Float32Array, columns: number, rows: number): void {
  const { height, cell } = plane;
  const means = meansOf(bytes, plane, columns, rows);
  const shares = new Int32Array(kept.length);
  for (let at = 0; at < kept.length; at += 1) shares[at] = (kept[at] ?? 0) * ONE + 0.5;
  const [mean, share] = [new Int32Array(columns + 2), new Int32Array(columns + 2)];
  for (let line = 0; line < height; line += 1) {
    const row = Math.floor((line - (cell >> 1)) / cell);
    const [above, below] = [Math.max(row, 0) * columns, Math.min(row + 1, rows - 1) * columns];
    // How far the middle of the line is on the way from centre to centre.
    const way = (line - row * cell - (cell >> 1) + 0.5) / cell;
    if (between(shares, above, below, way, share) === ONE) continue;
    between(means, above, below, way, mean);
    softenLine(bytes, plane, line, mean, share);
  }
}

/** The values of a line between two rows of a grid, the first and the last of them twice; answers with the least. */
function between(grid: Int32Array, above: number, below: number, way: number, line: Int32Array): number {
  const last = line.length - 2;
  let least = ONE;
  for (let column = 0; column < last; column += 1) {
    const from = grid[above + column] ?? 0;
    const value = (from + ((grid[below + column] ?? 0) - from) * way) | 0;
    line[column + 1] = value;
    if (value < least) least = value;
  }
  line[0] = line[1] ?? 0;
  line[last + 1] = line[last] ?? 0;
  return least;
}

/** One line: from centre to centre, mean and share go straight from one to the other. */
function softenLine(bytes: Uint8Array, { offset, stride, step, width, cell }: Plane, line: number, means: Int32Array, shares: Int32Array): void {
  const begin = offset + line * stride;
  const shift = 31 - Math.clz32(cell);
  let from = 0;
  for (let column = 0; from < width; column += 1) {
    const to = Math.min(column * cell + (cell >> 1), width);
    let share = shares[column] ?? 0;
    const moreShare = ((shares[column + 1] ?? 0) - share) >> shift;
    if (share !== ONE || moreShare !== 0) {
      let mean = means[column] ?? 0;
      const moreMean = ((means[column + 1] ?? 0) - mean) >> shift;
      mean += moreMean >> 1;
      share += moreShare >> 1;
      for (let at = begin + from * step, end = begin + to * step; at < end; at += step) {
        const detail = ((bytes[at] ?? 0) << FEWER) - (mean >> (BITS - FEWER));
        bytes[at] = (mean + ((share * detail) >> FEWER) + (ONE >> 1)) >> BITS;
        mean = (mean + moreMean) | 0;
        share = (share + moreShare) | 0;
      }
    }
    from = to;
  }
}

function meansOf(bytes: Uint8Array, plane: Plane, columns: number, rows: number): Int32Array {
  const { offset, stride, step, width, height, cell } = plane;
  const sums = new Int32Array(columns * rows);
  for (let line = 0; line < height; line += 1) {
    const row = Math.floor(line / cell) * columns;
    const begin = offset + line * stride;
    for (let column = 0; column < columns; column += 1) {
      let sum = sums[row + column] ?? 0;
      const end = begin + Math.min((column + 1) * cell, width) * step;
      for (let at = begin + column * cell * step; at < end; at += step) sum += bytes[at] ?? 0;
      sums[row + column] = sum;
    }
  }
  for (let row = 0, at = 0; row < rows; row += 1) {
    const high = Math.min(cell, height - row * cell);
    for (let column = 0; column < columns; column += 1, at += 1) {
      const wide = Math.min(cell, width - column * cell);
      sums[at] = ((sums[at] ?? 0) * ONE) / (high * wide);
    }
  }
  return sums;
}
