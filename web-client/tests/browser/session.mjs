// The page and the library in Chromium, answered by a second page: `npm run build && npm run test:browser`.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium } from "playwright-core";

const root = fileURLToPath(new URL("../..", import.meta.url));
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
// What the server sends: nothing from elsewhere, no inline script or style.
const POLICY = "default-src 'self'; base-uri 'none'; frame-ancestors 'none'";
const COMMON = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--use-fake-device-for-media-stream"];
const profiles = [];
let context;
let site;

async function launch(flags) {
  const profile = mkdtempSync(join(tmpdir(), "hearsight-page-"));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    ignoreDefaultArgs: ["--mute-audio"],
    args: [...COMMON, ...flags],
  });
  browser.setDefaultTimeout(60_000);
  profiles.push([browser, profile]);
  return browser;
}

// A real server: worklets are loaded past the browser driver's interception.
const files = createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  const file = pathname === "/" ? "index.html" : pathname.slice(1);
  try {
    const body = readFileSync(join(root, "dist/page", file));
    response.writeHead(200, { "content-type": TYPES[extname(file)], "content-security-policy": POLICY }).end(body);
  } catch {
    response.writeHead(404).end();
  }
});

before(async () => {
  await new Promise((resolve) => files.listen(0, "127.0.0.1", resolve));
  site = `http://127.0.0.1:${files.address().port}`;
  context = await launch(["--use-fake-ui-for-media-stream"]);
});
after(async () => {
  files.close();
  for (const [browser, profile] of profiles) {
    await browser.close();
    rmSync(profile, { recursive: true, force: true });
  }
});

/** The built page, with its WHIP requests going to `whip`. */
async function open(browser, whip, path) {
  const page = await browser.newPage();
  page.errors = [];
  page.on("pageerror", (error) => page.errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && message.text().includes("Content Security") && page.errors.push(message.text()));
  await page.route(`${site}/whip/**`, (route) => (route.request().method() === "OPTIONS" ? route.fulfill({ status: 200 }) : whip(route, route.request())));
  await page.goto(`${site}${path}`);
  return page;
}

