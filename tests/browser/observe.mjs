/**
 * An independent measurement of what is felt, run in the page before its own scripts: when the click in the fake
 * microphone and the flash in the fake camera were captured, and when their consequences stood in the DOM. It uses
 * nothing that the client library or the server reports; what they report for the same events is noted beside it, in
 * `accounts`. Times are `performance.now()` milliseconds.
 */
export function observe() {
  const observed = { clicks: [], flashes: [], shownFinals: [], shownFlashes: [], accounts: [] };
  globalThis.observed = observed;
  /** Whether so many of both were shown, and accounted for: which happens with the same frame, before or after us. */
  globalThis.enough = (events) =>
    [["words.final", observed.shownFinals], ["picture.stats", observed.shownFlashes]].every(
      ([outlet, shown]) =>
        shown.length >= events && observed.accounts.some((account) => account.outlet === outlet && account.noted > shown.at(-1) - 50),
    );
  const original = MediaDevices.prototype.getUserMedia;
  MediaDevices.prototype.getUserMedia = async function (constraints) {
    const stream = await original.call(this, constraints);
    for (const track of stream.getTracks()) {
      const copy = track.clone();
      (copy.kind === "audio" ? listen : look)(copy).catch((error) => console.error("observer", String(error)));
    }
    return stream;
  };
  addEventListener("hearsight:latency", ({ detail }) => observed.accounts.push({ noted: performance.now(), ...detail }));

  /**
   * The frames of a track, each with the moment of its capture. Its stamps are those of the device but count from an
   * unknown start; the frame that was read soonest after its stamp ties them to our clock, so that a busy page, which
   * reads late, does not look like a late capture.
   */
  async function frames(track, each) {
    const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
    const tie = { offset: Infinity };
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const stamp = value.timestamp / 1000;
      tie.offset = Math.min(tie.offset, performance.now() - stamp);
      try {
        await each(value, stamp, tie);
      } finally {
        value.close();
      }
    }
  }

  /** Notes the first loud sample after a second of silence: there is less between the click and the speech. */
  async function listen(track) {
    let quiet = 0;
    await frames(track, (value, stamp, tie) => {
      const samples = new Float32Array(value.numberOfFrames);
      value.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
      const rate = value.sampleRate;
      for (let i = 0; i < samples.length; i++) {
        if (Math.abs(samples[i]) > 0.1) {
          // Its last sample was captured when the frame was: a frame is handed over once it is full.
          if (quiet > rate) observed.clicks.push({ stamp: stamp - ((samples.length - i) / rate) * 1000, tie });
          quiet = 0;
        } else quiet += 1;
      }
    });
  }

  /** Notes the capture of the first bright picture after dark ones. */
  async function look(track) {
    let dark = true;
    await frames(track, async (value, stamp, tie) => {
      const rect = { x: (value.codedWidth >> 2) << 1, y: (value.codedHeight >> 2) << 1, width: 16, height: 16 };
      const bytes = new Uint8Array(value.allocationSize({ rect }));
      await value.copyTo(bytes, { rect });
      // Every format that a camera gives begins with the luma, or with a colour that is as bright.
      const bright = bytes[0] > 128;
      if (bright && dark) observed.flashes.push({ stamp, tie });
      dark = !bright;
    });
  }

  const painted = (note) => requestAnimationFrame(() => requestAnimationFrame(() => note(performance.now())));
  document.addEventListener("DOMContentLoaded", () => {
    let finals = 0;
    let dark = true;
    const notice = () => {
      const now = document.querySelectorAll("#captions [data-kind=final]").length;
      if (now > finals) painted((at) => observed.shownFinals.push(at));
      finals = now;
      // The page shows per cent of white.
      const brightness = parseFloat(document.querySelector("#seen-brightness")?.textContent ?? "");
      if (!Number.isFinite(brightness)) return;
      if (brightness > 50 && dark) painted((at) => observed.shownFlashes.push(at));
      dark = brightness <= 50;
    };
    new MutationObserver(notice).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
}
