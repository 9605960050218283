/**
 * An independent measurement of what is felt, run in the page before its own scripts: when the click in the fake
 * microphone and the flash in the fake camera were captured, and when their consequences stood in the DOM. It uses
 * nothing that the client library or the server reports. Times are `performance.now()` milliseconds.
 */
export function observe() {
  const observed = { clicks: [], flashes: [], shownFinals: [], shownFlashes: [], dark: true };
  globalThis.observed = observed;
  const original = MediaDevices.prototype.getUserMedia;
  MediaDevices.prototype.getUserMedia = async function (constraints) {
    const stream = await original.call(this, constraints);
    for (const track of stream.getTracks()) {
      const copy = track.clone();
      (copy.kind === "audio" ? listen : look)(copy).catch((error) => console.error("observer", String(error)));
    }
    return stream;
  };

  /** Notes the first loud sample after half a second without any. */
  async function listen(track) {
    const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
    let quiet = 0;
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const read = performance.now();
      const samples = new Float32Array(value.numberOfFrames);
      value.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
      const rate = value.sampleRate;
      value.close();
      for (let i = 0; i < samples.length; i++) {
        // The click is at full scale, speech stays at a third of it.
        if (Math.abs(samples[i]) > 0.85) {
          if (quiet > rate / 2) observed.clicks.push(read - ((samples.length - i) / rate) * 1000);
          quiet = 0;
        } else quiet += 1;
      }
    }
  }

  /** Notes the capture of the first bright picture after dark ones. */
  async function look(track) {
    const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
    let dark = true;
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const read = performance.now();
      const bytes = new Uint8Array(value.allocationSize());
      await value.copyTo(bytes);
      const middle = bytes[Math.floor(value.codedHeight / 2) * value.codedWidth + Math.floor(value.codedWidth / 2)];
      value.close();
      if (middle > 128 && dark) observed.flashes.push(read);
      dark = middle <= 128;
    }
  }

  const painted = (note) => requestAnimationFrame(() => requestAnimationFrame(() => note(performance.now())));
  document.addEventListener("DOMContentLoaded", () => {
    let finals = 0;
    const notice = () => {
      const now = document.querySelectorAll("#captions [data-kind=final]").length;
      if (now > finals) painted((at) => observed.shownFinals.push(at));
      finals = now;
      const brightness = parseFloat(document.querySelector("#seen-brightness")?.textContent ?? "");
      if (Number.isFinite(brightness)) {
        if (brightness > 128 && observed.dark) painted((at) => observed.shownFlashes.push(at));
        observed.dark = brightness <= 128;
      }
    };
    new MutationObserver(notice).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
}
