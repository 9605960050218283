/** The ways to soften a picture: with the graphics processor, or the planes by hand. */

import type { Detail } from "./detail.js";
import { GlPlanes } from "./gl_planes.js";
import { cellsOf, planesOf, softenPlane, type Plane } from "./planes.js";

/** One way to soften pictures. */
export interface Way {
  readonly by: "gpu" | "cpu";
  /** A picture like this one, softened; null where this way can't. The picture given stays open. Done means done: nothing is left in a queue. */
  soften(frame: VideoFrame, detail: Detail): Promise<VideoFrame | null>;
  close(): void;
}

/** The ways of this machine, the best first. */
export const WAYS: readonly (() => Way | null)[] = [() => Shader.open(), () => new Processor()];

type Soften = (bytes: Uint8Array, planes: readonly Plane[], width: number, height: number, detail: Detail) => boolean;

/** A picture's planes taken out, softened and put together again as they were: size, format, colours and times stay. */
class Copy {
  private bytes = new Uint8Array(0);

  async softened(frame: VideoFrame, detail: Detail, soften: Soften): Promise<VideoFrame | null> {
    const { visibleRect, format, timestamp, duration } = frame;
    // A turned picture has its map the other way.
    const turned = "rotation" in frame && frame.rotation !== 0;
    if (visibleRect === null || turned || (format !== "I420" && format !== "NV12")) return null;
    const { width, height } = visibleRect;
    const size = frame.allocationSize();
    if (this.bytes.length !== size) this.bytes = new Uint8Array(size);
    const layout = await frame.copyTo(this.bytes);
    const planes = planesOf(format, width, height, layout);
    if (planes === null || !soften(this.bytes, planes, width, height, detail)) return null;
    const told = duration === null ? { timestamp } : { timestamp, duration };
    const { displayWidth, displayHeight } = frame;
    const shown = { displayWidth, displayHeight, colorSpace: frame.colorSpace.toJSON() };
    return new VideoFrame(this.bytes, { ...told, ...shown, format, codedWidth: width, codedHeight: height, layout });
  }
}

/** A shader. */
class Shader implements Way {
  readonly by = "gpu";
  private readonly copy = new Copy();
  private constructor(private readonly gl: GlPlanes) {}

  static open(): Shader | null {
    const gl = GlPlanes.open();
    return gl === null ? null : new Shader(gl);
  }

  soften(frame: VideoFrame, detail: Detail): Promise<VideoFrame | null> {
    return this.copy.softened(frame, detail, (...planes) => this.gl.draw(...planes));
  }

  close(): void {
    this.gl.close();
  }
}

/** The processor. */
class Processor implements Way {
  readonly by = "cpu";
  private readonly copy = new Copy();
  private grid: { readonly of: string; readonly kept: Float32Array } | null = null;

  soften(frame: VideoFrame, detail: Detail): Promise<VideoFrame | null> {
    return this.copy.softened(frame, detail, (bytes, planes, width, height) => {
      const [columns, rows] = cellsOf(width, height);
      const of = `${columns} ${rows} ${detail.version}`;
      if (this.grid?.of !== of) this.grid = { of, kept: detail.grid(columns, rows) };
      for (const plane of planes) softenPlane(bytes, plane, this.grid.kept, columns, rows);
      return true;
    });
  }

  close(): void {
    this.grid = null;
  }
}
