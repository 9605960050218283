/** Watching a stream as its user sees it: a picture, where it stands, reconnection and figures. By WHEP (draft-ietf-wish-whep). */

import { Backoff, DEFAULT_BACKOFF, waited, type BackoffLimits } from "./backoff.js";
import { Emitter } from "./emitter.js";
import { asHearsightError, HearsightError } from "./errors.js";
import { orderedCodecs } from "./media.js";
import { gathered } from "./peer.js";
import { viewStatsFromReport, type ViewCounters, type ViewStats } from "./view_stats.js";
import { end, exchange, iceServersAt } from "./whip.js";

/** What of a session is watched: its pictures as they arrived, or at a higher rate with those between made by the server. */
export type ViewName = "received" | "smooth";

/** What to watch. */
export interface ViewerOptions {
  /** Address of a WHEP endpoint: `https://host:port/whep/stream`, or a session's own (`session.view`). */
  readonly url: string;
  /** `smooth` unless told. */
  readonly view?: ViewName;
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string;
  /** STUN and TURN servers; those that the server tells of, unless given. */
  readonly iceServers?: RTCIceServer[];
  /** How a lost connection, or a stream that nobody publishes yet, is taken up again. */
  readonly reconnect?: Partial<BackoffLimits>;
}

/** Where a viewer stands. */
export type ViewState =
  | { readonly name: "idle" | "connecting" | "live" | "closed" }
  /** There is no picture now; the next attempt begins in `wait_ms`. */
  | { readonly name: "reconnecting"; readonly attempt: number; readonly wait_ms: number; readonly error: HearsightError }
  /** It has ended; `error` says why and what to do. */
  | { readonly name: "failed"; readonly error: HearsightError };

/** What a viewer tells, by the name given to `on`. */
export interface ViewerEvents {
  readonly state: ViewState;
  /** What comes, once a second. */
  readonly stats: ViewStats;
}

/** ICE and DTLS take a tenth of a second nearby, seconds over a bad line. */
const OPEN_WITHIN_MS = 15_000;
/** A path that comes back by itself mostly does so at once. */
const DISCONNECTED_FOR_MS = 3_000;
const STATS_EVERY_MS = 1_000;

/** One who watches. Reconnects by itself until `close`, or until it was in vain for too long. */
export class Viewer extends Emitter<ViewerEvents> {
  private current: ViewState = { name: "idle" };
  private readonly life = new AbortController();
  private readonly picture = new MediaStream();
  private line: Line | null = null;
  private counters: ViewCounters | null = null;
  private timer: ReturnType<typeof setInterval> | undefined;
  private readonly backoff: Backoff;
  private readonly leaving = (): void => {
    void this.close();
  };

  constructor(private readonly options: ViewerOptions) {
    super();
    this.backoff = new Backoff({ ...DEFAULT_BACKOFF, ...options.reconnect });
  }

  /** Where it stands. */
  get state(): ViewState {
    return this.current;
  }
  /** The picture, for a `<video>`; the same object over every reconnection. */
  get stream(): MediaStream {
    return this.picture;
  }

  /** Connects; resolves when live. Throws a `HearsightError`. A viewer is started once. */
  async start(): Promise<void> {
    if (this.current.name !== "idle") throw new Error("A viewer is started once: make another one.");
    addEventListener("pagehide", this.leaving);
    this.become({ name: "connecting" });
    try {
      await this.connect();
    } catch (error) {
      if (this.over()) return;
      this.fail(asHearsightError(error));
      throw error;
    }
  }

  /** Ends it here and at the server. */
  close(): Promise<void> {
    if (this.current.name !== "closed" && this.current.name !== "failed") {
      this.release();
      this.become({ name: "closed" });
    }
    return Promise.resolve();
  }

  private async connect(): Promise<void> {
    const { signal } = this.life;
    const told = this.options.iceServers ?? (await iceServersAt(this.options, signal)) ?? [];
    const line = await Line.open(this.options, told, signal);
    if (this.over()) {
      line.close();
      return;
    }
    for (const old of this.picture.getTracks()) this.picture.removeTrack(old);
    this.picture.addTrack(line.track);
    this.line = line;
    this.counters = null;
    this.timer = setInterval(() => void this.measure(), STATS_EVERY_MS);
    this.backoff.reset();
    this.become({ name: "live" });
    line.onlost = (error) => {
      clearInterval(this.timer);
      this.line = null;
      void this.reconnect(error);
    };
  }

  private async reconnect(lost: HearsightError): Promise<void> {
    const { signal } = this.life;
    let error = lost;
    for (let attempt = 1; !this.over(); attempt += 1) {
      const wait_ms = error.passing ? this.backoff.next(performance.now(), error.retry_after_ms ?? 0) : null;
      if (wait_ms === null) {
        this.fail(error);
        return;
      }
      this.become({ name: "reconnecting", attempt, wait_ms, error });
      await waited(wait_ms, signal, error.retry_after_ms === null);
      try {
        if (!this.over()) await this.connect();
        return;
      } catch (again) {
        error = asHearsightError(again);
      }
    }
  }