async function answerer() {
  const page = await context.newPage();
  await page.route(`${site}/answerer`, (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html><title>answerer</title>" }));
  await page.goto(`${site}/answerer`);
  // A page with capture permission offers its real addresses instead of .local names.
  await page.evaluate("navigator.mediaDevices.getUserMedia({ audio: true })");
  await page.addScriptTag({ content: readFileSync(join(root, "tests/browser/answerer.js"), "utf8") });
  return page;
}

const inState = (page, name) => page.locator(`#state[data-state="${name}"]`).waitFor();

test("a session is heard, shown, measured, taken up again and ended", async () => {
  const server = await answerer();
  const requests = [];
  const page = await open(
    context,
    async (route, request) => {
      requests.push(request);
      if (request.method() === "DELETE") return route.fulfill({ status: 200 });
      if (request.method() === "PATCH") {
        const fragment = await server.evaluate((offered) => window.restart(offered), request.postData());
        return route.fulfill({ status: 200, headers: { "content-type": "application/trickle-ice-sdpfrag" }, body: fragment });
      }
      const body = await server.evaluate((offer) => window.answer(offer), request.postData());
      return route.fulfill({ status: 201, headers: { "content-type": "application/sdp", location: `/whip/x/${requests.length}` }, body });
    },
    "/?autostart=1",
  );
  await inState(page, "live");
  const offer = requests[0].postData();
  assert.equal(requests[0].headers()["content-type"], "application/sdp");
  const video = offer.slice(offer.indexOf("m=video"));
  const first = /^m=video \d+ \S+ (\d+)/.exec(video)[1];
  assert.match(video, new RegExp(`a=rtpmap:${first} H264/90000`));
  assert.match(video, /a=rtpmap:\d+ rtx\/90000/);
  assert.match(video, /a=sendonly/);
  assert.match(offer, /useinbandfec=1/);
  assert.match(offer, /a=candidate:/);
  await page.locator("#recogniser strong", { hasText: "Test recogniser" }).waitFor();

  await server.waitForFunction(() => window.heard.some((m) => m.type === "clock.offset"));
  await server.evaluate(() => {
    window.event({ type: "speech.started", id: 1, at_us: 0 }, "speech.started");
    window.event({ type: "words.partial", id: 2, segment: 0, at_us: 900000, words: window.words("a <b>house") }, "words.partial");
  });
  await page.locator('#speaking[data-speaking="true"]').waitFor();
  await page.locator('#captions [data-kind="partial"]', { hasText: "a <b>house" }).waitFor();
  await server.evaluate(() => window.event({ type: "words.final", id: 3, segment: 0, at_us: 900000, words: window.words("a mouse") }, "words.final"));
  await page.locator('#captions [data-kind="final"]', { hasText: "a mouse" }).waitFor();
  assert.equal(await page.locator('#captions [data-kind="partial"]').count(), 0);

  await page.locator('#felt[data-outlet="words.final"]').waitFor();
  const { felt, parts } = await page.evaluate(() => ({
    felt: Number(document.querySelector("#felt").dataset.us),
    parts: [...document.querySelectorAll("#waterfall [data-segment]")].map((row) => [row.dataset.segment, Number(row.dataset.us)]),
  }));
  assert.deepEqual(parts.map(([name]) => name), ["network", "jitter", "decode", "vad", "deliver", "show"]);
  assert.equal(parts.reduce((total, [, us]) => total + us, 0), felt);
  await server.waitForFunction(() => window.heard.some((m) => m.type === "shown" && m.id === 3));
  const shown = await server.evaluate(() => window.heard.find((m) => m.type === "shown" && m.id === 3));
  assert.ok(shown.shown_us > shown.received_us);

  const corners = [[0.25, 0.25], [0.75, 0.25], [0.75, 0.5], [0.25, 0.5]];
  const lines = [{ text: "Mind the <gap>", region: corners, certainty: 0.875 }];
  const reading = { type: "reading", id: 5, at_us: 2000000, read_at_us: 1500000, readability: 0.75, unread: 2, lines };
  await server.evaluate((reading) => window.event(reading, "reading"), reading);
  await page.locator("#reading-lines li", { hasText: "Mind the <gap>" }).waitFor();
  assert.match(await page.locator("#reading-note").innerText(), /75 %.*read 0\.5 s ago.*2 places/);
  const points = await page.locator(".boxes polygon").getAttribute("points");
  const frame = await page.locator(".boxes").getAttribute("viewBox");
  const [, , width, height] = frame.split(" ").map(Number);
  assert.deepEqual(points.split(" ").map((point) => point.split(",").map(Number)), corners.map(([x, y]) => [x * width, y * height]));
  await server.evaluate((reading) => window.event({ ...reading, id: 6, readability: null, unread: 0, lines: [] }, "reading"), reading);
  await page.locator(".boxes polygon").waitFor({ state: "detached" });
  assert.equal(await page.locator("#reading-spoken p").count(), 1);

  // A question: its answer grows, is measured, tells what it rests on, and shows it over the picture while it is looked at.
  await page.locator("#ask-note", { hasText: "Test engine" }).waitFor();
  await page.locator("#ask-field").fill("What is <b>there</b>?");
  await page.keyboard.press("Enter");
  await server.waitForFunction(() => window.heard.some((m) => m.type === "ask"));
  const { id: ask, text: question } = await server.evaluate(() => window.heard.find((m) => m.type === "ask"));
  assert.equal(question, "What is <b>there</b>?");
  const answered = {
    type: "answer", ask, question, text: "A <i>house</i>.", ended: "said", certainty: 0.75, engine: "e", first_us: 300000, took_us: 800000,
    evidence: [{ picture: 0, region: corners, share: 0.5 }], pictures: [{ at_us: 0, age_us: 2500000, still_us: 100000 }],
  };
  await server.evaluate((ask) => window.event({ type: "answer.text", id: 7, ask, text: "A <i>" }, "answer"), ask);
  await page.locator('#answers li[data-state="open"] .answer', { hasText: "A <i>" }).waitFor();
  await server.waitForFunction(() => window.heard.some((m) => m.type === "shown" && m.id === 7));
  await server.evaluate((answered) => window.say(answered), answered);
  await page.locator('#answers li[data-state="said"] .answer', { hasText: "A <i>house</i>." }).waitFor();
  assert.match(await page.locator("#answers .note").innerText(), /75 % sure · looked at a picture 2\.5 s old, unchanged since · took 0\.8 s/);
  assert.match(await page.locator("#answers-spoken").textContent(), /A <i>house<\/i>\. 75 % sure/);
  assert.equal(await page.locator(".places polygon").count(), 0);
  await page.locator("#answers li").focus();
  assert.equal(await page.locator(".places polygon").count(), 1);
  await page.locator("#ask-field").focus();
  assert.equal(await page.locator(".places polygon").count(), 0);
  await page.keyboard.type("And now?");
  await page.keyboard.press("Enter");
  await page.locator("#answers li button").click();
  await server.waitForFunction((before) => window.heard.some((m) => m.type === "ask.cancel" && m.id === before + 1), ask);
  await server.evaluate((ask) => window.say({ type: "answer.none", ask, question: "And now?", why: "cancelled", message: "It was taken back." }), ask + 1);
  await page.locator('#answers li[data-state="none"]', { hasText: "It was taken back." }).waitFor();

  await page.locator("#stat-resolution", { hasText: "×" }).waitFor();
  await page.locator("#stat-kbps", { hasText: "bit/s" }).waitFor();
  // A function, not a string: strings are evaluated anew at each poll, which the page's own policy forbids.
  await page.waitForFunction(() => Number(document.querySelector("#level").ariaValueNow) > 10);
  const other = await page.locator("#microphone option").nth(2).getAttribute("value");
  await page.locator("#microphone").selectOption(other);
  await page.waitForFunction((id) => document.querySelector("#preview").srcObject.getAudioTracks()[0].getSettings().deviceId === id, other);
  await page.locator("#captions").focus();
  await page.keyboard.press("ArrowRight");
  await page.locator("#when", { hasText: "mouse" }).waitFor();

  // Another network: the session is taken along, and its captions go on.
  await page.evaluate(() => window.dispatchEvent(new window.Event("online")));
  await page.locator("#state", { hasText: "Looking for another way" }).waitFor();
  await inState(page, "live");
  const patch = requests.find((request) => request.method() === "PATCH");
  assert.equal(patch.headers()["if-match"], "*");
  assert.match(patch.postData(), /a=ice-ufrag:/);
  await server.evaluate(() => window.event({ type: "words.final", id: 4, segment: 1, at_us: 1900000, words: window.words("the same house") }, "words.final"));
  await page.locator('#captions [data-kind="final"]', { hasText: "the same house" }).waitFor();
  assert.equal(await page.locator('#captions [data-kind="gap"]').count(), 0);

  await server.evaluate(() => window.connection.close());
  await inState(page, "reconnecting");
  await inState(page, "live");
  await page.locator('#captions [data-kind="gap"]').waitFor();
  assert.equal(requests.filter((request) => request.method() === "POST").length, 2);

  await page.locator("#stop").click();
  await inState(page, "closed");
  const ended = requests.filter((request) => request.method() === "DELETE").map((request) => new URL(request.url()).pathname);
  assert.equal(new Set(ended).size, 2);
  assert.deepEqual(page.errors, []);
});

test("a full server's own words reach the person", async () => {
  const page = await open(
    context,
    (route) =>
      route.fulfill({
        status: 503,
        headers: { "content-type": "application/problem+json", "retry-after": "9" },
        body: JSON.stringify({ title: "All places are taken", detail: "Try again in nine seconds." }),
      }),
    "/",
  );
  await page.locator("#start").click();
  await inState(page, "failed");
  assert.match(await page.locator("#error").innerText(), /All places are taken\s+Try again in nine seconds\./);
  assert.equal(await page.locator("#start").isVisible(), true);
  assert.deepEqual(page.errors, []);
});

test("a token is asked for, shown to the server, kept for a reload and hidden from the address", async () => {
  const server = await answerer();
  const requests = [];
  const whip = async (route, request) => {
    requests.push(request);
    if (request.method() === "DELETE") return route.fulfill({ status: 200 });
    if (request.headers().authorization !== "Bearer s3cret") {
      const body = JSON.stringify({ title: "Unauthorized", detail: "Send the token that the operator gave you." });
      return route.fulfill({ status: 401, headers: { "content-type": "application/problem+json", "www-authenticate": "Bearer" }, body });
    }
    const body = await server.evaluate((offer) => window.answer(offer), request.postData());
    return route.fulfill({ status: 201, headers: { "content-type": "application/sdp", location: `/whip/x/${requests.length}` }, body });
  };
  const page = await open(context, whip, "/#token=wrong");
  assert.equal(new URL(page.url()).hash, "");
  await page.locator("#start").click();
  await inState(page, "failed");
  assert.equal(requests[0].headers().authorization, "Bearer wrong");
  assert.match(await page.locator("#error").innerText(), /the operator gave you/);
  await page.locator("#token").fill("s3cret");
  await page.keyboard.press("Enter");
  await inState(page, "live");
  assert.equal(await page.locator("#token-form").isVisible(), false);
  await page.reload();
  await page.locator("#start").click();
  await inState(page, "live");
  await page.locator("#stop").click();
  await inState(page, "closed");
  const ended = requests.filter((request) => request.method() === "DELETE");
  assert.ok(ended.length > 0 && ended.every((request) => request.headers().authorization === "Bearer s3cret"));
  assert.deepEqual(page.errors, []);
});

test("a refused permission says what to do", async () => {
  const browser = await launch(["--deny-permission-prompts"]);
  const page = await open(browser, (route) => route.abort(), "/?autostart=1");
  await inState(page, "failed");
  assert.match(await page.locator("#error").innerText(), /refused[\s\S]+address bar/);
  assert.deepEqual(page.errors, []);
});

test("a network that is gone says so", async () => {
  const page = await open(context, (route) => route.abort("connectionrefused"), "/?autostart=1");
  await inState(page, "failed");
  assert.match(await page.locator("#error").innerText(), /cannot be reached/);
});

/** What a picture is softened by, with its left upper quarter worth all and the rest nothing, and what the other side still gets. */
async function softened(browser, prepare) {
  const server = await answerer();
  const whip = async (route, request) => {
    if (request.method() === "DELETE") return route.fulfill({ status: 200 });
    const body = await server.evaluate((offer) => window.answer(offer), request.postData());
    return route.fulfill({ status: 201, headers: { "content-type": "application/sdp", location: "/whip/x/1" }, body });
  };
  const page = await open(browser, whip, "/");
  await page.evaluate(prepare);
  await page.locator("#start").click();
  await inState(page, "live");
  await server.waitForFunction(() => window.heard.length > 0);
  const map = Array.from({ length: 18 }, (_, row) => (row < 9 ? "fk0k" : "0z05")).join("");
  await server.evaluate((map) => {
    let number = 0;
    const wish = { type: "allocation", session: "s", mode: "cap+regions", cap_kbps: null, reason: "enough", kind: "text", readability: 1, slot_ms: null };
    window.wishing = globalThis.setInterval(() => window.say({ ...wish, number: (number += 1), map }), 500);
  }, map);
  return { page, server };
}

/** Waits until so many more pictures have come to the other side. */
async function more(server, pictures) {
  await server.evaluate(() => {
    window.decoded = async () => {
      const all = [...(await window.connection.getStats()).values()];
      return all.find((each) => each.type === "inbound-rtp" && each.kind === "video")?.framesDecoded ?? 0;
    };
  });
  const before = await server.evaluate(() => window.decoded());
  await server.waitForFunction(async (enough) => (await window.decoded()) >= enough, before + pictures, { polling: 100 });
}

test("the shader softens planes as the processor does, and changes nothing where all is kept", async () => {
  const source = fileURLToPath(new URL("../../src/worker/", import.meta.url));
  const contents = ["detail", "gl_planes", "planes"].map((name) => `export * from "${source}${name}.ts";`).join("\n");
  const { outputFiles } = await build({ stdin: { contents, resolveDir: source }, bundle: true, write: false, format: "iife", globalName: "soft" });
  const page = await context.newPage();
  await page.addScriptTag({ content: outputFiles[0].text });
  const off = await page.evaluate(() => {
    const { cellsOf, Detail, GlPlanes, planesOf, softenPlane } = globalThis.soft;
    const gl = GlPlanes.open();
    const most = [];
    for (const [format, width, height] of [["I420", 640, 480], ["NV12", 322, 178], ["I420", 322, 178]]) {
      const detail = new Detail();
      detail.aim(Array.from({ length: 720 }, (_, at) => (at % 40 < 20 ? 1 : (at % 40) / 40)));
      detail.advance(60_000);
      const half = (width + 1) >> 1;
      const rows = (height + 1) >> 1;
      const stride = width + 6;
      const uv = stride * height;
      const layout = format === "NV12" ? [{ offset: 0, stride }, { offset: uv, stride: 2 * half }] : [{ offset: 0, stride }, { offset: uv, stride: half }, { offset: uv + half * rows, stride: half }];
      const bytes = Uint8Array.from({ length: uv + 2 * half * rows }, (_, at) => 128 + 60 * Math.sin(at / 3) + 60 * Math.cos(at / 517));
      const planes = planesOf(format, width, height, layout);
      const [mine, shader] = [bytes.slice(), bytes.slice()];
      const [across, down] = cellsOf(width, height);
      for (const plane of planes) softenPlane(mine, plane, detail.grid(across, down), across, down);
      const drawn = gl.draw(shader, planes, width, height, detail);
      const differs = mine.reduce((most, value, at) => Math.max(most, Math.abs(value - shader[at])), 0);
      const kept = planes.every(({ offset, stride, step, height }) =>
        Array.from({ length: height }, (_, row) => offset + row * stride).every((at) => Array.from({ length: 40 }, (_, n) => at + n * step).every((here) => shader[here] === bytes[here])));
      const beside = Array.from({ length: height }, (_, row) => row * stride + width).every((at) => shader[at] === bytes[at]);
      most.push({ drawn, differs, kept, beside, softened: mine.some((value, at) => value !== bytes[at]) });
    }
    gl.close();
    return most;
  });
  for (const each of off) {
    const { differs, ...rest } = each;
    assert.deepEqual(rest, { drawn: true, kept: true, beside: true, softened: true });
    assert.ok(differs <= 2, `${differs} off`);
  }
  await page.close();
});

test("what is worth nothing is softened, in a worker, on a canvas, or not at all; pictures go on", async () => {
  const ways = [
    [() => undefined, /by the (CPU|GPU)|took too long/],
    [() => { delete window.MediaStreamTrackProcessor; }, /by the GPU|took too long/],
    [() => { delete window.MediaStreamTrackProcessor; delete HTMLCanvasElement.prototype.captureStream; }, /not in this browser/],
    // A worker that can't be had.
    [() => { window.Worker = class { addEventListener(name, say) { if (name === "error") setTimeout(say); } postMessage() { /* It hears nothing. */ } terminate() { /* Nor ends. */ } }; }, /broke down/],
  ];
  for (const [prepare, expected] of ways) {
    const { page, server } = await softened(context, prepare);
    await page.locator("#stat-softened", { hasText: expected }).waitFor();
    await more(server, 30);
    await page.locator("#stop").click();
    await inState(page, "closed");
    assert.deepEqual(page.errors, []);
    await page.close();
    await server.close();
  }
});
