/** Draws the captions. Lines keep their element while their words change, so that nothing jumps. */

import { textOf, type CaptionLine, type Captions, type Word } from "../hearsight.js";
import { clockText, make, part } from "./dom.js";

/** The settled lines that a screen reader may still be reading. */
const SPOKEN_LINES = 5;
/** From here on a provisional word is drawn as a settled one. */
const STABLE = 0.8;
/** Closer to the end than this, in pixels, the view follows the newest line. */
const FOLLOW_WITHIN = 60;

/** The captions, the line that tells word times, and the words for screen readers. */
export class CaptionsView {
  private readonly box = part("captions");
  private readonly empty = part("captions-empty");
  private readonly spoken = part("spoken");
  private readonly when = part("when");
  private readonly hint = this.when.textContent;
  private readonly drawn = new Map<string, { line: CaptionLine; element: HTMLElement }>();

  constructor() {
    this.box.addEventListener("pointerover", (event) => { this.tell(event.target); });
    this.box.addEventListener("focusin", (event) => { this.tell(event.target); });
    this.box.addEventListener("pointerleave", () => { this.tell(null); });
    this.box.addEventListener("focusout", () => { this.tell(null); });
    this.box.addEventListener("keydown", (event) => { this.walk(event); });
  }

  /** Shows these captions; only lines that changed are drawn again. */
  render(captions: Captions): void {
    const follow = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < FOLLOW_WITHIN;
    const keep = new Set(captions.lines.map((line) => line.key));
    for (const [key, { element }] of this.drawn) {
      if (keep.has(key)) continue;
      element.remove();
      this.drawn.delete(key);
    }
    for (const line of captions.lines) this.draw(line);
    this.empty.hidden = captions.lines.length > 0;
    if (follow) this.box.scrollTop = this.box.scrollHeight;
  }

  /** The speaker has come to an end: what is said next is a paragraph of its own. */
  end(): void {
    const newest = [...this.drawn.values()].at(-1);
    if (newest !== undefined) newest.element.dataset["ends"] = "true";
  }

  private draw(line: CaptionLine): void {
    const before = this.drawn.get(line.key);
    if (before?.line === line) return;
    const element = before?.element ?? this.box.appendChild(make("div", "line"));
    element.dataset["kind"] = line.kind;
    const time = make("time", "", line.at_us === null ? "" : clockText(startOf(line)));
    const text = make("div", "text");
    if (line.kind === "gap") text.append("… ", make("span", "", "something is missing here"));
    else text.append(...line.words.flatMap((word, i) => (i === 0 ? [wordElement(word)] : [" ", wordElement(word)])));
    element.replaceChildren(time, text);
    this.drawn.set(line.key, { line, element });
    if (line.kind === "final" && before?.line.kind !== "final") this.say(textOf(line));
  }

  private say(text: string): void {
    this.spoken.append(make("p", "", text));
    while (this.spoken.childElementCount > SPOKEN_LINES) this.spoken.firstElementChild?.remove();
  }

  private tell(target: EventTarget | null): void {
    const told = target instanceof HTMLElement ? target.dataset["when"] : undefined;
    this.when.textContent = told ?? this.hint;
  }

  private walk(event: KeyboardEvent): void {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (event.key === "Escape") this.box.focus();
    if (step === 0) return;
    const words = [...this.box.querySelectorAll<HTMLElement>(".word")];
    const here = words.findIndex((word) => word === document.activeElement);
    // From the box itself both ways lead to the newest word.
    const next = words.at(here < 0 ? -1 : Math.min(Math.max(here + step, 0), words.length - 1));
    next?.focus();
    event.preventDefault();
  }
}

function startOf(line: CaptionLine): number {
  return line.kind === "gap" ? (line.at_us ?? 0) : (line.words[0]?.start_us ?? line.at_us);
}

function wordElement(word: Word): HTMLElement {
  const element = make("span", "word", word.text);
  element.tabIndex = -1;
  element.dataset["stable"] = String(word.stability >= STABLE);
  element.dataset["startUs"] = String(word.start_us);
  element.dataset["endUs"] = String(word.end_us);
  const sure = word.certainty === null ? "" : `, certainty ${Math.round(word.certainty * 100)} %`;
  element.dataset["when"] = `“${word.text}” ${clockText(word.start_us, 2)} – ${clockText(word.end_us, 2)}${sure}`;
  return element;
}
