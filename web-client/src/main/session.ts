/** A session as its user sees it: devices, connection, reconnection and events. */

import { Heed, UNLIMITED, type AllocateMode, type AllocationMessage, type Limits } from "./allocation.js";
import type { AnswerEvent } from "./answers.js";
import { Asked, Asking, lost } from "./asking.js";
import { Backoff, DEFAULT_BACKOFF, waited, type BackoffLimits } from "./backoff.js";
import { now_us, type ClockEstimate } from "./clock.js";
import { Conversation } from "./conversation.js";
import { Emitter } from "./emitter.js";
import { asHearsightError, HearsightError } from "./errors.js";
import type { Latency } from "./latency.js";
import { capture, DEFAULT_VIDEO, type MediaChoice, type VideoAim } from "./media.js";
import { afterPaint } from "./paint.js";
import { Peer } from "./peer.js";
import { Softener, type Softening } from "./softener.js";
import { statsFromReport, type Counters, type Stats } from "./stats.js";
import { iceServers, type Endpoint } from "./whip.js";
import type {
  ErrorMessage,
  FlushedMessage,
  FlushWhy,
  LostMessage,
  PictureMessage,
  ReadingMessage,
  SessionMessage,
  SpeechEndedMessage,
  SpeechMessage,
  ToClient,
  ViewMessage,
  WordsMessage,
} from "./wire.js";

/** What a session is to do. */
export interface SessionOptions extends Endpoint {
  /** Which devices; both default ones unless told. */
  readonly media?: MediaChoice;
  /** What the video aims at. */
  readonly video?: Partial<VideoAim>;
  /** STUN and TURN servers; those that the server tells of, unless given. */
  readonly iceServers?: RTCIceServer[];
  /** How a lost connection is taken up again. */
  readonly reconnect?: Partial<BackoffLimits>;
}

/** Where a session stands. */
export type State =
  | { readonly name: "idle" | "asking" | "connecting" | "live" | "closed" }
  /** The path is gone; another one to the same session is being looked for, and its captions go on. */
  | { readonly name: "resuming" }
  /** The connection is lost; the next attempt begins in `wait_ms`. */
  | { readonly name: "reconnecting"; readonly attempt: number; readonly wait_ms: number; readonly error: HearsightError }
  /** It has ended; `error` says why and what to do. */
  | { readonly name: "failed"; readonly error: HearsightError };

/** What a session tells, by the name given to `on`. */
export interface SessionEvents {
  readonly state: State;
  /** The server's first words of each connection: who recognises. */
  readonly session: SessionMessage;
  readonly speech: SpeechMessage;
  readonly ended: SpeechEndedMessage;
  readonly words: WordsMessage;
  readonly picture: PictureMessage;
  /** What the picture says, at once when it changes and once a second while there is text to see. */
  readonly reading: ReadingMessage;
  /** Questions about the picture, whoever asked them, their answers piece by piece and whole, and why there is none. */
  readonly answer: AnswerEvent;
  /** How the pictures of the smooth view came about, once a second while it is watched. */
  readonly view: ViewMessage;
  /** What the server wishes of our sender, and why; the sender heeds it by itself. */
  readonly allocation: AllocationMessage;
  /** The whole account of an event that `shown` was called for. */
  readonly latency: Latency;
  readonly lost: LostMessage;
  readonly flushed: FlushedMessage;
  /** The server could not take a message, or cannot go on. */
  readonly error: ErrorMessage;
  /** A device went away; the session goes on without it. */
  readonly device: { readonly kind: "audio" | "video"; readonly error: HearsightError };
  /** Our own sender's figures, once a second. */
  readonly stats: Stats;
  /** By what the picture is softened where it is not worth bits, once a second. */
  readonly softening: Softening;
}

const CLOCK_BURST = 8;
const CLOCK_BURST_EVERY_MS = 30;
const CLOCK_EVERY_MS = 5_000;
const STATS_EVERY_MS = 1_000;

/** One session with a server. Reconnects by itself until `close`. */
export class Session extends Emitter<SessionEvents> {
  private current: State = { name: "idle" };
  private life = new AbortController();
  private peer: Peer | null = null;
  private conversation: Conversation | null = null;
  private asking: Asking | null = null;
  private asked = 1;
  private heed = new Heed();
  private limits: Limits = UNLIMITED;
  /** The share of our packets that the server missed lately. */
  private lost = 0;
  private readonly softener = new Softener();
  private media: MediaStream | null = null;
  private counters: Counters | null = null;
  private told: RTCIceServer[] = [];
  private timers: ReturnType<typeof setTimeout>[] = [];
  private readonly aim: VideoAim;
  private readonly leaving = (): void => {
    void this.close();
  };

  constructor(private readonly options: SessionOptions) {
    super();
    this.aim = { ...DEFAULT_VIDEO, ...options.video };
  }

