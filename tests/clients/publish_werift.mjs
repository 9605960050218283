// Publishes a recording and a test picture with werift, whose ICE, DTLS, SRTP and SCTP are written in TypeScript, and prints
// what came back as one JSON object: the texts of the final words, the sizes of the pictures, and the status of the goodbye.
// The media are coded and cut into RTP packets by the ffmpeg command, a third party.
//
// node publish_werift.mjs http://127.0.0.1:8080/whip/name talk.wav seconds
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";

import { MediaStreamTrack, RTCPeerConnection, useH264, useOPUS } from "werift";

const [endpoint, recording, limit] = process.argv.slice(2);
const peer = new RTCPeerConnection({ codecs: { audio: [useOPUS()], video: [useH264()] }, iceServers: [] });
const channel = peer.createDataChannel("hearsight");
const sound = new MediaStreamTrack({ kind: "audio" });
const sight = new MediaStreamTrack({ kind: "video" });
for (const track of [sound, sight]) peer.addTransceiver(track, { direction: "sendonly" });

const [heard, pictures] = [[], new Set()];
const enough = new Promise((done) => {
  channel.onMessage.subscribe((text) => {
    const event = JSON.parse(text.toString());
    if (event.type === "words.final") heard.push(...event.words.map((word) => word.text));
    if (event.type === "picture.stats") pictures.add(`${event.width}x${event.height}`);
    if (heard.length >= 8 && pictures.size > 0) done();
  });
});

await peer.setLocalDescription(await peer.createOffer());
if (peer.iceGatheringState !== "complete") {
  await peer.iceGatheringStateChange.watch((state) => state === "complete", 10_000);
}
const posted = await fetch(endpoint, {
  method: "POST",
  headers: { "Content-Type": "application/sdp" },
  body: peer.localDescription.sdp,
});
if (posted.status !== 201) throw new Error(`the offer was answered ${posted.status}: ${await posted.text()}`);
const session = new URL(posted.headers.get("location"), endpoint).href;
await peer.setRemoteDescription({ type: "answer", sdp: await posted.text() });
if (peer.connectionState !== "connected") {
  await peer.connectionStateChange.watch((state) => state === "connected", 15_000);
}

const open = async (track) => {
  const socket = createSocket("udp4");
  socket.on("message", (packet) => track.writeRtp(packet));
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return socket;
};
const sockets = [await open(sound), await open(sight)];
const ports = sockets.map((socket) => socket.address().port);
const to = (port) => ["-f", "rtp", `rtp://127.0.0.1:${port}?pkt_size=1200`];
const coder = spawn(
  "ffmpeg",
  [
    ...["-nostdin", "-loglevel", "error", "-re", "-i", recording],
    ...["-re", "-f", "lavfi", "-i", "testsrc=size=640x360:rate=15"],
    ...["-map", "0:a", "-c:a", "libopus", "-ar", "48000", "-ac", "2", ...to(ports[0])],
    ...["-map", "1:v", "-c:v", "libx264", "-profile:v", "baseline", "-pix_fmt", "yuv420p", "-preset", "ultrafast"],
    ...["-tune", "zerolatency", "-g", "15", "-bsf:v", "dump_extra=freq=keyframe", ...to(ports[1])],
  ],
  { stdio: ["ignore", "ignore", "inherit"] },
);
coder.on("error", (problem) => {
  throw problem;
});

const late = new AbortController();
await Promise.race([enough, once(coder, "exit"), patience(Number(limit) * 1_000, late.signal)]);
late.abort();
coder.kill("SIGKILL");
sockets.forEach((socket) => socket.close());
const goodbye = (await fetch(session, { method: "DELETE" })).status;
console.log(JSON.stringify({ words: heard, pictures: [...pictures], goodbye, session }));
await peer.close();
process.exit(0);

/** Waits so long, or until it is not needed any more. */
async function patience(millis, signal) {
  const end = new Promise((done) => {
    const timer = setTimeout(done, millis);
    signal.addEventListener("abort", () => clearTimeout(timer));
  });
  await end;
}
