/** Softens pictures on a canvas of the page, where the browser gives no worker the camera's pictures. */

import { Detail } from "../worker/detail.js";
import { Gl } from "../worker/gl.js";
import { Guard } from "../worker/guard.js";
import type { Line, LineEvents } from "./softener.js";

const REPORT_EVERY_MS = 1_000;

/** A video that nobody sees, drawn on a canvas that is filmed. A page that is hidden draws nothing, and sends the camera's own. */
export class CanvasLine implements Line {
  private readonly detail = new Detail();
  private readonly guard: Guard;
  private readonly life = new AbortController();
  private reporting: ReturnType<typeof setInterval> | undefined;
  private before_ms = performance.now();
  private callback = 0;

  private constructor(
    private readonly video: HTMLVideoElement,
    private readonly gl: Gl,
    private readonly made: MediaStreamTrack,
    private readonly events: LineEvents,
    interval_ms: number,
  ) {
    this.guard = new Guard(interval_ms);
  }

  /** Null where this browser can't. */
  static open(camera: MediaStreamTrack, interval_ms: number, events: LineEvents): CanvasLine | null {
    const video = document.createElement("video");
    const canvas = document.createElement("canvas");
    if (!("requestVideoFrameCallback" in video) || !("captureStream" in canvas)) return null;
    const gl = Gl.on(canvas);
    const [made] = canvas.captureStream().getVideoTracks();
    if (gl === null || made === undefined) return null;
    made.contentHint = "motion";
    video.muted = true;
    video.playsInline = true;
    video.srcObject = new MediaStream([camera]);
    const line = new CanvasLine(video, gl, made, events, interval_ms);
    line.start();
    return line;
  }

  heed(levels: readonly number[] | null): void {
    this.detail.aim(levels);
  }

  close(): void {
    this.life.abort();
    clearInterval(this.reporting);
    this.video.cancelVideoFrameCallback(this.callback);
    this.video.srcObject = null;
    this.made.stop();
    this.gl.close();
  }

  private start(): void {
    const choose = (): void => {
      this.events.send(document.visibilityState === "visible" ? this.made : null);
    };
    document.addEventListener("visibilitychange", choose, { signal: this.life.signal });
    this.reporting = setInterval(() => {
      this.events.report("gpu", this.guard.picture_ms);
    }, REPORT_EVERY_MS);
    this.callback = this.video.requestVideoFrameCallback(this.draw);
    this.video.play().then(choose, () => {
      if (!this.life.signal.aborted) this.events.gave_up("unsupported");
    });
  }

  private readonly draw = (now_ms: number): void => {
    this.callback = this.video.requestVideoFrameCallback(this.draw);
    this.detail.advance(now_ms - this.before_ms);
    this.before_ms = now_ms;
    const began = performance.now();
    const drawn = this.gl.draw(this.video, this.video.videoWidth, this.video.videoHeight, this.detail);
    // Where drawing leaves no time for timers, this says that it is at work.
    this.events.report("gpu", this.guard.picture_ms);
    if (!drawn || this.guard.exceeded(performance.now() - began)) this.events.gave_up("slow");
  };
}