  /** Where the session stands. */
  get state(): State {
    return this.current;
  }
  /** What is being sent, for a preview. Null unless the devices are open. */
  get stream(): MediaStream | null {
    return this.media;
  }
  /** Where this connection's picture is watched (see {@link Viewer}), once live; another after each reconnection. */
  get view(): string | null {
    return this.peer?.view ?? null;
  }
  /** The server's clock against ours (microseconds), once known. */
  get clock(): ClockEstimate | null {
    return this.conversation?.clock ?? null;
  }
  /** Messages of this connection that could not be used. */
  get unusable(): { readonly malformed: number; readonly unknown: number } {
    return this.conversation?.counts ?? { malformed: 0, unknown: 0 };
  }

  /** Opens the devices and connects; resolves when live. Throws a `HearsightError`. A session is started once. */
  async start(): Promise<void> {
    if (this.current.name !== "idle") throw new Error("A session is started once: make another one.");
    const signal = this.life.signal;
    try {
      this.become({ name: "asking" });
      const [media] = await Promise.all([capture(this.options.media ?? { audio: true, video: true }, this.aim), this.askForIceServers()]);
      this.media = media;
      if (signal.aborted) {
        this.release();
        return;
      }
      for (const track of media.getTracks()) this.guard(track);
      addEventListener("pagehide", this.leaving);
      this.become({ name: "connecting" });
      await this.connect();
    } catch (error) {
      if (signal.aborted) return;
      this.fail(asHearsightError(error));
      throw error;
    }
  }

  /** Ends the session here and at the server, and lets go of the devices. */
  close(): Promise<void> {
    if (this.current.name !== "closed" && this.current.name !== "failed") {
      this.release();
      this.become({ name: "closed" });
    }
    return Promise.resolve();
  }

  /** Says that what was drawn for event `id` goes on the screen with the next frame. Call it in the task that drew it. */
  async shown(id: number): Promise<void> {
    const conversation = this.conversation;
    const painted_us = await afterPaint();
    if (painted_us !== null && conversation === this.conversation) conversation?.shown(id, painted_us);
  }

  /** Asks what the camera's picture shows. Answers are told as events, too; a question that can't be asked has no answer, and says so. */
  ask(question: string): Asked {
    if (this.asking !== null && this.peer !== null) {
      const asked = this.asking.ask(question);
      this.asked = asked.ask + 1;
      return asked;
    }
    const asked = new Asked(this.asked, () => undefined);
    this.asked += 1;
    const event = { ...lost(asked.ask), question };
    asked.take(event);
    this.emit("answer", event);
    return asked;
  }

  /**
   * Chooses how much of the allocation of bits is at work in this session, whatever the server's settings say, and the most kilobits a
   * second that its pictures may take (100 at least): an uplink may be paid for by the byte. Without the latter, the settings' holds.
   */
  allocate(mode: AllocateMode, most_kbps?: number): void {
    this.peer?.send(JSON.stringify({ type: "allocate", mode, most_kbps }));
  }

  /** Has the server throw away what is queued for this session. */
  flush(why: FlushWhy): void {
    this.peer?.send(JSON.stringify({ type: "flush", why }));
  }

  /** Speaks through another microphone from now on (empty: the default). Throws a `HearsightError`, and the old one stays. */
  setMicrophone(deviceId: string): Promise<void> {
    return this.change({ audio: deviceId === "" ? true : deviceId });
  }
  /** Looks through another camera from now on (empty: the default). Throws a `HearsightError`, and the old one stays. */
  setCamera(deviceId: string): Promise<void> {
    return this.change({ video: deviceId === "" ? true : deviceId });
  }

  private async connect(): Promise<void> {
    const signal = this.life.signal;
    if (this.media === null || signal.aborted) return;
    let peer: Peer | null = null;
    const asking = new Asking((message) => peer?.send(JSON.stringify(message)), this.asked);
    const conversation = new Conversation({
      send: (message) => peer?.send(JSON.stringify(message)),
      message: (message) => {
        if ("ask" in message) asking.take(message);
        this.tell(message);
      },
      latency: (latency) => {
        this.emit("latency", latency);
      },
    });
    this.conversation = conversation;
    this.asking = asking;
    const events = {
      message: (text: unknown) => {
        conversation.receive(text, now_us());
      },
      resuming: (looking: boolean) => {
        this.become({ name: looking ? "resuming" : "live" });
      },
      lost: (error: HearsightError) => {
        this.stopTimers();
        this.peer = null;
        this.softener.leave();
        this.giveUpQuestions();
        void this.reconnect(error);
      },
    };
    peer = await Peer.open(this.options, this.media, this.aim, this.options.iceServers ?? this.told, events, signal);
    if (this.life.signal.aborted) {
      peer.close();
      return;
    }
    this.peer = peer;
    this.soften(peer);
    this.become({ name: "live" });
    this.startTimers(conversation);
  }

  private async askForIceServers(): Promise<void> {
    if (this.options.iceServers === undefined) this.told = (await iceServers(this.options, this.life.signal)) ?? this.told;
  }

