/** What can go wrong, each with a sentence that says what happened and one that says what to do. */

/** Why something failed. */
export type Reason =
  | "insecure_page"
  | "unsupported_browser"
  | "permission_refused"
  | "no_device"
  | "device_busy"
  | "device_lost"
  | "unauthorised"
  | "not_found"
  | "not_published"
  | "refused"
  | "server_full"
  | "server_error"
  | "bad_answer"
  | "network_gone"
  | "media_unreachable"
  | "connection_lost";

/** What the server added to a refusal. */
export interface Details {
  readonly status?: number;
  readonly retry_after_ms?: number;
  readonly cause?: unknown;
}

/** A failure of the library. `message` says what happened, `remedy` what the person can do about it. */
export class HearsightError extends Error {
  readonly reason: Reason;
  readonly remedy: string;
  /** The HTTP status, where a server answered. */
  readonly status: number | null;
  /** How long the server asks us to wait, in milliseconds. */
  readonly retry_after_ms: number | null;

  constructor(reason: Reason, said?: { message?: string; remedy?: string }, details: Details = {}) {
    super(said?.message ?? SENTENCES[reason][0], { cause: details.cause });
    this.name = "HearsightError";
    this.reason = reason;
    this.remedy = said?.remedy ?? SENTENCES[reason][1];
    this.status = details.status ?? null;
    this.retry_after_ms = details.retry_after_ms ?? null;
  }

  /** Whether another attempt may succeed without anybody doing anything. */
  get passing(): boolean {
    return PASSING.has(this.reason);
  }
}

const PASSING: ReadonlySet<Reason> = new Set<Reason>(["not_published", "server_full", "server_error", "network_gone", "media_unreachable", "connection_lost"]);

const SENTENCES: Readonly<Record<Reason, readonly [message: string, remedy: string]>> = {
  insecure_page: [
    "This page may not use the microphone or the camera.",
    "Browsers give them to secure pages only. Open this page with https:// or on localhost.",
  ],
  unsupported_browser: ["This browser cannot send sound and picture.", "Use a current Chrome, Edge, Firefox or Safari."],
  permission_refused: [
    "The microphone or the camera was refused.",
    "Allow both for this page in the browser's address bar (and in the system's privacy settings), then start again.",
  ],
  no_device: ["No microphone or camera was found.", "Plug one in, or choose another device, then start again."],
  device_busy: ["The microphone or the camera is in use.", "Close the other program that uses it, then start again."],
  device_lost: ["A device was unplugged or switched off.", "Plug it in again or choose another one; the session goes on without it."],
  unauthorised: ["The server wants to know who you are.", "Give a valid token and start again."],
  not_found: ["There is no Hearsight server at this address.", "Check the address and start again."],
  not_published: ["Nobody publishes this stream now.", "Start to publish it; it is looked for again on its own."],
  refused: ["The server refused the session.", "Check that server and page are of the same version."],
  server_full: ["The server is full.", "Wait a little and start again."],
  server_error: ["The server had a fault of its own.", "Try again; if it stays, look at the server's log."],
  bad_answer: ["The server's answer cannot be used.", "Check that the address is a Hearsight server's and that its version fits this page's."],
  network_gone: ["The server cannot be reached.", "Check the network connection and that the server is running."],
  media_unreachable: [
    "The server answers, but sound and picture do not get through.",
    "A firewall may block UDP. Open the server's media port, or set its public_address to one that this machine can reach.",
  ],
  connection_lost: ["The connection to the server is lost.", "Check the network connection; it is tried again on its own."],
};

/** Whatever was thrown, as one of ours. */
export function asHearsightError(error: unknown): HearsightError {
  return error instanceof HearsightError ? error : new HearsightError("bad_answer", {}, { cause: error });
}

/** The error for a failure of `getUserMedia` (Media Capture and Streams, section 10.2). */
export function errorFromCapture(cause: unknown): HearsightError {
  const name = cause instanceof Error || cause instanceof DOMException ? cause.name : "";
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return new HearsightError("permission_refused", {}, { cause });
    case "NotReadableError":
    case "AbortError":
      return new HearsightError("device_busy", {}, { cause });
    default:
      return new HearsightError("no_device", {}, { cause });
  }
}

/** The error for an HTTP refusal; a problem+json body (RFC 9457) brings the server's own words. */
export function errorFromResponse(status: number, body: string, retryAfter: string | null, now_ms: number): HearsightError {
  const said = problem(body);
  const retry_after_ms = retryAfterMs(retryAfter, now_ms);
  return new HearsightError(reasonFromStatus(status), said, { status, ...(retry_after_ms === null ? {} : { retry_after_ms }) });
}

/** A longer wait than this would not be waited for. */
const MAX_RETRY_AFTER_MS = 3_600_000;

/** Milliseconds of a Retry-After header (RFC 9110, section 10.2.3): seconds or a date. Null where it says nothing. */
export function retryAfterMs(header: string | null, now_ms: number): number | null {
  if (header === null) return null;
  const wait = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - now_ms;
  return Number.isFinite(wait) ? Math.min(Math.max(wait, 0), MAX_RETRY_AFTER_MS) : null;
}

function reasonFromStatus(status: number): Reason {
  if (status === 401 || status === 403) return "unauthorised";
  if (status === 404) return "not_found";
  if (status === 409) return "not_published";
  if (status === 503 || status === 429) return "server_full";
  return status >= 500 ? "server_error" : "refused";
}

/** Long enough for a sentence or two, short enough for a banner. */
const MAX_SAID = 500;

function problem(body: string): { message?: string; remedy?: string } {
  try {
    const value = JSON.parse(body) as unknown;
    if (typeof value !== "object" || value === null) return {};
    const { title, detail } = value as Record<string, unknown>;
    return {
      ...(typeof title === "string" && title !== "" ? { message: title.slice(0, MAX_SAID) } : {}),
      ...(typeof detail === "string" && detail !== "" ? { remedy: detail.slice(0, MAX_SAID) } : {}),
    };
  } catch {
    return {};
  }
}
