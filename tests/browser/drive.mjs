// Opens the page in the system's Chromium with a fake microphone and camera, waits for what was asked, and prints what a
// person would have seen as one JSON object. Bounded in time; called by the Rust tests and benches.
// With `restart` the page is told, once it shows a settled caption, that the network changed: it restarts ICE.
// `readings` is how many lines of text the page must show as read in the camera's picture.
// `views` names the views that must have shown so many pictures each, after the switch of "Smooth picture" was turned by
// keyboard.
// `ask` is typed as a question, and must be answered; `ask_http` is posted to the session after that.
// `events` clicks and as many flashes must have been observed (`observe.mjs`) and accounted for.
//
// node drive.mjs '{"url":…,"microphone":"x.wav","camera":"x.y4m","finals":1,"words":0,"timeout_ms":60000,"screenshot":"x.png",
//                  "scheme":"light|dark","width":1280,"height":900,"kbps":0,"observe":false,"events":0,"restart":false,"views":{"received":60}}'
import { createRequire } from "node:module";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { observe } from "./observe.mjs";

const client = fileURLToPath(new URL("../../web-client/package.json", import.meta.url));
const { chromium } = createRequire(client)("playwright-core");

const wish = JSON.parse(process.argv[2]);
const timeout = wish.timeout_ms ?? 60_000;
const profile = mkdtempSync(join(tmpdir(), "hearsight-browser-"));
const complaints = [];
let location = null;
let posted = null;

const context = await chromium.launchPersistentContext(profile, {
  executablePath: wish.browser ?? "/usr/bin/chromium",
  headless: true,
  ignoreHTTPSErrors: true,
  viewport: { width: wish.width ?? 1280, height: wish.height ?? 900 },
  colorScheme: wish.scheme ?? "light",
  permissions: wish.refuse ? [] : ["microphone", "camera"],
  // Muted audio output also mutes the fake microphone.
  ignoreDefaultArgs: ["--mute-audio"],
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    ...(wish.refuse ? ["--deny-permission-prompts"] : ["--use-fake-ui-for-media-stream"]),
    ...(wish.microphone ? [`--use-file-for-fake-audio-capture=${wish.microphone}`] : []),
    ...(wish.camera ? [`--use-file-for-fake-video-capture=${wish.camera}`] : []),
  ],
});

try {
  const page = await context.newPage();
  page.setDefaultTimeout(timeout);
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (line) => {
    if (line.type() === "error") complaints.push(line.text());
  });
  page.on("response", (response) => {
    if (response.request().method() === "POST" && response.url().includes("/whip/")) location = response.headers().location ?? location;
  });
  if (wish.observe) await page.addInitScript(observe);
  await page.addInitScript(watch);
  await page.goto(wish.url);
  const errors = await waitFor(page);
  if (wish.screenshot) await page.screenshot({ path: wish.screenshot, fullPage: true });
  const seen = await page.evaluate(() => globalThis.seen());
  console.log(JSON.stringify({ ...seen, posted, complaints, gave_up: errors }));
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
}

/** Waits until enough settled captions and figures are on the page; answers with what it gave up on, or null. */
async function waitFor(page) {
  try {
    if (wish.refuse) {
      await page.waitForSelector("#error:not([hidden])");
      return null;
    }
    if (wish.restart) {
      await page.waitForSelector("#captions [data-kind=final]");
      await page.evaluate(() => globalThis.dispatchEvent(new globalThis.Event("online")));
      await page.waitForFunction(() => globalThis.watched.states.slice(-2).join() === "resuming,live", null, { polling: 100 });
    }
    await page.waitForFunction(
      (wish) =>
        document.querySelectorAll("#captions [data-kind=final]").length >= wish.finals &&
        document.querySelectorAll("#captions [data-kind=final] [data-start-us]").length >= wish.words &&
        (!wish.kbps || globalThis.watched.kbps >= wish.kbps) &&
        document.querySelectorAll("#reading-lines li").length >= (wish.readings ?? 0) &&
        (!wish.events || globalThis.enough(wish.events)),
      { readings: wish.readings, finals: wish.finals ?? 1, words: wish.words ?? 0, kbps: wish.kbps, events: wish.events },
      { polling: 100 },
    );
    if (wish.ask) await ask(page);
    if (wish.views) {
      await page.focus("#smooth-switch");
      await page.keyboard.press("Space");
      await page.waitForFunction(
        (views) =>
          Object.entries(views).every(
            ([view, wanted]) => document.querySelector(`#view-${view}`).getVideoPlaybackQuality().totalVideoFrames >= wanted,
          ),
        wish.views,
        { polling: 100 },
      );
      await page.waitForFunction((views) => Object.keys(views).every((view) => /fps/.test(document.querySelector(`#view-${view}-rate`).textContent)), wish.views, { polling: 100 });
    }
    return null;
  } catch (error) {
    return String(error.message ?? error).split("\n")[0];
  }
}

