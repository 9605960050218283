import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { answerWithFragment, fragmentFromOffer } from "../src/main/fragment.js";
import { seeded } from "./seeded.js";

const section = (kind: string, mid: number, side: string): string[] => [
  `m=${kind} 9 UDP/TLS/RTP/SAVPF 111`,
  "c=IN IP4 0.0.0.0",
  `a=candidate:1 1 udp 2130706431 192.0.2.${side === "ours" ? 1 : 2} 4000 typ host`,
  "a=end-of-candidates",
  `a=ice-ufrag:${side}`,
  `a=ice-pwd:${side}-password-of-22-chars`,
  "a=fingerprint:sha-256 AB:CD",
  "a=setup:actpass",
  `a=mid:${mid}`,
];
const sdp = (side: string): string =>
  ["v=0", "o=- 1 2 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=group:BUNDLE 0 1", ...section("audio", 0, side), ...section("video", 1, side), ""].join("\r\n");
const FRAGMENT = "a=ice-ufrag:new\r\na=ice-pwd:new-password\r\nm=audio 9 X 0\r\na=mid:0\r\na=candidate:7 1 udp 1 198.51.100.7 9 typ host\r\n";

describe("a fragment of our offer", () => {
  it("holds credentials, candidates and the first section's name once, and nothing of keys and codecs", () => {
    const lines = fragmentFromOffer(sdp("ours")).split("\r\n");
    assert.deepEqual(lines, [
      "a=group:BUNDLE 0 1",
      "a=ice-ufrag:ours",
      "a=ice-pwd:ours-password-of-22-chars",
      "m=audio 9 UDP/TLS/RTP/SAVPF 111",
      "a=candidate:1 1 udp 2130706431 192.0.2.1 4000 typ host",
      "a=end-of-candidates",
      "a=mid:0",
      "",
    ]);
  });
});

describe("an answer after the restart", () => {
  it("has the new credentials and candidates in every section and keeps the rest", () => {
    const before = sdp("theirs");
    const after = answerWithFragment(before, FRAGMENT) ?? "";
    assert.equal(after.match(/a=ice-ufrag:new\r\n/g)?.length, 2);
    assert.equal(after.match(/198\.51\.100\.7/g)?.length, 2);
    assert.ok(!after.includes("theirs") && !after.includes("192.0.2.2"));
    const rest = (text: string): string[] => text.split("\r\n").filter((line) => !/^a=(ice-|candidate|end-of)/.test(line));
    assert.deepEqual(rest(after), rest(before));
  });

  it("keeps the candidates where the fragment brings none, and is none without credentials", () => {
    const after = answerWithFragment(sdp("theirs"), "a=ice-ufrag:n\na=ice-pwd:p\n") ?? "";
    assert.equal(after.match(/192\.0\.2\.2/g)?.length, 2);
    assert.equal(answerWithFragment(sdp("theirs"), "a=ice-ufrag:n\r\n"), null);
  });

  it("takes damaged text without an exception", () => {
    const random = seeded(4);
    for (let i = 0; i < 2_000; i += 1) {
      const cut = (text: string): string => text.slice(0, Math.floor(random() * text.length)) + text.slice(Math.floor(random() * text.length));
      const answer = answerWithFragment(cut(sdp("theirs")), cut(FRAGMENT));
      assert.ok(answer === null || answer.includes("a=ice-ufrag:"));
      fragmentFromOffer(cut(sdp("ours")));
    }
  });
});
