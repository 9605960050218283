// Runs in a second page and answers as a server would, with the browser's own stack: enough to exercise the client alone.

const words = (text) => text.split(" ").map((word, i) => ({ text: word, start_us: i * 300000, end_us: i * 300000 + 250000, stability: 1, certainty: null }));
const now_us = () => Math.round(performance.now() * 1000);

window.heard = [];
window.answer = async (offer) => {
  const connection = new RTCPeerConnection();
  window.connection = connection;
  connection.addEventListener("datachannel", ({ channel }) => {
    const say = (message) => channel.send(JSON.stringify(message));
    channel.addEventListener("message", ({ data }) => {
      const message = JSON.parse(data);
      window.heard.push(message);
      if (message.type === "clock") say({ type: "clock", t0_us: message.t0_us, t1_us: now_us() });
    });
    window.say = say;
    window.event = (message, outlet) => {
      const sent_us = now_us();
      say(message);
      const segments = [["network", 1500], ["jitter", 12000], ["decode", 700], ["vad", 160000], ["send", 300]].map(([name, us]) => ({ name, us }));
      say({ type: "latency", of: message.id, outlet, born_us: sent_us - 174500, measured: true, segments, sent_us });
    };
    window.words = words;
    const greet = () => say({ type: "session", version: 1, session: "s", recogniser: { name: "Test recogniser", note: "Says what it is told." } });
    if (channel.readyState === "open") greet();
    else channel.addEventListener("open", greet);
  });
  await connection.setRemoteDescription({ type: "offer", sdp: offer });
  await connection.setLocalDescription();
  await new Promise((resolve) => {
    if (connection.iceGatheringState === "complete") resolve();
    connection.addEventListener("icegatheringstatechange", () => connection.iceGatheringState === "complete" && resolve());
  });
  return connection.localDescription.sdp;
};
