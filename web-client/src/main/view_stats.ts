/** Figures of a picture that is received, from `RTCPeerConnection.getStats` (W3C Identifiers for WebRTC's Statistics API). Pure. */

/** What comes, once a second. Null where the browser does not say, or not yet. */
export interface ViewStats {
  /** Pictures decoded per second. */
  readonly fps: number | null;
  readonly kbps: number | null;
  readonly width: number | null;
  readonly height: number | null;
  /** Pictures decoded since the beginning of this connection. */
  readonly decoded: number | null;
  /** Pictures that came and were not shown. */
  readonly dropped: number | null;
  /** Times that the picture stood still for long. */
  readonly freezes: number | null;
  /** Packets that never came. */
  readonly lost: number | null;
  /** How long pictures waited for their moment lately. */
  readonly buffered_ms: number | null;
}

/** The counters from which the next figures take their differences. */
export interface ViewCounters {
  readonly at_ms: number;
  readonly decoded: number;
  readonly bytes: number;
  readonly delay_s: number;
  readonly emitted: number;
}

type Entry = Readonly<Record<string, unknown>>;

/** The figures of a report, and the counters for the next one. */
export function viewStatsFromReport(
  report: Iterable<readonly [string, Entry]>,
  before: ViewCounters | null,
): { stats: ViewStats; counters: ViewCounters | null } {
  const video = [...report].map(([, entry]) => entry).find((entry) => entry["type"] === "inbound-rtp" && entry["kind"] === "video");
  const number = (name: string): number | null => {
    const value = video?.[name];
    return typeof value === "number" && Number.isFinite(value) ? value : null;
  };
  const at_ms = number("timestamp");
  const counters: ViewCounters | null =
    at_ms === null
      ? null
      : {
          at_ms,
          decoded: number("framesDecoded") ?? 0,
          bytes: number("bytesReceived") ?? 0,
          delay_s: number("jitterBufferDelay") ?? 0,
          emitted: number("jitterBufferEmittedCount") ?? 0,
        };
  const since = before !== null && counters !== null && counters.at_ms > before.at_ms ? { before, now: counters } : null;
  const perMs = (difference: number): number | null => (since === null ? null : Math.max(0, difference / (since.now.at_ms - since.before.at_ms)));
  const rate = since === null ? null : perMs((since.now.decoded - since.before.decoded) * 1000);
  const emitted = since === null ? 0 : since.now.emitted - since.before.emitted;
  const stats: ViewStats = {
    fps: rate,
    kbps: since === null ? null : perMs((since.now.bytes - since.before.bytes) * 8),
    width: number("frameWidth"),
    height: number("frameHeight"),
    decoded: number("framesDecoded"),
    dropped: number("framesDropped"),
    freezes: number("freezeCount"),
    lost: number("packetsLost"),
    buffered_ms: since === null || emitted <= 0 ? null : ((since.now.delay_s - since.before.delay_s) * 1000) / emitted,
  };
  return { stats, counters };
}
