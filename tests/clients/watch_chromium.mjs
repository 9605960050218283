// Watches a stream in Chromium with whip-whep, the WHEP client of another author: it trickles its candidates. The page is of
// another origin than the server's. Prints one JSON object: the pictures decoded, their size, and the status of the session
// after the goodbye.
//
// node watch_chromium.mjs http://127.0.0.1:8080/whep/name?view=received pictures seconds
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(fileURLToPath(new URL("../../web-client/package.json", import.meta.url)));
const { chromium } = require("playwright-core");
const library = readFileSync(new URL("node_modules/whip-whep/whep.js", import.meta.url), "utf8");

const [endpoint, pictures, limit] = process.argv.slice(2);
const profile = mkdtempSync(join(tmpdir(), "hearsight-client-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: "/usr/bin/chromium",
  headless: true,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    // The page is made here, and counts as one of the open network, which may not speak to loopback addresses unasked.
    "--disable-features=LocalNetworkAccessChecks",
  ],
});

try {
  const page = await context.newPage();
  page.setDefaultTimeout(Number(limit) * 1_000);
  page.on("pageerror", (error) => console.error(String(error)));
  page.on("console", (line) => console.error(line.text()));
  const served = { "/": ["text/html", "<!doctype html><video autoplay muted playsinline></video>"], "/whep.js": ["text/javascript", library] };
  await page.route("http://viewer.localhost/**", (route) => {
    const [contentType, body] = served[new URL(route.request().url()).pathname] ?? ["text/plain", ""];
    return route.fulfill({ contentType, body });
  });
  await page.goto("http://viewer.localhost/");
  // The caller bounds both. Nobody may publish yet; and its PATCH lacks If-Match, which the server says, and needs no candidate.
  while (!(await page.evaluate(watch, endpoint))) await page.evaluate(after, 1_000);
  while ((await page.evaluate(() => globalThis.decoded())).pictures < Number(pictures)) await page.evaluate(after, 100);
  console.log(JSON.stringify(await page.evaluate(stop)));
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}

/** Runs in the page. Whether it watches. */
async function watch(endpoint) {
  const { WHEPClient } = await import("/whep.js");
  const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  // As the example of the client's author has it.
  peer.addTransceiver("audio").direction = "recvonly";
  peer.addTransceiver("video").direction = "recvonly";
  peer.ontrack = ({ track }) => {
    if (track.kind === "video") document.querySelector("video").srcObject = new MediaStream([track]);
  };
  const client = new WHEPClient();
  try {
    await client.view(peer, endpoint);
  } catch (error) {
    peer.close();
    if (!String(error).includes("409")) throw error;
    return false;
  }
  globalThis.client = client;
  globalThis.decoded = async () => {
    const all = [...(await peer.getStats()).values()];
    const video = all.find((each) => each.type === "inbound-rtp" && each.kind === "video");
    return { pictures: video?.framesDecoded ?? 0, size: [video?.frameWidth, video?.frameHeight] };
  };
  return true;
}

/** Runs in the page: milliseconds until a client asks again. */
function after(milliseconds) {
  return new Promise((done) => setTimeout(done, milliseconds));
}

/** Runs in the page. */
async function stop() {
  const seen = await globalThis.decoded();
  const session = globalThis.client.resourceURL;
  await globalThis.client.stop();
  return { ...seen, gone: (await fetch(session)).status };
}
