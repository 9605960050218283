/** What a `Link` header names (RFC 8288): STUN and TURN servers (RFC 9725 section 4.6), and where a session is watched. Pure. */

/** More would only slow the browser down. */
const MAX_SERVERS = 8;
const VALUE = /<([^<>]*)>((?:\s*;\s*[\w-]+\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]+))*)/g;
const PARAMETER = /;\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]+))/g;

/** The servers in their order; what is not a STUN or TURN address, or lacks a TURN server's password, is passed over. */
export function iceServersFromLink(header: string | null): RTCIceServer[] {
  const servers: RTCIceServer[] = [];
  for (const { target: urls, told } of links(header)) {
    if (told.get("rel") !== "ice-server" || servers.length >= MAX_SERVERS) continue;
    const username = told.get("username");
    const credential = told.get("credential");
    if (/^stuns?:/.test(urls)) servers.push({ urls });
    else if (/^turns?:/.test(urls) && username !== undefined && credential !== undefined) servers.push({ urls, username, credential });
  }
  return servers;
}

/** Where the session is watched, as the server wrote it: a WHEP endpoint (`rel="preview"`, RFC 6903 section 3). */
export function previewFromLink(header: string | null): string | null {
  return links(header).find(({ told }) => told.get("rel") === "preview")?.target ?? null;
}

function links(header: string | null): { target: string; told: Map<string, string> }[] {
  return [...(header ?? "").matchAll(VALUE)].map(([, target = "", rest = ""]) => {
    const parameters = [...rest.matchAll(PARAMETER)];
    return { target, told: new Map(parameters.map(([, name = "", quoted, bare]) => [name.toLowerCase(), quoted?.replace(/\\(.)/g, "$1") ?? bare ?? ""])) };
  });
}
