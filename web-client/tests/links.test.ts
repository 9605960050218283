import assert from "node:assert/strict";
import { test } from "node:test";
import { iceServersFromLink, previewFromLink } from "../src/main/links.js";
import { seeded } from "./seeded.js";

const LINKS =
  '<stun:stun.example:3478>; rel="ice-server", ' +
  '<turn:turn.example:3478?transport=udp>; rel="ice-server"; username="1800000600:alice"; credential="a\\"b, c="; credential-type="password"';

test("STUN and TURN servers are read with their credentials", () => {
  assert.deepEqual(iceServersFromLink(LINKS), [
    { urls: "stun:stun.example:3478" },
    { urls: "turn:turn.example:3478?transport=udp", username: "1800000600:alice", credential: 'a"b, c=' },
  ]);
});

test("what is no ICE server, or cannot be used as one, is passed over", () => {
  assert.deepEqual(iceServersFromLink(null), []);
  assert.deepEqual(iceServersFromLink('<https://a.example/>; rel="next", <turn:a.example>; rel=ice-server'), []);
  assert.deepEqual(iceServersFromLink('<https://a.example/>; rel="ice-server"'), []);
  assert.equal(iceServersFromLink(Array(100).fill('<stun:a>; rel="ice-server"').join(", ")).length, 8);
});

test("a session's view is found among other links", () => {
  assert.equal(previewFromLink(`${LINKS}, </whep/me?of=0123>; rel="preview"`), "/whep/me?of=0123");
  assert.equal(previewFromLink(LINKS), null);
  assert.equal(previewFromLink(null), null);
});

test("mutated headers never throw", () => {
  const random = seeded(5);
  for (let round = 0; round < 2_000; round += 1) {
    const letters = Array.from(LINKS);
    for (let i = 0; i < 5; i += 1) letters[Math.floor(random() * letters.length)] = '<>";,\\= a'[Math.floor(random() * 9)] ?? "";
    for (const server of iceServersFromLink(letters.join(""))) assert.match(String(server.urls), /^(stun|turn)s?:/);
  }
});
