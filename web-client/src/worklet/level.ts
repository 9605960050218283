/** Runs on the audio thread: how loud the microphone is, twenty times a second. Posts `{ rms }`, 0..1. */

/** A twentieth of a second: quick enough for the eye. */
const REPORTS_PER_SECOND = 20;

class Level extends AudioWorkletProcessor {
  private squares = 0;
  private samples = 0;

  process(inputs: Float32Array[][]): boolean {
    const channel = inputs[0]?.[0];
    if (channel !== undefined) {
      for (const sample of channel) this.squares += sample * sample;
      this.samples += channel.length;
    }
    if (this.samples >= sampleRate / REPORTS_PER_SECOND) {
      this.port.postMessage({ rms: Math.sqrt(this.squares / this.samples) });
      this.squares = 0;
      this.samples = 0;
    }
    return true;
  }
}

registerProcessor("level", Level);