  private async measure(): Promise<void> {
    const { line } = this;
    const report = await line?.report().catch(() => null);
    if (report === null || report === undefined || line !== this.line) return;
    const { stats, counters } = viewStatsFromReport(report, this.counters);
    this.counters = counters;
    this.emit("stats", stats);
  }

  private fail(error: HearsightError): void {
    this.release();
    this.become({ name: "failed", error });
  }

  private release(): void {
    this.life.abort();
    clearInterval(this.timer);
    removeEventListener("pagehide", this.leaving);
    this.line?.close();
    this.line = null;
    for (const track of this.picture.getTracks()) this.picture.removeTrack(track);
  }

  private over(): boolean {
    return this.life.signal.aborted;
  }

  private become(state: ViewState): void {
    this.current = state;
    this.emit("state", state);
  }
}

/** One connection that receives a picture, from the offer to its end. */
class Line {
  /** Told once, when the connection cannot be used any more. */
  onlost: (error: HearsightError) => void = () => undefined;
  private resource: string | null = null;
  private grace: ReturnType<typeof setTimeout> | undefined;
  private closed = false;

  private constructor(
    private readonly options: ViewerOptions,
    private readonly connection: RTCPeerConnection,
    private readonly receiver: RTCRtpReceiver,
  ) {}

  /** Offers, waits for the answer and for the connection. Throws a `HearsightError`; nothing is left behind then. */
  static async open(options: ViewerOptions, iceServers: RTCIceServer[], signal: AbortSignal): Promise<Line> {
    if (typeof RTCPeerConnection === "undefined") throw new HearsightError("unsupported_browser");
    const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers });
    const transceiver = connection.addTransceiver("video", { direction: "recvonly" });
    const line = new Line(options, connection, transceiver.receiver);
    try {
      preferH264(transceiver);
      await connection.setLocalDescription();
      await gathered(connection);
      const url = new URL(options.url);
      url.searchParams.set("view", options.view ?? "smooth");
      const session = await exchange({ ...options, url: url.href }, connection.localDescription?.sdp ?? "", signal);
      line.resource = session.resource;
      await connection.setRemoteDescription({ type: "answer", sdp: session.answer }).catch((cause: unknown) => {
        throw new HearsightError("bad_answer", {}, { cause });
      });
      await line.connected(signal);
      line.watch();
      return line;
    } catch (error) {
      line.close();
      throw error;
    }
  }

  get track(): MediaStreamTrack {
    return this.receiver.track;
  }

  report(): Promise<RTCStatsReport> {
    return this.connection.getStats();
  }

  /** Ends it on both sides. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.grace);
    this.connection.close();
    if (this.resource !== null) end(this.options, this.resource);
  }

  private connected(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settled = new AbortController();
      const settle = (good: boolean): void => {
        settled.abort();
        clearTimeout(timer);
        if (good) resolve();
        else reject(new HearsightError("media_unreachable"));
      };
      const timer = setTimeout(() => { settle(false); }, OPEN_WITHIN_MS);
      const look = (): void => {
        const state = this.connection.connectionState;
        if (state === "connected") settle(true);
        else if (state === "failed" || state === "closed") settle(false);
      };
      signal.addEventListener("abort", () => { settle(false); }, { signal: settled.signal });
      this.connection.addEventListener("connectionstatechange", look, { signal: settled.signal });
      look();
    });
  }

  private watch(): void {
    const judge = (): void => {
      const state = this.connection.connectionState;
      clearTimeout(this.grace);
      if (state === "failed" || state === "closed") this.lose();
      if (state === "disconnected") this.grace = setTimeout(() => { this.lose(); }, DISCONNECTED_FOR_MS);
    };
    this.connection.addEventListener("connectionstatechange", judge);
    // The server's goodbye is a DTLS close: it comes long before ICE notices.
    const { transport } = this.receiver;
    transport?.addEventListener("statechange", () => { if (transport.state === "closed" || transport.state === "failed") this.lose(); });
  }

  private lose(): void {
    if (this.closed) return;
    this.close();
    this.onlost(new HearsightError("connection_lost"));
  }
}

/** H.264 first: it is what the server sends. */
function preferH264(transceiver: RTCRtpTransceiver): void {
  try {
    transceiver.setCodecPreferences(orderedCodecs(RTCRtpReceiver.getCapabilities("video")?.codecs ?? []));
  } catch {
    // A browser that does not take the list keeps its own order; the server still picks what it can send.
  }
}
