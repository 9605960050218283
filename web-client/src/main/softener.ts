/** Softens what is not worth bits before it is encoded, where a browser lets it, and for as long as that costs no pictures. */

import { CanvasLine } from "./softening_canvas.js";
import type { FromWorker, ToWorker } from "../worker/messages.js";

/** By what pictures are softened at the moment, and what that costs. */
export interface Softening {
  /** Null while nothing is softened. */
  readonly by: "gpu" | "cpu" | null;
  /** What one picture takes in the middle, in milliseconds; 0 while none did. */
  readonly picture_ms: number;
  /** Why nothing is softened any more in this session: no way was quick enough, the browser has none, or it broke down. */
  readonly off: "slow" | "unsupported" | "broken" | null;
}

/** One way from a camera's track to a softened one. */
export interface Line {
  /** What the parts of the picture are worth from now on. */
  heed(levels: readonly number[] | null): void;
  close(): void;
}

/** What a line tells. Nothing is said after `gave_up`, nor after it was closed. */
export interface LineEvents {
  /** Send these pictures from now on; null: the camera's own. */
  readonly send: (track: MediaStreamTrack | null) => void;
  readonly report: (by: "gpu" | "cpu" | null, picture_ms: number) => void;
  readonly gave_up: (why: "slow" | "unsupported" | "ended") => void;
}

/** A worker that says nothing for so long is taken out: it says a word a second. */
const SILENT_MS = 4_000;

/** Stands between the camera of one session and its sender. What it decided against stays off for the whole session. */
export class Softener {
  private line: Line | null = null;
  private camera: MediaStreamTrack | null = null;
  private send: (track: MediaStreamTrack) => Promise<void> = () => Promise.resolve();
  private heard_ms = 0;
  private canvas = false;
  private now: Softening = { by: null, picture_ms: 0, off: null };

  /** How it stands. */
  get softening(): Softening {
    return this.now;
  }

  /** Takes a camera's pictures, which are being sent as they are; `send` exchanges the track that is sent. */
  film(camera: MediaStreamTrack, send: (track: MediaStreamTrack) => Promise<void>): void {
    this.leave();
    [this.camera, this.send] = [camera, send];
  }

  /** Lets go of the camera, without a word to the sender. */
  leave(): void {
    this.line?.close();
    [this.line, this.camera] = [null, null];
    this.now = { ...this.now, by: null, picture_ms: 0 };
  }

  /** What the parts of the picture are worth from now on; asked once a second too, for it to see that it is still served. */
  heed(levels: readonly number[] | null, now_ms: number): void {
    if (this.line !== null && now_ms - this.heard_ms > SILENT_MS) this.giveUp("broken");
    if (this.line === null && levels !== null && this.camera !== null && this.now.off === null) this.open(this.camera, now_ms);
    this.line?.heed(levels);
  }

  private open(camera: MediaStreamTrack, now_ms: number): void {
    this.heard_ms = now_ms;
    const events: LineEvents = {
      send: (track) => {
        // A connection that closed meanwhile sends nothing at all.
        this.send(track ?? camera).catch(() => undefined);
      },
      report: (by, picture_ms) => {
        this.heard_ms = performance.now();
        this.now = { ...this.now, by, picture_ms };
      },
      gave_up: (why) => {
        if (why === "unsupported" && !this.canvas) {
          this.canvas = true;
          this.line?.close();
          this.line = null;
        } else if (why !== "ended" || camera.readyState === "live") this.giveUp(why === "ended" ? "broken" : why);
      },
    };
    const interval_ms = 1_000 / (camera.getSettings().frameRate ?? 30);
    try {
      this.line = this.canvas ? CanvasLine.open(camera, interval_ms, events) : WorkerLine.open(camera, interval_ms, events);
    } catch {
      this.line = null;
    }
    if (this.line !== null) return;
    if (this.canvas) this.giveUp("unsupported");
    this.canvas = true;
  }

  private giveUp(off: "slow" | "unsupported" | "broken"): void {
    const { camera, line } = this;
    this.line = null;
    this.now = { by: null, picture_ms: this.now.picture_ms, off };
    if (camera !== null && line !== null) this.send(camera).catch(() => undefined);
    line?.close();
  }
}

/** What only some browsers have (W3C mediacapture-transform, and Chromium's older form of it). */
interface Transform {
  readonly MediaStreamTrackProcessor?: new (options: { track: MediaStreamTrack }) => { readonly readable: ReadableStream<VideoFrame> };
  readonly MediaStreamTrackGenerator?: new (options: { kind: "video" }) => MediaStreamTrack & { readonly writable: WritableStream<VideoFrame> };
}

/** Pictures go through a worker, past the page's own thread. */
class WorkerLine implements Line {
  private made: MediaStreamTrack | null = null;

  private constructor(
    private readonly worker: Worker,
    private readonly given: MediaStreamTrack | null,
  ) {}

  /** Null where this browser can't. */
  static open(camera: MediaStreamTrack, interval_ms: number, events: LineEvents): WorkerLine | null {
    if (typeof Worker === "undefined") return null;
    const { MediaStreamTrackProcessor: Processor, MediaStreamTrackGenerator: Generator } = globalThis as unknown as Transform;
    let given: MediaStreamTrack | null = null;
    const worker = new Worker(new URL("soften-worker.js", import.meta.url), { type: "module" });
    const tell = (message: ToWorker, transfer: Transferable[]): void => {
      worker.postMessage(message, transfer);
    };
    try {
      if (Processor !== undefined && Generator !== undefined) {
        const { readable } = new Processor({ track: camera });
        const made = new Generator({ kind: "video" });
        const line = new WorkerLine(worker, null);
        tell({ kind: "streams", readable, writable: made.writable, interval_ms }, [readable, made.writable]);
        return line.serve(events, made);
      }
      given = camera.clone();
      const line = new WorkerLine(worker, given);
      tell({ kind: "track", track: given, interval_ms }, [given]);
      return line.serve(events, null);
    } catch {
      // It has workers, but no tracks or streams to give them.
      worker.terminate();
      given?.stop();
      return null;
    }
  }

  heed(levels: readonly number[] | null): void {
    const message: ToWorker = { kind: "map", levels };
    this.worker.postMessage(message);
  }

  close(): void {
    this.worker.terminate();
    this.made?.stop();
    this.given?.stop();
  }

  private serve(events: LineEvents, made: MediaStreamTrack | null): this {
    this.made = made;
    let sent = false;
    this.worker.addEventListener("error", () => {
      events.gave_up("ended");
    });
    this.worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => {
      if (data.kind === "gave_up") events.gave_up(data.why);
      if (data.kind === "track") this.made = data.track;
      if (data.kind === "report") events.report(data.by, data.picture_ms);
      // From its first word on it is ready: before, pictures would wait for it.
      if (sent || this.made === null || data.kind === "gave_up") return;
      sent = true;
      this.made.contentHint = "motion";
      events.send(this.made);
    });
    return this;
  }
}
