/** Network and video figures of our own sender, from `RTCPeerConnection.getStats` (W3C Identifiers for WebRTC's Statistics API). */

/** What we send, once a second. Null where the browser does not say, or not yet. */
export interface Stats {
  readonly video_kbps: number | null;
  readonly audio_kbps: number | null;
  /** What the congestion control believes the path can carry. */
  readonly available_kbps: number | null;
  readonly fps: number | null;
  readonly width: number | null;
  readonly height: number | null;
  /** Why the encoder holds back: none, cpu, bandwidth or other. */
  readonly limited_by: string | null;
  readonly round_trip_ms: number | null;
  /** Share of our packets that the server missed lately, 0..1. */
  readonly loss: number | null;
}

/** The counters from which the next figures take their differences. */
export interface Counters {
  readonly at_ms: number;
  readonly video_bytes: number;
  readonly audio_bytes: number;
}

type Entry = Readonly<Record<string, unknown>>;

/** The figures of a report, and the counters for the next one. */
export function statsFromReport(report: Iterable<readonly [string, Entry]>, before: Counters | null): { stats: Stats; counters: Counters | null } {
  const entries = [...report].map(([, entry]) => entry);
  const video = entries.find((entry) => entry["type"] === "outbound-rtp" && entry["kind"] === "video");
  const audio = entries.find((entry) => entry["type"] === "outbound-rtp" && entry["kind"] === "audio");
  const remote = entries.filter((entry) => entry["type"] === "remote-inbound-rtp");
  const pair = entries.find((entry) => entry["type"] === "candidate-pair" && entry["nominated"] === true);
  const at_ms = number(video, "timestamp") ?? number(audio, "timestamp");
  const counters =
    at_ms === null ? null : { at_ms, video_bytes: number(video, "bytesSent") ?? 0, audio_bytes: number(audio, "bytesSent") ?? 0 };
  const available = number(pair, "availableOutgoingBitrate");
  const trip = number(pair, "currentRoundTripTime") ?? largest(remote, "roundTripTime");
  const stats: Stats = {
    video_kbps: video === undefined ? null : rate(before, counters, "video_bytes"),
    audio_kbps: audio === undefined ? null : rate(before, counters, "audio_bytes"),
    available_kbps: available === null ? null : available / 1000,
    fps: number(video, "framesPerSecond"),
    width: number(video, "frameWidth"),
    height: number(video, "frameHeight"),
    limited_by: typeof video?.["qualityLimitationReason"] === "string" ? video["qualityLimitationReason"] : null,
    round_trip_ms: trip === null ? null : trip * 1000,
    loss: largest(remote, "fractionLost"),
  };
  return { stats, counters };
}

function number(entry: Entry | undefined, name: string): number | null {
  const value = entry?.[name];
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function largest(entries: readonly Entry[], name: string): number | null {
  const values = entries.map((entry) => number(entry, name)).filter((value) => value !== null);
  return values.length === 0 ? null : Math.max(...values);
}

/** Bits per millisecond are kilobits per second. */
function rate(before: Counters | null, now: Counters | null, name: "video_bytes" | "audio_bytes"): number | null {
  if (before === null || now === null || now.at_ms <= before.at_ms) return null;
  return Math.max(0, ((now[name] - before[name]) * 8) / (now.at_ms - before.at_ms));
}
