/**
 * `@hearsight/client`: sends microphone and camera to a Hearsight server and hands back words, voice activity, picture
 * figures and the latency of every step; watches a session's picture, too. Knows no page; start at
 * {@link Hearsight.connect} and {@link Hearsight.watch}.
 */

import { Session, type SessionOptions } from "./session.js";
import { Viewer, type ViewerOptions } from "./viewer.js";

/** The way in. */
export const Hearsight = {
  /** Opens the devices and connects. Resolves when the session is live; throws a `HearsightError` when it cannot be. */
  async connect(options: SessionOptions): Promise<Session> {
    const session = new Session(options);
    await session.start();
    return session;
  },
  /** Watches a stream. Resolves when its picture is on the way; throws a `HearsightError` when it cannot be watched. */
  async watch(options: ViewerOptions): Promise<Viewer> {
    const viewer = new Viewer(options);
    await viewer.start();
    return viewer;
  },
};

export { Session, type SessionEvents, type SessionOptions, type State } from "./session.js";
export { Viewer, type ViewerEvents, type ViewerOptions, type ViewName, type ViewState } from "./viewer.js";
export type { ViewStats } from "./view_stats.js";
export type { Asked, Outcome } from "./asking.js";
export { ALLOCATE_MODES, levelsFromMap, MAP, type AllocateMode, type AllocationMessage } from "./allocation.js";
export { afterPaint } from "./paint.js";
export { caption, NO_CAPTIONS, SOUND_STAGES, textOf, type CaptionEvent, type CaptionLine, type Captions } from "./captions.js";
export { DEFAULT_BACKOFF, type BackoffLimits } from "./backoff.js";
export type { ClockEstimate } from "./clock.js";
export { HearsightError, type Reason } from "./errors.js";
export { median, type Latency } from "./latency.js";
export { DEFAULT_VIDEO, devices, type MediaChoice, type VideoAim } from "./media.js";
export type { Softening } from "./softener.js";
export type { Stats } from "./stats.js";
export { SERVERS_OWN } from "./answers.js";
export type * from "./answers.js";
export { parseToClient, parseToServer, type Parsed } from "./wire.js";
export type * from "./wire.js";
