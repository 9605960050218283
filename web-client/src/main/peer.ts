/** One connection, from the offer to its end: peer connection, data channel and the server's resource live and die together. */

import type { Limits } from "./allocation.js";
import { HearsightError } from "./errors.js";
import { answerWithFragment, fragmentFromOffer } from "./fragment.js";
import { holdResolution, limit, preferH264, type VideoAim } from "./media.js";
import { CHANNEL } from "./wire.js";
import { end, publish, restart, type Endpoint } from "./whip.js";

/** What a connection tells its owner. Nothing is said after `lost`. */
export interface PeerEvents {
  /** A text of the server and when it came. */
  readonly message: (text: unknown) => void;
  /** The path is gone and a new one is being looked for (`true`), or there is one again (`false`). The session goes on. */
  readonly resuming: (looking: boolean) => void;
  /** The connection cannot be used any more. */
  readonly lost: (error: HearsightError) => void;
}

/** Candidates of this machine are there at once; those of a STUN server may be late and are then done without. */
const GATHER_WITHIN_MS = 1_500;
/** ICE, DTLS and SCTP take a tenth of a second nearby, seconds over a bad line. */
const OPEN_WITHIN_MS = 15_000;
/** A path that comes back by itself mostly does so at once; after this another one is looked for. */
const DISCONNECTED_FOR_MS = 1_000;
/** The server keeps a silent session for fifteen seconds: a path that is not found by then is of no use. */
const RESUME_WITHIN_MS = 12_000;
/** Between two attempts to find one. */
const RESUME_EVERY_MS = 1_000;
/** Beyond this the channel is not being drained, and more would only grow old in it. */
const MAX_BUFFERED = 256 * 1024;

/** An open connection that sends `stream`. */
export class Peer {
  private resource: string | null = null;
  private watched: string | null = null;
  private answer = "";
  private grace: ReturnType<typeof setTimeout> | undefined;
  private readonly life = new AbortController();
  private looking = false;

  private constructor(
    private readonly endpoint: Endpoint,
    private readonly connection: RTCPeerConnection,
    private readonly channel: RTCDataChannel,
    private readonly events: PeerEvents,
    private readonly aim: VideoAim,
  ) {}

