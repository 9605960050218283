/** The STUN and TURN servers that a `Link` header names (RFC 8288; RFC 9725 section 4.6). Pure. */

/** More would only slow the browser down. */
const MAX_SERVERS = 8;
const VALUE = /<([^<>]*)>((?:\s*;\s*[\w-]+\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]+))*)/g;
const PARAMETER = /;\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]+))/g;

/** The servers in their order; what is not a STUN or TURN address, or lacks a TURN server's password, is passed over. */
export function iceServersFromLink(header: string | null): RTCIceServer[] {
  const servers: RTCIceServer[] = [];
  for (const [, urls = "", rest = ""] of (header ?? "").matchAll(VALUE)) {
    const told = new Map([...rest.matchAll(PARAMETER)].map(([, name = "", quoted, bare]) => [name.toLowerCase(), quoted?.replace(/\\(.)/g, "$1") ?? bare ?? ""]));
    if (told.get("rel") !== "ice-server" || servers.length >= MAX_SERVERS) continue;
    const username = told.get("username");
    const credential = told.get("credential");
    if (/^stuns?:/.test(urls)) servers.push({ urls });
    else if (/^turns?:/.test(urls) && username !== undefined && credential !== undefined) servers.push({ urls, username, credential });
  }
  return servers;
}
