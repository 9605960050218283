/** Draws what we send, as the browser counts it, and what the server's decoder sees. */

import type { LostMessage, PictureMessage, Stats } from "../hearsight.js";
import { part } from "./dom.js";

const LIMITS: Readonly<Record<string, string>> = { none: "nothing", cpu: "processor", bandwidth: "network", other: "other" };
const NONE = "–";

/** The two lists of figures. */
export class FiguresView {
  private lost = 0;

  /** Our own sender's figures. */
  sent(stats: Stats): void {
    put("stat-resolution", stats.width === null || stats.height === null ? null : `${stats.width} × ${stats.height}`);
    put("stat-fps", stats.fps === null ? null : `${Math.round(stats.fps)} fps`);
    put("stat-kbps", rate(stats.video_kbps));
    part("stat-kbps").dataset["kbps"] = stats.video_kbps === null ? "" : stats.video_kbps.toFixed(0);
    put("stat-audio-kbps", rate(stats.audio_kbps));
    put("stat-available", rate(stats.available_kbps));
    put("stat-round-trip", stats.round_trip_ms === null ? null : `${stats.round_trip_ms.toFixed(stats.round_trip_ms < 10 ? 1 : 0)} ms`);
    put("stat-loss", stats.loss === null ? null : `${(stats.loss * 100).toFixed(1)} %`);
    put("stat-limit", stats.limited_by === null ? null : (LIMITS[stats.limited_by] ?? stats.limited_by));
  }

  /** What the decoder sees. */
  seen(picture: PictureMessage): void {
    put("seen-resolution", `${picture.width} × ${picture.height}`);
    put("seen-fps", `${Math.round(picture.fps)} fps`);
    put("seen-vectors", `${Math.round(picture.vectors).toLocaleString("en")} a picture`);
    put("seen-motion", `${picture.motion.toFixed(2)} px`);
    put("seen-brightness", `${Math.round((picture.brightness / 255) * 100)} %`);
    put("seen-decoded", picture.decoded.toLocaleString("en"));
    put("seen-keyframes", picture.keyframes.toLocaleString("en"));
    put("seen-lost", this.lost.toLocaleString("en"));
  }

  /** Units that the server lost. */
  missing(message: LostMessage): void {
    this.lost += message.count;
    put("seen-lost", this.lost.toLocaleString("en"));
  }
}

function put(id: string, text: string | null): void {
  part(id).textContent = text ?? NONE;
}

function rate(kbps: number | null): string | null {
  if (kbps === null) return null;
  return kbps >= 1000 ? `${(kbps / 1000).toFixed(2)} Mbit/s` : `${Math.round(kbps)} kbit/s`;
}
