/**
 * `@hearsight/client`: sends microphone and camera to a Hearsight server and hands back words, voice activity, picture
 * figures and the latency of every step. Knows no page; start at {@link Hearsight.connect}.
 */

import { Session, type SessionOptions } from "./session.js";

/** The way in. */
export const Hearsight = {
  /** Opens the devices and connects. Resolves when the session is live; throws a `HearsightError` when it cannot be. */
  async connect(options: SessionOptions): Promise<Session> {
    const session = new Session(options);
    await session.start();
    return session;
  },
};

export { Session, type SessionEvents, type SessionOptions, type State } from "./session.js";
export { afterPaint } from "./paint.js";
export { caption, NO_CAPTIONS, SOUND_STAGES, textOf, type CaptionEvent, type CaptionLine, type Captions } from "./captions.js";
export { DEFAULT_BACKOFF, type BackoffLimits } from "./backoff.js";
export type { ClockEstimate } from "./clock.js";
export { HearsightError, type Reason } from "./errors.js";
export { median, type Latency } from "./latency.js";
export { DEFAULT_VIDEO, devices, type MediaChoice, type VideoAim } from "./media.js";
export type { Stats } from "./stats.js";
export { parseToClient, parseToServer, type Parsed } from "./wire.js";
export type * from "./wire.js";