  private async reconnect(lost: HearsightError): Promise<void> {
    const signal = this.life.signal;
    const backoff = new Backoff({ ...DEFAULT_BACKOFF, ...this.options.reconnect });
    let error = lost;
    for (let attempt = 1; !signal.aborted; attempt += 1) {
      const wait_ms = error.passing ? backoff.next(performance.now(), error.retry_after_ms ?? 0) : null;
      if (wait_ms === null) {
        this.fail(error);
        return;
      }
      this.become({ name: "reconnecting", attempt, wait_ms, error });
      // Their passwords may have expired since.
      await Promise.all([waited(wait_ms, signal, error.retry_after_ms === null), this.askForIceServers()]);
      try {
        await this.connect();
        return;
      } catch (again) {
        error = asHearsightError(again);
      }
    }
  }

  private tell(message: ToClient): void {
    switch (message.type) {
      case "session":
        this.heed.greeted(message.session);
        this.emit("session", message);
        break;
      case "speech.started":
      case "speech.stopped":
        this.emit("speech", message);
        break;
      case "speech.ended":
        this.emit("ended", message);
        break;
      case "words.partial":
      case "words.final":
        this.emit("words", message);
        break;
      case "picture.stats":
        this.emit("picture", message);
        break;
      case "reading":
        this.emit("reading", message);
        break;
      case "question":
      case "answer.text":
      case "answer":
      case "answer.none":
        this.emit("answer", message);
        break;
      case "view":
        this.emit("view", message);
        break;
      case "allocation":
        if (!this.heed.take(message, performance.now())) break;
        this.obey();
        this.emit("allocation", message);
        break;
      case "lost":
        this.emit("lost", message);
        break;
      case "flushed":
        this.emit("flushed", message);
        break;
      case "error":
        this.emit("error", message);
        break;
      case "clock":
      case "latency":
        break;
    }
  }

  /** Sends as the server wishes; asked once a second too, because a wish is forgotten when no other follows. */
  private obey(): void {
    const now_ms = performance.now();
    this.softener.heed(this.heed.levels(now_ms), now_ms);
    const [kbps, fps, layers] = [this.heed.cap_kbps(now_ms), this.heed.fps(now_ms, this.lost), this.heed.layers(now_ms, this.lost)];
    if (kbps === this.limits.kbps && fps === this.limits.fps && layers === this.limits.layers) return;
    const limits = { kbps, fps, layers };
    this.limits = limits;
    void this.peer?.limit(limits);
  }

  /** Puts the softener between the camera and this connection. */
  private soften(peer: Peer): void {
    const [camera] = this.media?.getVideoTracks() ?? [];
    if (camera !== undefined) this.softener.film(camera, (track) => peer.replace(track));
  }

  private startTimers(conversation: Conversation): void {
    const ask = (): void => {
      conversation.ask(now_us());
    };
    for (let i = 0; i < CLOCK_BURST; i += 1) this.timers.push(setTimeout(ask, i * CLOCK_BURST_EVERY_MS));
    this.timers.push(setInterval(ask, CLOCK_EVERY_MS));
    this.counters = null;
    [this.limits, this.lost] = [UNLIMITED, 0];
    this.timers.push(setInterval(() => void this.measure(), STATS_EVERY_MS));
  }

  private stopTimers(): void {
    for (const timer of this.timers) clearTimeout(timer);
    this.timers = [];
  }

  private async measure(): Promise<void> {
    this.obey();
    this.emit("softening", this.softener.softening);
    const peer = this.peer;
    const report = await peer?.report().catch(() => null);
    if (report === null || report === undefined || peer !== this.peer) return;
    const { stats, counters } = statsFromReport(report, this.counters);
    this.counters = counters;
    this.lost = stats.loss ?? 0;
    this.emit("stats", stats);
  }

  private async change(choice: MediaChoice): Promise<void> {
    if (this.media === null) return;
    const [track] = (await capture(choice, this.aim)).getTracks();
    // The session may have ended while the person was asked.
    if (track === undefined || this.life.signal.aborted) {
      track?.stop();
      return;
    }
    for (const old of this.media.getTracks().filter((each) => each.kind === track.kind)) {
      this.media.removeTrack(old);
      old.stop();
    }
    this.media.addTrack(track);
    this.guard(track);
    if (track.kind === "video") this.softener.leave();
    await this.peer?.replace(track);
    if (this.peer !== null) this.soften(this.peer);
  }

  private guard(track: MediaStreamTrack): void {
    // Only a track that ends by itself says so: one that we stop does not.
    track.addEventListener("ended", () => {
      if (this.media?.getTracks().includes(track) !== true) return;
      this.emit("device", { kind: track.kind === "audio" ? "audio" : "video", error: new HearsightError("device_lost") });
    });
  }

  private fail(error: HearsightError): void {
    this.release();
    this.become({ name: "failed", error });
  }

  private giveUpQuestions(): void {
    for (const event of this.asking?.lost() ?? []) this.emit("answer", event);
    this.asking = null;
  }

  private release(): void {
    this.life.abort();
    this.giveUpQuestions();
    this.stopTimers();
    this.softener.leave();
    removeEventListener("pagehide", this.leaving);
    this.peer?.close();
    this.peer = null;
    for (const track of this.media?.getTracks() ?? []) track.stop();
    this.media = null;
  }

  private become(state: State): void {
    this.current = state;
    this.emit("state", state);
  }
}
