/** Drives the page's views with a scripted conversation, so that they can be looked at without a server. Test code only. */

import { caption, NO_CAPTIONS, type CaptionEvent, type Latency, type Word } from "../../src/main/hearsight.js";
import { AnswersView } from "../../src/main/page/answers_view.js";
import { CaptionsView } from "../../src/main/page/captions_view.js";
import { DevicesView } from "../../src/main/page/devices_view.js";
import { part } from "../../src/main/page/dom.js";
import { FiguresView } from "../../src/main/page/figures_view.js";
import { SmoothView } from "../../src/main/page/smooth_view.js";
import { WaterfallView } from "../../src/main/page/waterfall_view.js";

const captionsView = new CaptionsView();
const waterfall = new WaterfallView();
const figures = new FiguresView();
new DevicesView(() => undefined);
new SmoothView();
const answersView = new AnswersView(part("preview", HTMLVideoElement));
let captions = NO_CAPTIONS;

function spoken(text: string, from_us: number, stable: number): Word[] {
  return text.split(" ").map((word, i) => ({
    text: word,
    start_us: from_us + i * 310_000,
    end_us: from_us + i * 310_000 + 280_000,
    stability: i < stable ? 1 : 0.3,
    certainty: null,
  }));
}

function say(type: "words.partial" | "words.final", segment: number, text: string, from_us: number, stable = 99): void {
  note({ type, id: segment, segment, at_us: from_us, words: spoken(text, from_us, stable) });
}

function note(event: CaptionEvent): void {
  captions = caption(captions, event);
  captionsView.render(captions);
}

function latency(outlet: string, of: number, parts: readonly (readonly [string, number | null])[]): Latency {
  const segments = parts.map(([name, us]) => ({ name, us }));
  const felt_us = segments.reduce((sum, { us }) => sum + (us ?? 0), 0);
  return { of, outlet, segments, felt_us, measured: true, clock_error_us: 420 };
}

function drive(): void {
  say("words.final", 0, "good morning and thank you all for coming", 1_200_000);
  say("words.final", 1, "today we look at where the milliseconds go between a mouth and a screen", 5_400_000);
  captionsView.end();
  note({ type: "lost", stage: "recognise", why: "too_old", count: 2, at_us: 10_400_000 });
  say("words.final", 2, "every step is stamped and the steps add up", 12_100_000);
  say("words.partial", 3, "so nothing can hide in between them", 17_300_000, 4);
  for (const [outlet, scale] of [["speech.started", 0.4], ["words.partial", 0.8], ["picture.stats", 0.1], ["words.final", 1]] as const) {
    for (const [i, wobble] of [1.2, 0.9, 1].entries()) {
      const us = (ms: number): number => Math.round(ms * 1000 * scale * wobble);
      waterfall.add(
        latency(outlet, i, [["network", us(2.1)], ["jitter", us(14)], ["decode", us(1.2)], ["vad", us(306)], ["recognise", us(48)], ["deliver", us(1.4)], ["show", us(24)]]),
      );
    }
  }
  figures.seen({
    type: "picture.stats", id: 9, at_us: 0, width: 1280, height: 720, fps: 29.8, kbps: 2410, decoded: 1432, keyframes: 3,
    vectors: 3587, motion: 1.42, brightness: 118, cut: false,
  });
  figures.sent({
    video_kbps: 2412, audio_kbps: 38, available_kbps: 3100, fps: 30, width: 1280, height: 720, limited_by: "none", round_trip_ms: 1.8, loss: 0.002,
  });
  part("smooth-switch").setAttribute("aria-checked", "true");
  part("smooth-switch").textContent = "On";
  part("smooth-switch", HTMLButtonElement).disabled = false;
  part("smooth-body").hidden = false;
  part("smooth-note").textContent = "Without a graphics processor this server can't keep up: showing pictures made from motion vectors alone.";
  for (const [id, text] of [["view-received-rate", "30 fps · 1280 × 720"], ["view-smooth-rate", "60 fps · 1280 × 720"], ["made-rates", "30 → 60 fps"], ["made-received", "1,432"], ["made-made", "1,398"], ["made-extrapolated", "11"], ["made-held", "23"]] as const) {
    part(id).textContent = text;
  }
  part("ask-note").textContent = "glance. A small model that needs nothing but this machine: short questions about what is plain to see.";
  for (const id of ["ask-field", "ask-button"]) part(id).removeAttribute("disabled");
  answersView.take({
    type: "answer", ask: 1, question: "What does the sign say?", text: "It says “Platform 7”.", ended: "said", certainty: 0.91, readability: 0.97, engine: "glance",
    evidence: [{ picture: 0, region: [[0.1, 0.1], [0.5, 0.1], [0.5, 0.4], [0.1, 0.4]], share: 0.6 }], pictures: [{ at_us: 0, age_us: 4_300_000, still_us: 60_000 }],
    first_us: 310_000, took_us: 720_000,
  });
  answersView.take({ type: "answer.none", ask: 2, question: "Is it raining?", why: "late", message: "There was no time for an answer by its deadline." });
  answersView.take({ type: "question", ask: 3, by: "voice", text: "how many people are there" });
  answersView.take({ type: "answer.text", id: 4, ask: 3, text: "There are two" });
  part("state").dataset["state"] = "live";
  part("state").textContent = "Live";
  part("speaking").dataset["speaking"] = "true";
  part("speaking").textContent = "Speaking";
  part("recogniser").hidden = false;
  part("recogniser").querySelector("strong")?.replaceChildren("PocketSphinx 5.1.1.");
  part("recogniser").querySelector("span")?.replaceChildren("Small and offline; expect about every second word to be right.");
  part("level").style.setProperty("--level", "0.62");
  part("start").hidden = true;
  part("stop").hidden = false;
}

if (!location.search.includes("still")) drive();
if (location.search.includes("error")) {
  part("error").hidden = false;
  document.querySelector(".banner-message")?.replaceChildren("The microphone or the camera was refused.");
  document.querySelector(".banner-remedy")?.replaceChildren(
    "Allow both for this page in the browser's address bar (and in the system's privacy settings), then start again.",
  );
}
