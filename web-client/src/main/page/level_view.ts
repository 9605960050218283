/** Draws how loud the microphone is, as the audio thread measures it here: nothing of the server is in it. */

import { part } from "./dom.js";

/** From silence to full scale, in decibels: speech at arm's length fills about two thirds. */
const FLOOR_DB = -60;

/** The level meter of one microphone. */
export class LevelView {
  private context: AudioContext | null = null;
  private readonly meter = part("level");

  /** Listens to this stream; a page without audio threads goes without a meter. */
  async open(stream: MediaStream): Promise<void> {
    this.close();
    if (stream.getAudioTracks().length === 0) return;
    const context = new AudioContext();
    this.context = context;
    try {
      await context.audioWorklet.addModule("worklet.js");
      const level = new AudioWorkletNode(context, "level", { numberOfOutputs: 0 });
      level.port.onmessage = (event: MessageEvent<{ rms: number }>) => {
        this.draw(event.data.rms);
      };
      context.createMediaStreamSource(stream).connect(level);
      if (context.state === "suspended") await context.resume();
    } catch {
      if (this.context === context) this.close();
    }
  }

  /** Stops listening. */
  close(): void {
    // Closing can only fail when it is closed already.
    this.context?.close().catch(() => undefined);
    this.context = null;
    this.draw(0);
  }

  private draw(rms: number): void {
    const share = rms <= 0 ? 0 : Math.min(1, Math.max(0, 1 - (20 * Math.log10(rms)) / FLOOR_DB));
    this.meter.style.setProperty("--level", share.toFixed(3));
    this.meter.ariaValueNow = String(Math.round(share * 100));
  }
}