  /** Offers, waits for the answer and for the channel to open. Throws a `HearsightError`; nothing is left behind then. */
  static async open(
    endpoint: Endpoint,
    stream: MediaStream,
    aim: VideoAim,
    iceServers: RTCIceServer[],
    events: PeerEvents,
    signal: AbortSignal,
  ): Promise<Peer> {
    const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers });
    const channel = connection.createDataChannel(CHANNEL, { ordered: true });
    const peer = new Peer(endpoint, connection, channel, events, aim);
    try {
      addTracks(connection, stream);
      await connection.setLocalDescription();
      await gathered(connection);
      const session = await publish(endpoint, connection.localDescription?.sdp ?? "", signal);
      peer.resource = session.resource;
      peer.watched = session.view;
      peer.answer = session.answer;
      const opened = peer.opened(signal);
      // Whoever fails first is reported; the other must not count as unhandled.
      opened.catch(() => undefined);
      await connection.setRemoteDescription({ type: "answer", sdp: session.answer }).catch((cause: unknown) => {
        throw new HearsightError("bad_answer", {}, { cause });
      });
      await Promise.all(connection.getSenders().filter((sender) => sender.track?.kind === "video").map((sender) => holdResolution(sender, aim)));
      await opened;
      peer.watch();
      return peer;
    } catch (error) {
      peer.close();
      throw error;
    }
  }

  /** Where it is watched, as the server says. */
  get view(): string | null {
    return this.watched;
  }

  /** Sends a text; false when the channel is closed or not being drained. */
  send(text: string): boolean {
    if (this.channel.readyState !== "open" || this.channel.bufferedAmount > MAX_BUFFERED) return false;
    this.channel.send(text);
    return true;
  }

  /** Sends another device from now on, without a new negotiation. */
  async replace(track: MediaStreamTrack): Promise<void> {
    const transceiver = this.connection.getTransceivers().find((each) => each.sender.track?.kind === track.kind || each.receiver.track.kind === track.kind);
    await transceiver?.sender.replaceTrack(track);
  }

  /** Keeps pictures to `limits`; null: to what the network takes and the session aims at. */
  async limit(limits: Limits): Promise<void> {
    if (this.over()) return;
    const senders = this.connection.getSenders().filter((sender) => sender.track?.kind === "video");
    await Promise.all(senders.map((sender) => limit(sender, this.aim, limits)));
  }

  /** What the browser knows of this connection. */
  report(): Promise<RTCStatsReport> {
    return this.connection.getStats();
  }

  /** Ends it on both sides, without a word to the owner. */
  close(): void {
    if (this.over()) return;
    this.life.abort();
    clearTimeout(this.grace);
    this.connection.close();
    if (this.resource !== null) end(this.endpoint, this.resource);
  }

  private opened(signal: AbortSignal): Promise<void> {
    // From the start, not from the opening on: the server's first message may come with it.
    this.channel.addEventListener("message", (event: MessageEvent<unknown>) => {
      if (!this.over()) this.events.message(event.data);
    });
    return new Promise((resolve, reject) => {
      const settled = new AbortController();
      const fail = (): void => {
        settled.abort();
        reject(new HearsightError("media_unreachable"));
      };
      const timer = setTimeout(fail, OPEN_WITHIN_MS);
      const heard = { signal: settled.signal };
      settled.signal.addEventListener("abort", () => { clearTimeout(timer); });
      signal.addEventListener("abort", fail, heard);
      this.connection.addEventListener("connectionstatechange", () => { if (this.connection.connectionState === "failed") fail(); }, heard);
      this.channel.addEventListener("close", fail, heard);
      this.channel.addEventListener("open", () => { settled.abort(); resolve(); }, heard);
    });
  }

  private watch(): void {
    if (this.channel.readyState !== "open") throw new HearsightError("connection_lost");
    this.channel.addEventListener("close", () => { this.lose(); });
    const judge = (): void => {
      const state = this.connection.connectionState;
      clearTimeout(this.grace);
      if (state === "closed") this.lose();
      if (state === "failed") void this.resume();
      if (state === "disconnected") this.grace = setTimeout(() => void this.resume(), DISCONNECTED_FOR_MS);
    };
    this.connection.addEventListener("connectionstatechange", judge);
    // Another network: the old path may look well for seconds yet.
    addEventListener("online", () => void this.resume(), { signal: this.life.signal });
  }

  /** Looks for another path to the same session (ICE restart), so that nothing of it is lost but what was said meanwhile. */
  private async resume(): Promise<void> {
    if (this.looking || this.over()) return;
    this.looking = true;
    this.events.resuming(true);
    const deadline = performance.now() + RESUME_WITHIN_MS;
    let answered: "yes" | "refused" | "unreachable" = "unreachable";
    let found = false;
    while (!found && answered !== "refused" && !this.over() && performance.now() < deadline) {
      answered = await this.restarted();
      found = answered === "yes" && (await this.connected(deadline));
      if (answered === "unreachable") await new Promise((resolve) => setTimeout(resolve, RESUME_EVERY_MS));
    }
    this.looking = false;
    if (this.over()) return;
    if (found) this.events.resuming(false);
    else this.lose();
  }

  /** Exchanges new ICE credentials. Where the server did not take them, the old ones hold on. */
  private async restarted(): Promise<"yes" | "refused" | "unreachable"> {
    const { connection, resource } = this;
    if (resource === null) return "refused";
    try {
      const again = gatheredAgain(connection);
      await connection.setLocalDescription(await connection.createOffer({ iceRestart: true }));
      await again;
      const ours = fragmentFromOffer(connection.localDescription?.sdp ?? "");
      const theirs = await restart(this.endpoint, resource, ours, this.life.signal);
      const answer = typeof theirs === "string" ? null : answerWithFragment(this.answer, theirs.fragment);
      if (answer === null) {
        await connection.setLocalDescription({ type: "rollback" });
        return theirs === "unreachable" ? "unreachable" : "refused";
      }
      await connection.setRemoteDescription({ type: "answer", sdp: answer });
      this.answer = answer;
      return "yes";
    } catch {
      // Closed meanwhile, or an answer that the browser can't use.
      return "refused";
    }
  }

  /** Waits for the new path. */
  private connected(deadline: number): Promise<boolean> {
    const { connection } = this;
    const good = (): boolean => ["connected", "completed"].includes(connection.iceConnectionState) && connection.connectionState === "connected";
    return new Promise((resolve) => {
      const settled = new AbortController();
      const settle = (found: boolean): void => {
        settled.abort();
        clearTimeout(timer);
        resolve(found);
      };
      const timer = setTimeout(() => { settle(good()); }, Math.max(0, deadline - performance.now()));
      const look = (): void => {
        if (good()) settle(true);
        else if (connection.connectionState === "failed" || connection.connectionState === "closed") settle(false);
      };
      this.life.signal.addEventListener("abort", () => { settle(false); }, { signal: settled.signal });
      connection.addEventListener("connectionstatechange", look, { signal: settled.signal });
      connection.addEventListener("iceconnectionstatechange", look, { signal: settled.signal });
      // A failure seen here is the old path's.
      if (good()) settle(true);
    });
  }

  private over(): boolean {
    return this.life.signal.aborted;
  }

  private lose(): void {
    if (this.over()) return;
    this.close();
    this.events.lost(new HearsightError("connection_lost"));
  }
}

function addTracks(connection: RTCPeerConnection, stream: MediaStream): void {
  for (const track of stream.getTracks()) {
    const transceiver = connection.addTransceiver(track, { direction: "sendonly", streams: [stream] });
    if (track.kind === "video") preferH264(transceiver);
  }
}

/** Waits until all candidates are known, but not for long. */
export function gathered(connection: RTCPeerConnection): Promise<void> {
  if (connection.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, GATHER_WITHIN_MS);
    connection.addEventListener("icegatheringstatechange", () => {
      if (connection.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    });
  });
}

/** As `gathered`, asked before a restart begins: its state still says `complete`, of the gathering before. */
function gatheredAgain(connection: RTCPeerConnection): Promise<void> {
  return new Promise((resolve) => {
    const settled = new AbortController();
    const settle = (): void => {
      settled.abort();
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(settle, GATHER_WITHIN_MS);
    connection.addEventListener("icecandidate", ({ candidate }) => { if (candidate === null) settle(); }, { signal: settled.signal });
  });
}
