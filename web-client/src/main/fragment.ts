/**
 * SDP fragments of an ICE restart (RFC 8840 section 9, RFC 9725 section 4.3.3): ours out of a new offer, the server's into
 * its earlier answer. Pure.
 */

/** Our new credentials and candidates, as a server wants them. Everything is bundled, so the first section stands for all. */
export function fragmentFromOffer(offer: string): string {
  const { session, media } = sections(offer);
  const first = media[0] ?? [];
  const wanted = (line: string): boolean => /^a=(ice-ufrag|ice-pwd|mid|candidate|end-of-candidates)/.test(line);
  const group = session.filter((line) => line.startsWith("a=group:BUNDLE"));
  const credentials = first.filter(isCredential);
  const rest = first.filter((line) => line.startsWith("m=") || (wanted(line) && !isCredential(line)));
  return [...group, ...credentials, ...rest, ""].join("\r\n");
}

/** The answer as it would read after the restart; null where the fragment brings no credentials or there is nothing to renew. */
export function answerWithFragment(answer: string, fragment: string): string | null {
  const lines = fragment.split(/\r?\n/);
  const ufrag = lines.find((line) => line.startsWith("a=ice-ufrag:"));
  const pwd = lines.find((line) => line.startsWith("a=ice-pwd:"));
  if (ufrag === undefined || pwd === undefined) return null;
  const candidates = lines.filter((line) => line.startsWith("a=candidate:"));
  const { session, media } = sections(answer);
  if (media.length === 0) return null;
  const renewed = media.map((section) => {
    const kept = section.filter((line) => !isCredential(line) && (candidates.length === 0 || !isCandidate(line)));
    return [...kept, ufrag, pwd, ...candidates];
  });
  return [...session.filter((line) => !isCredential(line)), ...renewed.flat(), ""].join("\r\n");
}

const isCredential = (line: string): boolean => line.startsWith("a=ice-ufrag:") || line.startsWith("a=ice-pwd:");
const isCandidate = (line: string): boolean => line.startsWith("a=candidate:") || line.startsWith("a=end-of-candidates");

function sections(sdp: string): { session: string[]; media: string[][] } {
  const session: string[] = [];
  const media: string[][] = [];
  for (const line of sdp.split(/\r?\n/)) {
    if (line === "") continue;
    if (line.startsWith("m=")) media.push([line]);
    else (media.at(-1) ?? session).push(line);
  }
  return { session, media };
}
