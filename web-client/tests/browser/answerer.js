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
    const greeting = { type: "session", version: 1, session: "s", recogniser: { name: "Test recogniser", note: "Says what it is told." }, answerer: { name: "Test engine", note: "Says what it is told, too." } };
    // Only when the other side was heard: Chromium says that an announced channel is open before it is, and loses what is sent until then.
    channel.addEventListener("message", () => say(greeting), { once: true });
  });
  window.offer = offer;
  return await answered();
};

async function answered() {
  const { connection } = window;
  await connection.setRemoteDescription({ type: "offer", sdp: window.offer });
  const gathered = new Promise((resolve) => {
    connection.onicecandidate = ({ candidate }) => candidate === null && resolve();
  });
  await connection.setLocalDescription();
  await gathered;
  return connection.localDescription.sdp;
}

// An ICE restart: the earlier offer with the fragment's credentials and candidates, and of our answer what is a server's fragment.
window.restart = async (fragment) => {
  const line = (name) => fragment.match(new RegExp(`a=${name}:.*`))[0];
  const candidates = fragment.match(/a=candidate:.*/g).map((each) => each.trim());
  window.offer = window.offer
    .replace(/a=ice-ufrag:.*/g, line("ice-ufrag"))
    .replace(/a=ice-pwd:.*/g, line("ice-pwd"))
    .replace(/a=candidate:.*\r\n/g, "")
    .replace(/(a=mid:.*\r\n)/g, `$1${candidates.join("\r\n")}\r\n`);
  const sdp = await answered();
  const [ufrag, pwd, candidate] = ["ice-ufrag", "ice-pwd", "candidate"].map((name) => sdp.match(new RegExp(`a=${name}:.*`))[0].trim());
  return `${ufrag}\r\n${pwd}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n${candidate}\r\n`;
};
