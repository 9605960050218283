// Publishes Chromium's fake microphone and camera with whip-whep, the WHIP client of another author: it trickles its
// candidates, and restarts ICE in the middle. The page is of another origin than the server's. Prints one JSON object: the
// texts of the final words before and after the restart, the sizes of the pictures, the server's ICE user names, and the
// status of the session after the goodbye.
//
// node publish_chromium.mjs http://127.0.0.1:8080/whip/name microphone.wav seconds
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(fileURLToPath(new URL("../../web-client/package.json", import.meta.url)));
const { chromium } = require("playwright-core");
const library = readFileSync(new URL("node_modules/whip-whep/whip.js", import.meta.url), "utf8");

const [endpoint, microphone, limit] = process.argv.slice(2);
const profile = mkdtempSync(join(tmpdir(), "hearsight-client-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: "/usr/bin/chromium",
  headless: true,
  permissions: ["microphone", "camera"],
  // Muted audio output also mutes the fake microphone.
  ignoreDefaultArgs: ["--mute-audio"],
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    // The page is made here, and counts as one of the open network, which may not speak to loopback addresses unasked.
    "--disable-features=LocalNetworkAccessChecks",
    `--use-file-for-fake-audio-capture=${microphone}`,
  ],
});

try {
  const page = await context.newPage();
  page.setDefaultTimeout(Number(limit) * 1_000);
  page.on("pageerror", (error) => console.error(String(error)));
  page.on("console", (line) => console.error(line.text()));
  const served = { "/": ["text/html", "<!doctype html>"], "/whip.js": ["text/javascript", library] };
  await page.route("http://publisher.localhost/**", (route) => {
    const [contentType, body] = served[new URL(route.request().url()).pathname] ?? ["text/plain", ""];
    return route.fulfill({ contentType, body });
  });
  await page.goto("http://publisher.localhost/");
  await page.evaluate(publish, endpoint);
  const enough = () => globalThis.seen.words.length >= 6 && globalThis.seen.pictures.length > 0;
  await page.waitForFunction(enough);
  const before = await page.evaluate(restart);
  await page.waitForFunction(enough);
  const after = await page.evaluate(stop);
  console.log(JSON.stringify({ before, after }));
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}

/** Runs in the page. */
async function publish(endpoint) {
  const { WHIPClient } = await import("/whip.js");
  const raw = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const media = await navigator.mediaDevices.getUserMedia({ audio: raw, video: { width: 640, height: 360 } });
  const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  const seen = { words: [], pictures: [] };
  peer.createDataChannel("hearsight").onmessage = ({ data }) => {
    const event = JSON.parse(data);
    if (event.type === "words.final") globalThis.seen.words.push(...event.words.map((word) => word.text));
    if (event.type === "picture.stats") globalThis.seen.pictures.push([event.width, event.height]);
  };
  for (const track of media.getTracks()) {
    const transceiver = peer.addTransceiver(track, { direction: "sendonly", streams: [media] });
    if (track.kind === "video") {
      const { codecs } = RTCRtpSender.getCapabilities("video");
      transceiver.setCodecPreferences(codecs.filter((codec) => codec.mimeType === "video/H264"));
    }
  }
  const client = new WHIPClient();
  Object.assign(globalThis, { seen, peer, client });
  await client.publish(peer, endpoint);
}

/** Runs in the page. Answers with what was seen so far, and begins to see anew. */
async function restart() {
  const { seen, peer, client } = globalThis;
  const name = () => peer.remoteDescription.sdp.match(/a=ice-ufrag:(.*)\r\n/)[1];
  const told = { ...seen, name: name() };
  await client.restart();
  globalThis.seen = { words: [], pictures: [] };
  return told;
}

/** Runs in the page. Answers with what was seen since the restart, and with the status of the session after its end. */
async function stop() {
  const { seen, peer, client } = globalThis;
  const name = peer.remoteDescription.sdp.match(/a=ice-ufrag:(.*)\r\n/)[1];
  const state = peer.connectionState;
  const session = client.resourceURL.href;
  await client.stop();
  return { ...seen, name, state, gone: (await fetch(session)).status };
}
