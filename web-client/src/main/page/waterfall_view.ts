/** Draws where the time of an event went, and the latest and median figure per kind of event. */

import { median, type Latency, type Segment } from "../hearsight.js";
import { make, msText, part } from "./dom.js";

const SEGMENTS: Readonly<Record<string, string>> = {
  network: "Network",
  jitter: "Jitter wait",
  decode: "Decode",
  vad: "Voice detection",
  recognise: "Recognise",
  read: "Read",
  wait: "Wait for the engine",
  answer: "Find first words",
  deliver: "Deliver",
  show: "Show",
};

/** Kinds of events in the order of the table, with the server's aim in milliseconds where there is one. */
const OUTLETS: readonly (readonly [outlet: string, label: string, aim_ms: number | null])[] = [
  ["words.final", "Final words", 600],
  ["words.partial", "Provisional words", 400],
  ["speech.started", "Speech begins", 300],
  ["speech.stopped", "Speech ends", 300],
  ["reading", "Text in the picture", 1000],
  ["answer", "First words of an answer", 1500],
  ["picture.stats", "Picture figures", null],
];

/** The median is that of about the last minute. */
const HISTORY = 60;
/** A server may name kinds that this page does not know; there is room for a few. */
const MAX_OUTLETS = 12;

interface Outlet {
  readonly row: HTMLTableRowElement;
  readonly button: HTMLButtonElement;
  readonly felt_us: number[];
  latest: Latency | null;
}

/** The waterfall of the chosen kind of event, and the table from which it is chosen. */
export class WaterfallView {
  private readonly list = part("waterfall");
  private readonly felt = part("felt");
  private readonly note = part("felt-note");
  private readonly table = part("outlets");
  private readonly outlets = new Map<string, Outlet>();
  private chosen: string | null = null;

  constructor() {
    for (const [outlet, label, aim] of OUTLETS) this.addRow(outlet, label, aim);
    this.list.replaceChildren(...Object.values(SEGMENTS).map((label) => rowOf(label, make("span", "bar"), "–", "waiting")));
  }

  /** Takes in the account of one more event. */
  add(latency: Latency): void {
    if (!this.outlets.has(latency.outlet) && this.outlets.size < MAX_OUTLETS) this.addRow(latency.outlet, latency.outlet, null);
    const outlet = this.outlets.get(latency.outlet);
    if (outlet === undefined) return;
    outlet.latest = latency;
    outlet.felt_us.push(latency.felt_us);
    if (outlet.felt_us.length > HISTORY) outlet.felt_us.shift();
    cell(outlet.row, 1, latency.felt_us);
    cell(outlet.row, 2, median(outlet.felt_us));
    if (this.shown() === latency.outlet) this.draw(latency);
  }

  /** The chosen kind; until one is chosen, the first of the table that has happened. */
  private shown(): string | null {
    if (this.chosen !== null) return this.chosen;
    for (const [name, outlet] of this.outlets) if (outlet.latest !== null) return name;
    return null;
  }

  private addRow(name: string, label: string, aim: number | null): void {
    const button = make("button", "", label);
    button.type = "button";
    const head = make("th", "", button);
    head.scope = "row";
    const row = make("tr", "", head, make("td", "", "–"), make("td", "", "–"), make("td", "", aim === null ? "–" : `${aim} ms`));
    row.dataset["outlet"] = name;
    button.addEventListener("click", () => {
      this.chosen = name;
      const latest = this.outlets.get(name)?.latest;
      if (latest !== null && latest !== undefined) this.draw(latest);
    });
    this.outlets.set(name, { row, button, felt_us: [], latest: null });
    this.table.append(row);
  }

  private draw(latency: Latency): void {
    for (const [name, outlet] of this.outlets) outlet.button.ariaPressed = String(name === latency.outlet);
    const whole = Math.max(1, latency.felt_us);
    let from = 0;
    this.list.replaceChildren(
      ...latency.segments.map((segment) => {
        const begins = within(from / whole);
        from += segment.us ?? 0;
        return segmentRow(segment, begins, Math.max(0, within(from / whole) - begins));
      }),
    );
    this.felt.textContent = msText(latency.felt_us);
    this.felt.dataset["us"] = String(latency.felt_us);
    this.felt.dataset["outlet"] = latency.outlet;
    this.felt.dataset["of"] = String(latency.of);
    this.note.textContent = latency.measured
      ? `felt, from capture to screen; clocks agree within ${msText(latency.clock_error_us)}`
      : "from arrival at the server to screen; the time on the network is not known";
  }
}

function within(share: number): number {
  return Math.min(Math.max(share, 0), 1);
}

function segmentRow(segment: Segment, from: number, share: number): HTMLElement {
  const bar = make("span", "bar");
  bar.style.setProperty("--from", from.toFixed(4));
  bar.style.setProperty("--share", share.toFixed(4));
  const row = rowOf(SEGMENTS[segment.name] ?? segment.name, bar, segment.us === null ? "unknown" : msText(segment.us));
  row.dataset["segment"] = segment.name;
  row.dataset["us"] = segment.us === null ? "" : String(segment.us);
  return row;
}

function rowOf(label: string, bar: HTMLElement, value: string, className = ""): HTMLElement {
  const track = make("span", "track", bar);
  track.ariaHidden = "true";
  return make("li", className, make("span", "", label), track, make("span", "us", value));
}

function cell(row: HTMLTableRowElement, index: number, us: number | null): void {
  const td = row.cells.item(index);
  if (td === null || us === null) return;
  td.textContent = msText(us);
  td.dataset["us"] = String(us);
}
