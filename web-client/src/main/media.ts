/** Microphone and camera: asking for them, and what a sender is told about them. */

import type { Limits } from "./allocation.js";
import { errorFromCapture, HearsightError } from "./errors.js";

/** Which devices to use: true for the default one, or a device id. */
export interface MediaChoice {
  readonly audio?: boolean | string;
  readonly video?: boolean | string;
}

/** What the video sender aims at. */
export interface VideoAim {
  readonly width: number;
  readonly height: number;
  readonly frame_rate: number;
  readonly max_bitrate: number;
}

/** 720p at 30 pictures per second and at most 2.5 Mbit/s. */
export const DEFAULT_VIDEO: VideoAim = { width: 1280, height: 720, frame_rate: 30, max_bitrate: 2_500_000 };

/** Opens the chosen devices. Throws a `HearsightError` that says what to do. */
export async function capture(choice: MediaChoice, aim: VideoAim): Promise<MediaStream> {
  if (!isSecureContext) throw new HearsightError("insecure_page");
  // The types promise it, but a page without a secure origin, or an old browser, has none.
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  if (devices === undefined || typeof RTCPeerConnection === "undefined") throw new HearsightError("unsupported_browser");
  const wanted: MediaStreamConstraints = {};
  if (choice.audio !== undefined && choice.audio !== false) wanted.audio = audioConstraints(choice.audio);
  if (choice.video !== undefined && choice.video !== false) wanted.video = videoConstraints(choice.video, aim);
  try {
    return hinted(await devices.getUserMedia(wanted));
  } catch (error) {
    throw errorFromCapture(error);
  }
}

/** The microphones and cameras that the page may know of; without permission they have no names. */
export async function devices(): Promise<{ microphones: MediaDeviceInfo[]; cameras: MediaDeviceInfo[] }> {
  const all = isSecureContext ? await navigator.mediaDevices.enumerateDevices() : [];
  return {
    microphones: all.filter((device) => device.kind === "audioinput"),
    cameras: all.filter((device) => device.kind === "videoinput"),
  };
}

/** Prefers H.264 and keeps everything else, retransmission (video/rtx) above all: without it nothing lost comes back. */
export function preferH264(transceiver: RTCRtpTransceiver): void {
  const codecs = RTCRtpSender.getCapabilities("video")?.codecs ?? [];
  try {
    transceiver.setCodecPreferences(orderedCodecs(codecs));
  } catch {
    // A browser that does not take the list keeps its own order; the server still picks what it can decode.
  }
}

/** The codecs with H.264 first: packetization mode 1 before 0, then constrained baseline before the rest. */
export function orderedCodecs<C extends { readonly mimeType: string; readonly sdpFmtpLine?: string }>(codecs: readonly C[]): C[] {
  const rank = (codec: C): number => {
    if (codec.mimeType.toLowerCase() !== "video/h264") return 4;
    const line = codec.sdpFmtpLine ?? "";
    return (line.includes("packetization-mode=1") ? 0 : 2) + (/profile-level-id=42e0/i.test(line) ? 0 : 1);
  };
  return codecs.map((codec) => [rank(codec), codec] as const).sort(([a], [b]) => a - b).map(([, codec]) => codec);
}

/** Keeps the resolution when the rate falls: small print stays readable, fewer pictures a second do no harm. */
export async function holdResolution(sender: RTCRtpSender, aim: VideoAim): Promise<void> {
  const parameters = sender.getParameters();
  parameters.degradationPreference = "maintain-resolution";
  for (const encoding of parameters.encodings) {
    encoding.maxBitrate = aim.max_bitrate;
    encoding.maxFramerate = aim.frame_rate;
  }
  try {
    await sender.setParameters(parameters);
  } catch {
    // A browser without these parameters sends with its own; that is worse, not wrong.
  }
}

/** Sends at most so many kilobits and pictures a second from now on, in so many layers, besides what the sender aims at; null: only that. */
export async function limit(sender: RTCRtpSender, aim: VideoAim, { kbps, fps, layers }: Limits): Promise<void> {
  const parameters = sender.getParameters();
  for (const encoding of parameters.encodings) {
    encoding.maxBitrate = Math.min(aim.max_bitrate, (kbps ?? Infinity) * 1_000);
    encoding.maxFramerate = Math.min(aim.frame_rate, fps ?? Infinity);
  }
  try {
    await sender.setParameters(parameters);
  } catch {
    // A browser without caps sends what its own control allows.
  }
  await layer(sender, `L1T${layers}`);
}

/** By itself, so that a browser without layers keeps to the rest. */
async function layer(sender: RTCRtpSender, mode: "L1T1" | "L1T2"): Promise<void> {
  const parameters = sender.getParameters();
  const encodings: (RTCRtpEncodingParameters & { scalabilityMode?: string })[] = parameters.encodings;
  if (encodings.every(({ scalabilityMode }) => (scalabilityMode ?? "L1T1") === mode)) return;
  for (const encoding of encodings) encoding.scalabilityMode = mode;
  try {
    await sender.setParameters(parameters);
  } catch {
    // Then every picture builds on the one before.
  }
}

function audioConstraints(choice: true | string): MediaTrackConstraints {
  return { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true, ...device(choice) };
}

function videoConstraints(choice: true | string, aim: VideoAim): MediaTrackConstraints {
  return {
    width: { ideal: aim.width },
    height: { ideal: aim.height },
    frameRate: { ideal: aim.frame_rate, max: 60 },
    ...device(choice),
  };
}

function device(choice: true | string): MediaTrackConstraints {
  return choice === true ? {} : { deviceId: { exact: choice } };
}

function hinted(stream: MediaStream): MediaStream {
  for (const track of stream.getAudioTracks()) track.contentHint = "speech";
  // "detail" would make Chromium treat the camera as a shared screen, with other rate control.
  for (const track of stream.getVideoTracks()) track.contentHint = "motion";
  return stream;
}
