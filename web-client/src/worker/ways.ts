/** The ways to soften a picture: with the graphics processor, or the planes by hand. */

import type { Detail } from "./detail.js";
import { Gl } from "./gl.js";
import { cellsOf, planesOf, softenPlane } from "./planes.js";

/** One way to soften pictures. */
export interface Way {
  readonly by: "gpu" | "cpu";
  /** A picture like this one, softened; null where this way can't. The picture given stays open. Done means done: nothing is left in a queue. */
  soften(frame: VideoFrame, detail: Detail): Promise<VideoFrame | null>;
  close(): void;
}

/** The ways of this machine, the best first. */
export const WAYS: readonly (() => Way | null)[] = [() => Shader.open(), () => new Planes()];

/** A shader, on a canvas of its own. */
class Shader implements Way {
  readonly by = "gpu";
  private constructor(
    private readonly canvas: OffscreenCanvas,
    private readonly gl: Gl,
  ) {}

  static open(): Shader | null {
    const canvas = new OffscreenCanvas(2, 2);
    const gl = Gl.on(canvas);
    return gl === null ? null : new Shader(canvas, gl);
  }

  soften(frame: VideoFrame, detail: Detail): Promise<VideoFrame | null> {
    const { displayWidth: width, displayHeight: height, timestamp, duration } = frame;
    if (!this.gl.draw(frame, width, height, detail)) return Promise.resolve(null);
    const told = duration === null ? { timestamp } : { timestamp, duration };
    return Promise.resolve(new VideoFrame(this.canvas, { ...told, alpha: "discard" }));
  }

  close(): void {
    this.gl.close();
  }
}

/** The planes themselves. */
class Planes implements Way {
  readonly by = "cpu";
  private bytes = new Uint8Array(0);
  private grid: { readonly of: string; readonly kept: Float32Array } | null = null;

  async soften(frame: VideoFrame, detail: Detail): Promise<VideoFrame | null> {
    const { visibleRect, format, timestamp, duration } = frame;
    // A turned picture has its map the other way.
    const turned = "rotation" in frame && frame.rotation !== 0;
    if (visibleRect === null || turned || (format !== "I420" && format !== "NV12")) return null;
    const { width, height } = visibleRect;
    const size = frame.allocationSize();
    if (this.bytes.length !== size) this.bytes = new Uint8Array(size);
    const layout = await frame.copyTo(this.bytes);
    const planes = planesOf(format, width, height, layout);
    if (planes === null) return null;
    const [columns, rows] = cellsOf(width, height);
    const of = `${columns} ${rows} ${detail.version}`;
    if (this.grid?.of !== of) this.grid = { of, kept: detail.grid(columns, rows) };
    for (const plane of planes) softenPlane(this.bytes, plane, this.grid.kept, columns, rows);
    const told = duration === null ? { timestamp } : { timestamp, duration };
    const { displayWidth, displayHeight } = frame;
    const shown = { displayWidth, displayHeight, colorSpace: frame.colorSpace.toJSON() };
    return new VideoFrame(this.bytes, { ...told, ...shown, format, codedWidth: width, codedHeight: height, layout });
  }

  close(): void {
    this.bytes = new Uint8Array(0);
  }
}
