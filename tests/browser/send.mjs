// Opens the page in the system's Chromium with a fake microphone and camera and sends for a while. Its first line says under
// which name, its last one what the page showed of its own sender, second by second:
// {"stream":"page-x"} … {"seconds":[{"fps":30,"kbps":180,"softened":"by the CPU, 3.1 ms a picture","worth":…,"size":…}],"complaints":[]}
//
// node send.mjs '{"url":…,"microphone":"x.wav","camera":"x.y4m","seconds":30,"without":["MediaStreamTrackProcessor"]}'
import { createRequire } from "node:module";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const client = fileURLToPath(new URL("../../web-client/package.json", import.meta.url));
const { chromium } = createRequire(client)("playwright-core");
const wish = JSON.parse(process.argv[2]);
const profile = mkdtempSync(join(tmpdir(), "hearsight-browser-"));
const complaints = [];
const context = await chromium.launchPersistentContext(profile, {
  executablePath: "/usr/bin/chromium",
  headless: true,
  permissions: ["microphone", "camera"],
  ignoreDefaultArgs: ["--mute-audio"],
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    `--use-file-for-fake-audio-capture=${wish.microphone}`,
    `--use-file-for-fake-video-capture=${wish.camera}`,
  ],
});

try {
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (line) => line.type() === "error" && complaints.push(line.text()));
  const published = page.waitForResponse((response) => response.request().method() === "POST" && response.url().includes("/whip/"));
  await page.addInitScript((names) => { for (const name of names) delete globalThis[name]; }, wish.without ?? []);
  await page.goto(wish.url);
  const stream = new URL((await published).url()).pathname.split("/").at(-1);
  await page.waitForSelector('#state[data-state="live"]');
  console.log(JSON.stringify({ stream }));
  const seconds = [];
  for (let second = 0; second < wish.seconds; second += 1) {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    seconds.push(await page.evaluate(look));
  }
  console.log(JSON.stringify({ seconds, complaints }));
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
}

/** Runs in the page: what it shows of its sender now. */
function look() {
  const text = (id) => document.querySelector(`#stat-${id}`)?.textContent ?? "";
  return {
    fps: parseFloat(text("fps")), kbps: text("kbps"), allowed: text("available"), limit: text("limit"), size: text("resolution"),
    worth: text("worth"), why: text("why"), readability: text("readability"), softened: text("softened"),
    framed: document.querySelector("#stat-map")?.hidden === false,
  };
}
