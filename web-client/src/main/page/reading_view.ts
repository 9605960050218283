/** Draws what the server reads in the camera's picture: boxes over the view, and the lines beside it. */

import type { ReadingMessage, ReadLine } from "../hearsight.js";
import { make, part } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
/** Lines that a screen reader may still be reading. */
const SPOKEN_LINES = 8;

/** The overlay, the list of lines, what is known about them, and the words for screen readers. */
export class ReadingView {
  private readonly boxes: Element;
  private readonly list = part("reading-lines");
  private readonly note = part("reading-note");
  private readonly spoken = part("reading-spoken");
  private readonly hint = this.note.textContent;
  private told = new Set<string>();

  constructor(private readonly view: HTMLVideoElement) {
    const boxes = view.parentElement?.querySelector("svg");
    if (boxes === null || boxes === undefined) throw new Error("The page has nothing to draw boxes on.");
    this.boxes = boxes;
  }

  /** Shows a reading in place of the one before it. */
  show(reading: ReadingMessage): void {
    // The boxes lie on the video as it is cropped to its frame.
    const { videoWidth: width, videoHeight: height } = this.view;
    this.boxes.setAttribute("viewBox", `0 0 ${Math.max(width, 1)} ${Math.max(height, 1)}`);
    this.boxes.replaceChildren(...reading.lines.map((line) => box(line, width, height)));
    this.list.replaceChildren(...reading.lines.map(row));
    this.note.textContent = this.state(reading);
    this.speak(reading.lines);
  }

  /** Forgets what was read: the camera is off. */
  clear(): void {
    this.boxes.replaceChildren();
    this.list.replaceChildren();
    this.note.textContent = this.hint;
    this.told.clear();
  }

  private state(reading: ReadingMessage): string {
    if (reading.readability === null) return this.hint;
    const age_us = reading.at_us - reading.read_at_us;
    const parts = [`Readability ${Math.round(reading.readability * 100)} %`, age_us > 0 ? `read ${(age_us / 1e6).toFixed(1)} s ago` : "read just now"];
    if (reading.unread > 0) parts.push(reading.unread === 1 ? "one place can’t be read" : `${reading.unread} places can’t be read`);
    return parts.join(" · ");
  }

  /** Only what was not there before: the same sign is not read out again every second. */
  private speak(lines: readonly ReadLine[]): void {
    for (const { text } of lines) if (!this.told.has(text)) this.spoken.append(make("p", "", text));
    while (this.spoken.childElementCount > SPOKEN_LINES) this.spoken.firstElementChild?.remove();
    this.told = new Set(lines.map(({ text }) => text));
  }
}

function box(line: ReadLine, width: number, height: number): Element {
  const outline = document.createElementNS(SVG, "polygon");
  outline.setAttribute("points", line.region.map(([x, y]) => `${(x * width).toFixed(1)},${(y * height).toFixed(1)}`).join(" "));
  outline.dataset["text"] = line.text;
  return outline;
}

function row(line: ReadLine): HTMLElement {
  const certainty = make("span", "certainty", `${Math.round(line.certainty * 100)} %`);
  certainty.title = "How sure the reader is";
  const element = make("li", "", make("span", "", line.text), " ", certainty);
  element.dataset["certainty"] = line.certainty.toFixed(3);
  return element;
}
