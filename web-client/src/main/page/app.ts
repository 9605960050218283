/** The demo page: wires one session to the views. Everything it does, the library's users can do in the same way. */

import { caption, HearsightError, NO_CAPTIONS, Session, type CaptionEvent, type SessionMessage, type State } from "../hearsight.js";
import { AnswersView } from "./answers_view.js";
import { CaptionsView } from "./captions_view.js";
import { DevicesView } from "./devices_view.js";
import { part } from "./dom.js";
import { showSpending } from "./allocation_view.js";
import { FiguresView } from "./figures_view.js";
import { LevelView } from "./level_view.js";
import { ReadingView } from "./reading_view.js";
import { SmoothView } from "./smooth_view.js";
import { TokenView } from "./token_view.js";
import { WaterfallView } from "./waterfall_view.js";

const captionsView = new CaptionsView();
const waterfallView = new WaterfallView();
const figuresView = new FiguresView();
const levelView = new LevelView();
const smoothView = new SmoothView();
const devicesView = new DevicesView((kind, deviceId) => void changeDevice(kind, deviceId));
const tokenView = new TokenView(() => void begin());

const start = part("start", HTMLButtonElement);
const stop = part("stop", HTMLButtonElement);
const preview = part("preview", HTMLVideoElement);
const frame = preview.parentElement;
const readingView = new ReadingView(preview);
const answersView = new AnswersView(preview);

let session: Session | null = null;
let captions = NO_CAPTIONS;

start.addEventListener("click", () => void begin());
stop.addEventListener("click", () => void session?.close());
part("dismiss").addEventListener("click", () => {
  part("error").hidden = true;
});
// Absent on pages that are not secure; starting says so in words.
(navigator.mediaDevices as MediaDevices | undefined)?.addEventListener("devicechange", () => void devicesView.refresh(session?.stream ?? null));
if (new URLSearchParams(location.search).get("autostart") === "1") void begin();

async function begin(): Promise<void> {
  part("error").hidden = true;
  const shown = tokenView.choice();
  const fresh = new Session({ url: location.origin, stream: `page-${Math.random().toString(36).slice(2, 10)}`, media: devicesView.choice(), ...shown });
  session = fresh;
  note({ type: "restarted" });
  listen(fresh, shown.token);
  try {
    await fresh.start();
  } catch (error) {
    // The session's own state says it too; a fault of the page itself is said here.
    if (!(error instanceof HearsightError)) complain("The page has a fault.", String(error));
  }
}

function listen(fresh: Session, token: string | undefined): void {
  let connections = 0;
  fresh.on("state", (state) => {
    showState(state);
    if (state.name === "live") smoothView.live(fresh, token);
    else if (state.name === "closed" || state.name === "failed") {
      smoothView.over();
      answersView.over();
    }
  });
  fresh.on("session", (message) => {
    connections += 1;
    answersView.met(fresh, message);
    if (connections > 1) note({ type: "reconnected" });
    showRecogniser(message);
  });
  fresh.on("speech", (event) => {
    showSpeaking(event.type === "speech.started");
    void fresh.shown(event.id);
  });
  fresh.on("words", (event) => {
    note(event);
    void fresh.shown(event.id);
  });
  fresh.on("ended", () => { captionsView.end(); });
  fresh.on("picture", (event) => {
    figuresView.seen(event);
    void fresh.shown(event.id);
  });
  fresh.on("reading", (event) => {
    readingView.show(event);
    void fresh.shown(event.id);
  });
  fresh.on("answer", (event) => {
    answersView.take(event);
    if (event.type === "answer.text" && event.id !== null) void fresh.shown(event.id);
  });
  fresh.on("view", (event) => {
    smoothView.made(event);
  });
  fresh.on("lost", (event) => {
    figuresView.missing(event);
    note(event);
  });
  fresh.on("latency", (latency) => {
    waterfallView.add(latency);
    // For benches and browser extensions: every account, with its segments, while the page shows only the chosen one's.
    dispatchEvent(new CustomEvent("hearsight:latency", { detail: latency }));
  });
  fresh.on("stats", (stats) => {
    figuresView.sent(stats);
  });
  showSpending(fresh);
  fresh.on("error", (event) => {
    complain("The server reports a problem.", event.message);
  });
  fresh.on("device", ({ error }) => {
    complain(error.message, error.remedy);
    void devicesView.refresh(fresh.stream);
  });
}

function showRecogniser({ recogniser }: SessionMessage): void {
  const line = part("recogniser");
  line.hidden = false;
  line.querySelector("strong")?.replaceChildren(`${recogniser.name}.`);
  line.querySelector("span")?.replaceChildren(recogniser.note);
}

function note(event: CaptionEvent): void {
  captions = caption(captions, event);
  captionsView.render(captions);
}

function showState(state: State): void {
  const line = part("state");
  line.dataset["state"] = state.name;
  line.textContent = sentence(state);
  const running = ["asking", "connecting", "live", "resuming", "reconnecting"].includes(state.name);
  const focused = document.activeElement === start || document.activeElement === stop;
  start.hidden = running;
  stop.hidden = !running;
  if (focused) (running ? stop : start).focus();
  devicesView.lock(running ? "live" : "idle");
  if (state.name === "connecting") void showDevices();
  if (state.name === "live") part("error").hidden = true;
  if (state.name !== "live") showSpeaking(false);
  if (state.name === "reconnecting") complain(state.error.message, state.error.remedy);
  if (state.name === "failed") {
    complain(state.error.message, state.error.remedy);
    if (state.error.status === 401) tokenView.ask();
  }
  if (!running) hideDevices();
}

function sentence(state: State): string {
  switch (state.name) {
    case "idle":
      return "Ready";
    case "asking":
      return "Asking for your devices…";
    case "connecting":
      return "Connecting…";
    case "live":
      return "Live";
    case "resuming":
      return "Looking for another way to the server…";
    case "reconnecting":
      return `Reconnecting, attempt ${state.attempt}…`;
    case "closed":
      return "Stopped";
    case "failed":
      return "Not connected";
  }
}

async function showDevices(): Promise<void> {
  const stream = session?.stream ?? null;
  if (stream === null || frame === null) return;
  preview.srcObject = stream;
  frame.dataset["on"] = String(stream.getVideoTracks().length > 0);
  await Promise.all([levelView.open(stream), devicesView.refresh(stream)]);
  devicesView.lock("live");
}

function hideDevices(): void {
  preview.srcObject = null;
  readingView.clear();
  if (frame !== null) frame.dataset["on"] = "false";
  levelView.close();
}

async function changeDevice(kind: "audio" | "video", deviceId: string): Promise<void> {
  if (session?.stream === null || session === null) return;
  try {
    await (kind === "audio" ? session.setMicrophone(deviceId) : session.setCamera(deviceId));
    await showDevices();
  } catch (error) {
    if (error instanceof HearsightError) complain(error.message, error.remedy);
    await devicesView.refresh(session.stream);
  }
}

function showSpeaking(speaking: boolean): void {
  const line = part("speaking");
  line.dataset["speaking"] = String(speaking);
  line.textContent = speaking ? "Speaking" : "Silent";
  if (frame !== null) frame.dataset["speaking"] = String(speaking);
}

function complain(message: string, remedy: string): void {
  const banner = part("error");
  banner.querySelector(".banner-message")?.replaceChildren(message);
  banner.querySelector(".banner-remedy")?.replaceChildren(remedy);
  banner.hidden = false;
}
