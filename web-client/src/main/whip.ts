/**
 * The client's half of WHIP (RFC 9725), and of WHEP, which is the same to watch (draft-ietf-wish-whep): one POST with a whole
 * offer, a PATCH to restart ICE, one DELETE at the end.
 */

import { errorFromResponse, HearsightError } from "./errors.js";
import { iceServersFromLink, previewFromLink } from "./links.js";

/** Where to publish. */
export interface Endpoint {
  /** The server's origin, `https://host:port`. */
  readonly url: string;
  /** The name of the stream. */
  readonly stream: string;
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string;
}

/** An address of a server, and what it asks for. */
export type Guarded = Pick<Endpoint, "url" | "token">;

/** A session that the server has made. */
export interface WhipSession {
  readonly answer: string;
  /** Its address: DELETE ends it. Null when the server named none. */
  readonly resource: string | null;
  /** Where it is watched. Null when the server does not say, or names another server. */
  readonly view: string | null;
}

/** A server that takes longer to answer is as good as gone. */
const ANSWER_WITHIN_MS = 10_000;
/** A server that has ICE servers to tell of says so at once; one that does not is asked in vain no longer than this. */
const OPTIONS_WITHIN_MS = 2_000;
/** Longer than any answer: ours are a few kilobytes. */
const MAX_ANSWER = 256 * 1024;

/** Sends the offer of one who publishes and returns the answer. Throws a `HearsightError` with the server's own remedy. */
export function publish(endpoint: Endpoint, offer: string, signal: AbortSignal): Promise<WhipSession> {
  return exchange({ ...endpoint, url: endpointUrl(endpoint).href }, offer, signal);
}

/** Sends an offer to the address `url` and returns the answer. Throws a `HearsightError` with the server's own remedy. */
export async function exchange(endpoint: Guarded, offer: string, signal: AbortSignal): Promise<WhipSession> {
  const { url } = endpoint;
  let response: Response;
  let body: string;
  try {
    response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/sdp", ...authorization(endpoint) },
      body: offer,
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]),
    });
    body = await response.text();
  } catch (cause) {
    throw new HearsightError("network_gone", {}, { cause });
  }
  if (!response.ok) throw errorFromResponse(response.status, body, response.headers.get("Retry-After"), Date.now());
  const location = response.headers.get("Location");
  const resource = location === null ? null : new URL(location, response.url).href;
  const type = response.headers.get("Content-Type") ?? "";
  if (response.status !== 201 || !type.startsWith("application/sdp") || body.length > MAX_ANSWER) {
    if (resource !== null) end(endpoint, resource);
    throw new HearsightError("bad_answer", {}, { status: response.status });
  }
  const preview = previewFromLink(response.headers.get("Link"));
  const view = preview === null ? null : new URL(preview, response.url);
  return { answer: body, resource, view: view !== null && view.origin === new URL(url).origin ? view.href : null };
}

/** The STUN and TURN servers that the server tells of (RFC 9725 section 4.6); null when it does not answer. */
export function iceServers(endpoint: Endpoint, signal: AbortSignal): Promise<RTCIceServer[] | null> {
  return iceServersAt({ ...endpoint, url: endpointUrl(endpoint).href }, signal);
}

/** The same of an endpoint whose address is known. */
export async function iceServersAt(endpoint: Guarded, signal: AbortSignal): Promise<RTCIceServer[] | null> {
  try {
    const response = await fetch(endpoint.url, {
      method: "OPTIONS",
      headers: authorization(endpoint),
      signal: AbortSignal.any([signal, AbortSignal.timeout(OPTIONS_WITHIN_MS)]),
    });
    return iceServersFromLink(response.headers.get("Link"));
  } catch {
    return null;
  }
}

/** What became of a restart: the server's fragment, its refusal (it cannot, or no longer knows the session), or silence. */
export type Restart = { readonly fragment: string } | "refused" | "unreachable";

/** Restarts ICE (RFC 9725 section 4.3.3): sends our fragment. */
export async function restart(endpoint: Endpoint, resource: string, fragment: string, signal: AbortSignal): Promise<Restart> {
  if (new URL(resource).origin !== new URL(endpoint.url).origin) return "refused";
  try {
    const response = await fetch(resource, {
      method: "PATCH",
      headers: { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*", ...authorization(endpoint) },
      body: fragment,
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]),
    });
    const body = await response.text();
    return response.status === 200 && body.length <= MAX_ANSWER ? { fragment: body } : "refused";
  } catch {
    return "unreachable";
  }
}

/** Ends the session at the server. It may outlive the page; a server that does not hear it notices by itself. */
export function end(endpoint: Guarded, resource: string): void {
  // The token belongs to the endpoint's origin and goes nowhere else.
  if (new URL(resource).origin !== new URL(endpoint.url).origin) return;
  fetch(resource, { method: "DELETE", headers: authorization(endpoint), keepalive: true }).catch(() => undefined);
}

function endpointUrl(endpoint: Endpoint): URL {
  return new URL(`/whip/${encodeURIComponent(endpoint.stream)}`, endpoint.url);
}

function authorization(endpoint: Guarded): Record<string, string> {
  return endpoint.token === undefined ? {} : { Authorization: `Bearer ${endpoint.token}` };
}
