import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { errorFromCapture, errorFromResponse, retryAfterMs } from "../src/main/errors.js";
import { orderedCodecs } from "../src/main/media.js";
import { statsFromReport } from "../src/main/stats.js";

describe("refusals of the server", () => {
  it("speak with the server's own words", () => {
    const error = errorFromResponse(422, JSON.stringify({ title: "No usable codec", detail: "Offer H.264." }), null, 0);
    assert.deepEqual([error.reason, error.message, error.remedy, error.status, error.passing], ["refused", "No usable codec", "Offer H.264.", 422, false]);
  });

  it("have words of their own where the server has none", () => {
    for (const body of ["", "<html>", "[]", "null", '{"title":5,"detail":""}']) {
      const error = errorFromResponse(500, body, null, 0);
      assert.equal(error.reason, "server_error");
      assert.ok(error.message.endsWith(".") && error.remedy.endsWith("."));
    }
  });

  it("of a full server say how long to wait, in seconds or as a date", () => {
    assert.equal(errorFromResponse(503, "", "7", 0).retry_after_ms, 7_000);
    assert.equal(errorFromResponse(503, "", null, 0).retry_after_ms, null);
    assert.equal(errorFromResponse(503, "", "7", 0).passing, true);
    assert.equal(retryAfterMs("Thu, 01 Jan 1970 00:00:09 GMT", 4_000), 5_000);
    assert.equal(retryAfterMs("Thu, 01 Jan 1970 00:00:09 GMT", 40_000), 0);
    assert.equal(retryAfterMs("99999999999999", 0), 3_600_000);
    assert.equal(retryAfterMs("soon", 0), null);
  });
});

describe("refusals of the browser", () => {
  it("are told apart", () => {
    const reasons = ["NotAllowedError", "NotFoundError", "NotReadableError", "OverconstrainedError", "SecurityError"].map(
      (name) => errorFromCapture(new DOMException("", name)).reason,
    );
    assert.deepEqual(reasons, ["permission_refused", "no_device", "device_busy", "no_device", "permission_refused"]);
  });
});

describe("the codec order", () => {
  it("puts H.264 first and keeps everything else in its order", () => {
    const codec = (mimeType: string, sdpFmtpLine?: string): { mimeType: string; sdpFmtpLine?: string } =>
      sdpFmtpLine === undefined ? { mimeType } : { mimeType, sdpFmtpLine };
    const high = codec("video/H264", "packetization-mode=1;profile-level-id=64001f");
    const old = codec("video/H264", "packetization-mode=0;profile-level-id=42e01f");
    const best = codec("video/H264", "packetization-mode=1;profile-level-id=42e01f");
    const [vp8, rtx, av1] = [codec("video/VP8"), codec("video/rtx"), codec("video/AV1")];
    assert.deepEqual(orderedCodecs([vp8, rtx, high, old, best, av1]), [best, high, old, vp8, rtx, av1]);
  });
});

describe("the sender's figures", () => {
  const report = (at: number, bytes: number): [string, Record<string, unknown>][] => [
    ["a", { type: "outbound-rtp", kind: "video", timestamp: at, bytesSent: bytes, framesPerSecond: 30, frameWidth: 1280, frameHeight: 720, qualityLimitationReason: "none" }],
    ["b", { type: "remote-inbound-rtp", kind: "video", fractionLost: 0.25, roundTripTime: 0.04 }],
    ["c", { type: "candidate-pair", nominated: true, availableOutgoingBitrate: 3e6, currentRoundTripTime: 0.002 }],
  ];

  it("are differences of counters, and null where there is nothing to say", () => {
    const first = statsFromReport(report(1_000, 0), null);
    assert.equal(first.stats.video_kbps, null);
    const { stats } = statsFromReport(report(2_000, 250_000), first.counters);
    assert.deepEqual(stats, {
      video_kbps: 2_000, audio_kbps: null, available_kbps: 3_000, fps: 30, width: 1280, height: 720, limited_by: "none", round_trip_ms: 2, loss: 0.25,
    });
    assert.ok(Object.values(statsFromReport([], first.counters).stats).every((value) => value === null));
  });

  it("do not go below nothing when the counters begin anew", () => {
    const first = statsFromReport(report(1_000, 500_000), null);
    assert.equal(statsFromReport(report(2_000, 0), first.counters).stats.video_kbps, 0);
    assert.equal(statsFromReport(report(1_000, 600_000), first.counters).stats.video_kbps, null);
  });
});
