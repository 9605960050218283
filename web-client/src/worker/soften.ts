/** The worker that softens pictures on their way from the camera to the encoder. It passes on every picture that comes. */

import { Detail } from "./detail.js";
import { Guard } from "./guard.js";
import type { FromWorker, ToWorker } from "./messages.js";
import { WAYS, type Way } from "./ways.js";

/** What Safari has here, and only here (W3C mediacapture-transform). */
interface Transform {
  readonly MediaStreamTrackProcessor?: new (options: { track: MediaStreamTrack }) => { readonly readable: ReadableStream<VideoFrame> };
  readonly VideoTrackGenerator?: new () => { readonly writable: WritableStream<VideoFrame>; readonly track: MediaStreamTrack };
}

const REPORT_EVERY_MS = 1_000;

const detail = new Detail();
let way: Way | null = null;
let guard = new Guard(Infinity);
let next = 0;
let interval_ms = 1_000 / 30;
let pictures = 0;

const say = (message: FromWorker, transfer: Transferable[] = []): void => {
  self.postMessage(message, { transfer });
};

self.addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
  if (data.kind === "map") {
    detail.aim(data.levels);
    return;
  }
  interval_ms = data.interval_ms;
  climb();
  setInterval(() => {
    say({ kind: "report", by: way?.by ?? null, picture_ms: guard.picture_ms, pictures });
  }, REPORT_EVERY_MS);
  if (data.kind === "streams") {
    void pump(data.readable, data.writable);
    return;
  }
  const { MediaStreamTrackProcessor: Processor, VideoTrackGenerator: Generator } = self as unknown as Transform;
  if (Processor === undefined || Generator === undefined) {
    say({ kind: "gave_up", why: "unsupported" });
    return;
  }
  const generator = new Generator();
  say({ kind: "track", track: generator.track }, [generator.track]);
  void pump(new Processor({ track: data.track }).readable, generator.writable);
});

/** Takes the next way that this machine has; where there is none, pictures pass as they are and the page takes us out. */
function climb(): void {
  way?.close();
  way = null;
  while (way === null && next < WAYS.length) {
    way = WAYS[next]?.() ?? null;
    next += 1;
  }
  guard = new Guard(interval_ms);
  if (way === null) say({ kind: "gave_up", why: "slow" });
}

async function pump(readable: ReadableStream<VideoFrame>, writable: WritableStream<VideoFrame>): Promise<void> {
  const [reader, writer] = [readable.getReader(), writable.getWriter()];
  let before = performance.now();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const now = performance.now();
      detail.advance(now - before);
      before = now;
      await writer.write(await softened(value));
      pictures += 1;
    }
  } catch {
    // One of the two tracks has ended.
  } finally {
    reader.cancel().catch(() => undefined);
    writer.close().catch(() => undefined);
    say({ kind: "gave_up", why: "ended" });
  }
}

/** The picture to send: this one, or another in its place. */
async function softened(frame: VideoFrame): Promise<VideoFrame> {
  if (way === null || detail.untouched) return frame;
  const began = performance.now();
  const made = await way.soften(frame, detail).catch(() => null);
  if (made === null) {
    climb();
    return frame;
  }
  frame.close();
  if (guard.exceeded(performance.now() - began)) climb();
  return made;
}
