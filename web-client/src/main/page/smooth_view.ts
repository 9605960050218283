/** The smooth picture: one's own session watched twice, as it was received and at a higher rate, side by side. */

import { Viewer, type HearsightError, type Session, type ViewMessage, type ViewName, type ViewState, type ViewStats } from "../hearsight.js";
import { part } from "./dom.js";

/** What is shown instead of the best, in words. */
const SHOWN: Readonly<Record<ViewMessage["rung"], string>> = {
  full: "pictures made from motion vectors and refined",
  vectors: "pictures made from motion vectors alone",
  blend: "pictures blended from their neighbours",
  hold: "only the pictures that were received",
};
const OFF = "Your picture as the server received it, beside the same with pictures made in between. Off until you ask: it costs the server an encoder.";
const NONE = "–";

/** The panel, and its switch. */
export class SmoothView {
  private readonly toggle = part("smooth-switch", HTMLButtonElement);
  private viewers: Viewer[] = [];
  private session: Session | null = null;
  private token: string | undefined;

  constructor() {
    this.toggle.addEventListener("click", () => {
      if (this.viewers.length > 0) this.turnOff();
      else this.turnOn();
    });
    this.say(OFF);
  }

  /** A session is live: it can be watched. After each reconnection it is so elsewhere. */
  live(session: Session, token: string | undefined): void {
    const was = this.viewers.length > 0;
    this.turnOff();
    this.session = session;
    this.token = token;
    this.toggle.disabled = session.view === null;
    if (was) this.turnOn();
  }

  /** There is no session to watch. */
  over(): void {
    this.turnOff();
    this.session = null;
    this.toggle.disabled = true;
  }

  /** How the server made the pictures of the last second. */
  made(message: ViewMessage): void {
    if (this.viewers.length === 0) return;
    for (const name of ["received", "made", "extrapolated", "held"] as const) {
      part(`made-${name}`).textContent = message[name].toLocaleString("en");
    }
    part("made-rates").textContent = `${Math.round(message.fps_in)} → ${Math.round(message.fps_out)} fps`;
    this.say(sentence(message));
  }

  private turnOn(): void {
    const url = this.session?.view ?? null;
    if (url === null) return;
    this.viewers = [this.watch("received", url), this.watch("smooth", url)];
    this.showSwitch(true);
    this.say("Connecting…");
  }

  private turnOff(): void {
    for (const viewer of this.viewers) void viewer.close();
    this.viewers = [];
    for (const name of ["received", "smooth"] as const) {
      part(`view-${name}`, HTMLVideoElement).srcObject = null;
      part(`view-${name}-rate`).textContent = NONE;
    }
    for (const id of ["made-received", "made-made", "made-extrapolated", "made-held", "made-rates"]) part(id).textContent = NONE;
    this.showSwitch(false);
    this.say(OFF);
  }

  private watch(view: ViewName, url: string): Viewer {
    const viewer = new Viewer({ url, view, ...(this.token === undefined ? {} : { token: this.token }) });
    viewer.on("state", (state) => {
      if (this.viewers.includes(viewer)) this.show(view, state);
    });
    viewer.on("stats", (stats) => {
      if (this.viewers.includes(viewer)) part(`view-${view}-rate`).textContent = rate(stats);
    });
    part(`view-${view}`, HTMLVideoElement).srcObject = viewer.stream;
    // Its state tells of a failure.
    viewer.start().catch(() => undefined);
    return viewer;
  }

  private show(view: ViewName, state: ViewState): void {
    const rateLine = part(`view-${view}-rate`);
    if (state.name === "live") {
      // A browser may hold back a picture that was there before its track.
      void part(`view-${view}`, HTMLVideoElement).play().catch(() => undefined);
      if (view === "received" || this.viewers.every((viewer) => viewer.state.name === "live")) this.say("On the way…");
    } else {
      rateLine.textContent = NONE;
    }
    if (state.name === "failed") this.say(trouble(view, state.error));
  }

  private showSwitch(on: boolean): void {
    this.toggle.setAttribute("aria-checked", String(on));
    this.toggle.textContent = on ? "On" : "Off";
    part("smooth-body").hidden = !on;
  }

  private say(text: string): void {
    const line = part("smooth-note");
    // Said again, a screen reader would read it again.
    if (line.textContent !== text) line.textContent = text;
  }
}

function sentence({ rung, reason }: ViewMessage): string {
  if (reason === null) return `Showing ${SHOWN[rung]}.`;
  const why = reason === "no-gpu" ? "Without a graphics processor this server can't keep up" : "This server can't keep up";
  return `${why}: showing ${SHOWN[rung]}.`;
}

function trouble(view: ViewName, error: HearsightError): string {
  const what = view === "smooth" ? "The smooth picture" : "The picture as received";
  return `${what} can't be shown. ${error.message} ${error.remedy}`;
}

function rate({ fps, width, height }: ViewStats): string {
  if (fps === null) return NONE;
  return `${Math.round(fps)} fps${width === null || height === null ? "" : ` · ${width} × ${height}`}`;
}
