/** Draws what the server wishes of our sender: how many bits, why, and where. */

import { ALLOCATE_MODES, levelsFromMap, MAP, type AllocationMessage, type Session, type Softening } from "../hearsight.js";
import { part } from "./dom.js";

const REASONS: Readonly<Record<string, string>> = {
  start: "nothing was read yet",
  silent: "nobody has looked for a while",
  scene: "another scene",
  enough: "it can be read",
  more: "it could not be read",
  probe: "trying with less",
  back: "less was too little",
  nothing: "nothing to read",
  still: "nothing moves",
  pictures: "for the frame rate",
  watched: "somebody watches",
  ceiling: "more is not allowed",
  congestion: "the network allows less",
};

/**
 * Shows what a session is told to spend its bits on, and has it spend them as the page's address asks (`?allocate=cap`, with
 * `&most_kbps=125` below a ceiling).
 */
export function showSpending(session: Session): void {
  const asked = new URLSearchParams(location.search);
  const mode = ALLOCATE_MODES.find((each) => each === asked.get("allocate"));
  const most = Number.parseInt(asked.get("most_kbps") ?? "", 10);
  session.on("allocation", showAllocation);
  session.on("softening", showSoftening);
  session.on("state", (state) => {
    if (state.name === "live" && mode !== undefined) session.allocate(mode, Number.isNaN(most) ? undefined : Math.max(0, most));
  });
}

function showAllocation(wish: AllocationMessage): void {
  part("stat-worth").textContent = wish.cap_kbps === null ? "all that the path takes" : `${wish.cap_kbps} kbit/s`;
  part("stat-why").textContent = REASONS[wish.reason] ?? wish.reason;
  part("stat-readability").textContent = wish.readability === null ? "\u2013" : `${Math.round(wish.readability * 100)} %`;
  const canvas = part("stat-map");
  const levels = wish.map === null ? null : levelsFromMap(wish.map);
  canvas.hidden = levels === null;
  if (levels === null || !(canvas instanceof HTMLCanvasElement)) return;
  const context = canvas.getContext("2d");
  if (context === null) return;
  const image = context.createImageData(MAP.columns, MAP.rows);
  levels.forEach((level, at) => {
    image.data.set([40 + 60 * level, 60 + 140 * level, 90 + 150 * level, 255], at * 4);
  });
  context.putImageData(image, 0, 0);
}

const OFF: Readonly<Record<NonNullable<Softening["off"]>, string>> = {
  slow: "no: it took too long",
  unsupported: "no: not in this browser",
  broken: "no: it broke down",
};

function showSoftening({ by, picture_ms, off }: Softening): void {
  const part_ms = `${picture_ms.toFixed(1)} ms a picture`;
  const on = by === null ? "no" : `by the ${by.toUpperCase()}, ${part_ms}`;
  part("stat-softened").textContent = off === null ? on : OFF[off];
}
