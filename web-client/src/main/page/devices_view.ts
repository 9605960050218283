/** The two pickers. Before permission there are no names, so only the default and "none" can be chosen. */

import { devices, type MediaChoice } from "../hearsight.js";
import { make, part } from "./dom.js";

const NONE = "none";

/** Which microphone and camera to use. */
export class DevicesView {
  private readonly microphone = part("microphone", HTMLSelectElement);
  private readonly camera = part("camera", HTMLSelectElement);

  /** `changed` is told what was picked while a session runs. */
  constructor(changed: (kind: "audio" | "video", deviceId: string) => void) {
    this.microphone.addEventListener("change", () => { changed("audio", this.microphone.value); });
    this.camera.addEventListener("change", () => { changed("video", this.camera.value); });
    this.list([], []);
  }

  /** What is picked. */
  choice(): MediaChoice {
    return { audio: picked(this.microphone), video: picked(this.camera) };
  }

  /** Reads the devices again; `stream` is what is in use. */
  async refresh(stream: MediaStream | null): Promise<void> {
    const { microphones, cameras } = await devices();
    this.list(microphones, cameras);
    if (stream === null) return;
    this.mark(this.microphone, stream.getAudioTracks()[0]);
    this.mark(this.camera, stream.getVideoTracks()[0]);
  }

  /** While live a kind can be exchanged, not added or taken away. */
  lock(live: "live" | "idle"): void {
    for (const select of [this.microphone, this.camera]) {
      for (const option of select.options) option.disabled = live === "live" && option.value === NONE && select.value !== NONE;
      select.disabled = live === "live" && select.value === NONE;
    }
  }

  private list(microphones: readonly MediaDeviceInfo[], cameras: readonly MediaDeviceInfo[]): void {
    fill(this.microphone, "microphone", microphones);
    fill(this.camera, "camera", cameras);
  }

  private mark(select: HTMLSelectElement, track: MediaStreamTrack | undefined): void {
    const id = track === undefined ? NONE : track.getSettings().deviceId;
    if (id !== undefined && [...select.options].some((option) => option.value === id)) select.value = id;
  }
}

function fill(select: HTMLSelectElement, word: string, found: readonly MediaDeviceInfo[]): void {
  const before = select.value;
  const named = found.filter((device) => device.deviceId !== "" && device.deviceId !== "default" && device.label !== "");
  const options = [["", `Default ${word}`], ...named.map((device) => [device.deviceId, device.label]), [NONE, `No ${word}`]] as const;
  select.replaceChildren(
    ...options.map(([value = "", label = ""]) => {
      const option = make("option", "", label);
      option.value = value;
      return option;
    }),
  );
  select.value = options.some(([value]) => value === before) ? before : "";
}

function picked(select: HTMLSelectElement): boolean | string {
  if (select.value === NONE) return false;
  return select.value === "" ? true : select.value;
}