/** Types a question once there is a picture to ask about, and looks at the answer; posts another. */
async function ask(page) {
  await page.waitForFunction(() => /\d/.test(document.querySelector("#seen-decoded").textContent), null, { polling: 100 });
  await page.fill("#ask-field", wish.ask);
  await page.keyboard.press("Enter");
  await page.waitForSelector('#answers li:not([data-state="open"])');
  if (wish.ask_http) {
    const answer = await fetch(new URL(`${location}/ask`, wish.url), { method: "POST", headers: { "content-type": "text/plain" }, body: wish.ask_http });
    posted = await answer.text();
    await page.waitForFunction(() => document.querySelectorAll('#answers li:not([data-state="open"])').length === 2, null, { polling: 100 });
  } else {
    await page.focus("#answers li");
    await page.evaluate(() => {
      const places = [...document.querySelectorAll(".places polygon")];
      globalThis.watched.places = places.length;
      globalThis.watched.place = places.length > 0 ? globalThis.middle(places[0]) : null;
    });
  }
  await page.waitForFunction(() => /ms/.test(document.querySelector('[data-outlet="answer"] td').textContent), null, { polling: 100 });
}

/** Runs in the page before its own scripts: notes what passes by on the screen. */
function watch() {
  const watched = { partials: 0, speaking: 0, kbps: 0, widest: 0, began: performance.now(), first_caption_ms: null, fast_ms: null, states: [] };
  globalThis.watched = watched;
  document.addEventListener("DOMContentLoaded", () => {
    const look = () => {
      if (document.querySelector("#captions [data-kind=partial]")) watched.partials += 1;
      if (watched.first_caption_ms === null && document.querySelector("#captions [data-kind]")) {
        watched.first_caption_ms = performance.now() - watched.began;
      }
      if (document.querySelector("#speaking")?.dataset.speaking === "true") watched.speaking += 1;
      const state = document.querySelector("#state")?.dataset.state;
      if (state !== undefined && state !== watched.states.at(-1)) watched.states.push(state);
      const rate = document.querySelector("#stat-kbps")?.textContent ?? "";
      const number = parseFloat(rate.replace(/[^0-9.]/g, ""));
      if (Number.isFinite(number)) watched.kbps = Math.max(watched.kbps, /Mb/i.test(rate) ? number * 1000 : number);
      if (watched.fast_ms === null && watched.kbps >= 2000) watched.fast_ms = performance.now() - watched.began;
      const width = parseInt(document.querySelector("#stat-resolution")?.textContent ?? "", 10);
      if (Number.isFinite(width)) watched.widest = Math.max(watched.widest, width);
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
  });
  // Where something is drawn over the preview, as shares of it.
  globalThis.middle = (drawn) => {
    const [inner, outer] = [drawn.getBoundingClientRect(), drawn.closest(".preview").getBoundingClientRect()];
    const [x, y] = [inner.left + inner.width / 2 - outer.left, inner.top + inner.height / 2 - outer.top];
    return { x: x / outer.width, y: y / outer.height, width: inner.width / outer.width };
  };
  globalThis.seen = () => {
    const text = (selector) => document.querySelector(selector)?.textContent?.trim() ?? null;
    const segments = [...document.querySelectorAll("#waterfall [data-segment]")].map((bar) => ({
      name: bar.dataset.segment,
      us: bar.dataset.us === undefined || bar.dataset.us === "" ? null : Number(bar.dataset.us),
    }));
    return {
      finals: [...document.querySelectorAll("#captions [data-kind=final]")].map((line) =>
        [...line.querySelectorAll("[data-start-us]")].map((word) => word.textContent.trim()).join(" "),
      ),
      recogniser: text("#recogniser"),
      state: text("#state"),
      error: document.querySelector("#error")?.hidden ? null : text("#error"),
      felt: document.querySelector("#felt")?.dataset.us ?? text("#felt"),
      segments,
      resolution: text("#stat-resolution"),
      vectors: text("#seen-vectors"),
      reading: {
        lines: [...document.querySelectorAll("#reading-lines li > span:first-child")].map((line) => line.textContent),
        note: text("#reading-note"),
        spoken: [...document.querySelectorAll("#reading-spoken p")].map((line) => line.textContent),
        boxes: [...document.querySelectorAll(".boxes polygon")].map((box) => {
          return { text: box.dataset.text, ...globalThis.middle(box) };
        }),
      },
      answerer: text("#ask-note"),
      may_ask: !document.querySelector("#ask-field").disabled,
      answer_latency: text('[data-outlet="answer"] td'),
      answers: [...document.querySelectorAll("#answers li")].map((item) => ({
        state: item.dataset.state,
        question: item.querySelector(".question").textContent,
        answer: item.querySelector(".answer").textContent,
        facts: item.querySelector(".note").textContent,
        places: globalThis.watched.places ?? 0,
        place: globalThis.watched.place ?? null,
      })),
      views: Object.fromEntries(
        ["received", "smooth"].map((view) => {
          const video = document.querySelector(`#view-${view}`);
          return [view, { pictures: video.getVideoPlaybackQuality().totalVideoFrames, size: [video.videoWidth, video.videoHeight], rate: text(`#view-${view}-rate`) }];
        }),
      ),
      smooth: { on: document.querySelector("#smooth-switch").ariaChecked, note: text("#smooth-note"), made: text("#made-made"), held: text("#made-held") },
      observed: globalThis.observed ?? null,
      ...globalThis.watched,
    };
  };
}
