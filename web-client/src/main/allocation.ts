/** What is worth the uplink's bits: the server's wish, what of it can be believed, and the sender that heeds it. */

/** How much of it is at work: nothing, the most bits worth sending, where they go, how many pictures a second. */
export type AllocateMode = "off" | "cap" | "cap+regions" | "full";
export const ALLOCATE_MODES = ["off", "cap", "cap+regions", "full"] as const;

/** What to spend the uplink's bits on. Congestion control overrules it; `reason` says why the cap is what it is. */
export interface AllocationMessage {
  readonly type: "allocation";
  readonly session: string;
  /** Rises within a session. */
  readonly number: number;
  readonly mode: AllocateMode;
  /** Null where congestion control alone decides. */
  readonly cap_kbps: number | null;
  readonly reason: string;
  /** What is looked for. */
  readonly kind: string;
  /** How well the latest evidence could be read, 0..1. */
  readonly readability: number | null;
  /** What blocks of the picture are worth, see {@link levelsFromMap}; null where all are alike. */
  readonly map: string | null;
  /** In every such stretch of time a picture should arrive that can be decoded. */
  readonly slot_ms: number | null;
}

/** Columns and rows of a map. */
export const MAP = { columns: 40, rows: 18 } as const;
const INSIDE = 15;

/** The levels of a map, row by row, 0 (nothing) to 1 (inside); null where the text is no map. */
export function levelsFromMap(text: string): number[] | null {
  const size = MAP.columns * MAP.rows;
  if (text.length % 2 !== 0 || text.length > 2 * size) return null;
  const levels: number[] = [];
  for (let at = 0; at < text.length; at += 2) {
    const [level, length] = [text.charAt(at), text.charAt(at + 1)];
    if (!/^[0-9a-f]$/i.test(level) || !/^[1-9a-z]$/i.test(length)) return null;
    const run = Number.parseInt(length, 36);
    if (levels.length + run > size) return null;
    levels.push(...new Array<number>(run).fill(Number.parseInt(level, 16) / INSIDE));
  }
  return levels.length === size ? levels : null;
}

/** A server that has gone silent decides nothing any more. */
const HEEDED_MS = 5_000;
/** More in a second are a flood. */
const MOST_PER_SECOND = 20;
/** Below, a picture is not worth sending: a cap that starves is the server's mistake. */
const LEAST_KBPS = 100;
const MOST_KBPS = 100_000;

/** Packets of a picture, as a rule, at the rates where losses matter. */
const PACKETS = 3;
/** The chance that a slot is left without a picture that can be decoded. */
const MISS = 0.02;
/** No fewer pictures a second: a place that is framed is followed from one to the next. */
const LEAST_FPS = 5;
/** Slots that make sense, in milliseconds. */
const SLOTS_MS = [50, 10_000] as const;

/** What a sender is to keep to; null: to nothing. */
export interface Limits {
  readonly kbps: number | null;
  readonly fps: number | null;
  /** Temporal layers: with two, every second picture is one that no other builds on. */
  readonly layers: 1 | 2;
}
export const UNLIMITED: Limits = { kbps: null, fps: null, layers: 1 };

/** Packets lost from which on pictures are sent in layers, and below which they no longer are. Layers cost bits. */
const LAYERED = { above: 0.02, below: 0.005 } as const;
/** Each change costs a keyframe: no sooner after the last. */
const LAYERED_FOR_MS = 10_000;

/**
 * Pictures a second of which one in each slot can be decoded, but for a chance of 2 %, where a packet is lost with the chance `lost`
 * (Artic, section 4.3, as the server's `core::allocate::least_rate`); null where no rate helps.
 */
export function leastRate(lost: number, slot_ms: number): number | null {
  const picture = 1 - (1 - lost) ** PACKETS;
  if (!(picture >= 0 && picture < 1)) return null;
  const pictures = picture <= MISS ? 1 : Math.ceil(Math.log(MISS) / Math.log(picture) - 1e-9);
  return Math.max(LEAST_FPS, (pictures * 1_000) / slot_ms);
}

/** What one sender heeds: only its own session's wishes, only newer ones, only what can be. */
export class Heed {
  private session: string | null = null;
  private newest = -1;
  private heard_ms = -Infinity;
  private second = { began_ms: -Infinity, count: 0 };
  private wanted: number | null = null;
  private worth: readonly number[] | null = null;
  private slot_ms: number | null = null;
  private layered = { layers: 1 as 1 | 2, since_ms: -Infinity };
  /** How many wishes were refused. */
  refused = 0;

  /** The server has greeted us as this session. */
  greeted(session: string): void {
    [this.session, this.newest, this.heard_ms] = [session, -1, -Infinity];
    [this.wanted, this.worth, this.slot_ms] = [null, null, null];
  }

  /** Takes a wish at `now_ms`; false, and counted, where it is not to be believed. */
  take(wish: AllocationMessage, now_ms: number): boolean {
    if (now_ms - this.second.began_ms >= 1_000) this.second = { began_ms: now_ms, count: 0 };
    this.second.count += 1;
    const levels = wish.map === null ? null : levelsFromMap(wish.map);
    const ours = wish.session === this.session && wish.number > this.newest;
    const sane = ours && this.second.count <= MOST_PER_SECOND && (wish.map === null || levels !== null);
    if (!sane) {
      this.refused += 1;
      return false;
    }
    this.newest = wish.number;
    this.heard_ms = now_ms;
    this.wanted = wish.mode === "off" || wish.cap_kbps === null || wish.cap_kbps > MOST_KBPS ? null : Math.max(wish.cap_kbps, LEAST_KBPS);
    this.worth = wish.mode === "cap+regions" || wish.mode === "full" ? levels : null;
    const slot_ms = wish.mode === "full" ? wish.slot_ms : null;
    this.slot_ms = slot_ms !== null && slot_ms >= SLOTS_MS[0] && slot_ms <= SLOTS_MS[1] ? slot_ms : null;
    return true;
  }

  /** The most kilobits a second at `now_ms`; null for as many as the network takes. */
  cap_kbps(now_ms: number): number | null {
    return now_ms - this.heard_ms <= HEEDED_MS ? this.wanted : null;
  }

  /** The most pictures a second at `now_ms`, where packets are lost with the chance `lost`; null for as many as there are. */
  fps(now_ms: number, lost: number): number | null {
    return now_ms - this.heard_ms <= HEEDED_MS && this.slot_ms !== null ? leastRate(lost, this.slot_ms) : null;
  }

  /** How many temporal layers to send at `now_ms`, where packets are lost with the chance `lost`. */
  layers(now_ms: number, lost: number): 1 | 2 {
    const { layers, since_ms } = this.layered;
    const full = now_ms - this.heard_ms <= HEEDED_MS && this.slot_ms !== null;
    const wanted = full && lost > (layers === 1 ? LAYERED.above : LAYERED.below) ? 2 : 1;
    if (wanted !== layers && now_ms - since_ms >= LAYERED_FOR_MS) this.layered = { layers: wanted, since_ms: now_ms };
    return this.layered.layers;
  }

  /** What the parts of the picture are worth at `now_ms`, as {@link levelsFromMap} gives it; null where all are alike. */
  levels(now_ms: number): readonly number[] | null {
    return now_ms - this.heard_ms <= HEEDED_MS ? this.worth : null;
  }
}
