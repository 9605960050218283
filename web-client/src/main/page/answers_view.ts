/** A field for questions about the picture, and the answers below it, as they come. */

import { SERVERS_OWN, type AnswerEvent, type AnswerMessage, type Evidence, type Session, type SessionMessage } from "../hearsight.js";
import { make, part } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
/** Questions that stay on the page. */
const KEPT = 30;
/** Less readable than this is worth a word. */
const CLEAR = 0.8;

interface Entry {
  readonly item: HTMLElement;
  readonly answer: HTMLElement;
  readonly facts: HTMLElement;
  readonly cancel: HTMLButtonElement;
}

/** The questions of one session: those typed here, and those that were said. */
export class AnswersView {
  private readonly form = part("ask-form", HTMLFormElement);
  private readonly field = part("ask-field", HTMLInputElement);
  private readonly button = part("ask-button", HTMLButtonElement);
  private readonly note = part("ask-note");
  private readonly list = part("answers");
  private readonly spoken = part("answers-spoken");
  private readonly hint = this.note.textContent;
  private readonly entries = new Map<number, Entry>();
  private session: Session | null = null;

  /** `view` is what the places that an answer rests on are drawn over. */
  constructor(private readonly view: HTMLVideoElement) {
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask();
    });
  }

  /** A connection began: whoever answers is told of, or that nobody does. */
  met(session: Session, { answerer }: SessionMessage): void {
    this.session = session;
    this.field.disabled = this.button.disabled = answerer === null;
    this.note.textContent =
      answerer === null
        ? "Nobody answers questions on this server. Its operator can choose who does: the setting ask.engine."
        : `${answerer.name}. ${answerer.note}`;
  }

  /** The session is over; what was answered stays. */
  over(): void {
    this.session = null;
    this.field.disabled = this.button.disabled = true;
    this.note.textContent = this.hint;
    this.rest([]);
  }

  /** Takes in what is told of a question. */
  take(event: AnswerEvent): void {
    const entry = this.entry(event.ask, questionOf(event));
    switch (event.type) {
      case "question":
        entry.item.querySelector(".question")?.replaceChildren(event.text);
        break;
      case "answer.text":
        entry.answer.append(event.text);
        break;
      case "answer":
        this.end(entry, "said", event.text, facts(event));
        if (event.evidence.length > 0) this.lookable(entry, event.evidence);
        break;
      case "answer.none":
        this.end(entry, "none", entry.answer.textContent, event.message);
        break;
    }
  }

  private ask(): void {
    const question = this.field.value.trim();
    if (question === "" || this.session === null) return;
    this.field.value = "";
    this.field.focus();
    const asked = this.session.ask(question);
    const entry = this.entry(asked.ask, question);
    entry.cancel.addEventListener("click", () => {
      asked.cancel();
      this.field.focus();
    });
  }

  /** The entry of a question, the newest on top; its words may come later than its number. */
  private entry(ask: number, question: string): Entry {
    const known = this.entries.get(ask);
    if (known?.item.dataset["state"] === "open") return known;
    const cancel = make("button", "quiet", "Never mind");
    cancel.type = "button";
    cancel.hidden = ask >= SERVERS_OWN;
    const answer = make("p", "answer");
    const facts = make("p", "note", "Looking…");
    const item = make("li", "", make("p", "question", question), answer, make("div", "answer-foot", facts, cancel));
    item.dataset["state"] = "open";
    item.dataset["ask"] = String(ask);
    const entry = { item, answer, facts, cancel };
    this.entries.set(ask, entry);
    this.list.prepend(item);
    while (this.list.childElementCount > KEPT) {
      const oldest = this.list.lastElementChild;
      if (oldest instanceof HTMLElement) this.entries.delete(Number(oldest.dataset["ask"]));
      oldest?.remove();
    }
    return entry;
  }

  private end(entry: Entry, state: "said" | "none", text: string, facts: string): void {
    entry.item.dataset["state"] = state;
    entry.answer.textContent = text;
    entry.facts.textContent = facts;
    entry.cancel.remove();
    // Read out once it is whole: pieces would interrupt each other.
    this.spoken.replaceChildren(make("p", "", text === "" ? facts : `${text} ${facts}`));
  }

  /** While an answer is pointed at or focused, the places that it rests on are drawn over the picture. */
  private lookable(entry: Entry, evidence: readonly Evidence[]): void {
    entry.item.tabIndex = 0;
    entry.item.dataset["places"] = String(evidence.length);
    const show = (): void => {
      this.rest(evidence);
    };
    const hide = (): void => {
      this.rest([]);
    };
    entry.item.addEventListener("pointerenter", show);
    entry.item.addEventListener("focus", show);
    entry.item.addEventListener("pointerleave", hide);
    entry.item.addEventListener("blur", hide);
  }

  private rest(evidence: readonly Evidence[]): void {
    const layer = this.view.parentElement?.querySelector(".places");
    const { videoWidth: width, videoHeight: height } = this.view;
    layer?.setAttribute("viewBox", `0 0 ${Math.max(width, 1)} ${Math.max(height, 1)}`);
    layer?.replaceChildren(
      ...evidence.map(({ region, share }) => {
        const place = document.createElementNS(SVG, "polygon");
        place.setAttribute("points", region.map(([x, y]) => `${(x * width).toFixed(1)},${(y * height).toFixed(1)}`).join(" "));
        place.setAttribute("fill-opacity", (0.12 + 0.3 * Math.min(Math.max(share, 0), 1)).toFixed(2));
        return place;
      }),
    );
  }
}

function questionOf(event: AnswerEvent): string {
  if (event.type === "answer.text") return "";
  return event.type === "question" ? event.text : event.question;
}

function facts({ certainty, readability, pictures, evidence, took_us, ended }: AnswerMessage): string {
  const parts = [];
  if (certainty !== null) parts.push(`${Math.round(certainty * 100)} % sure`);
  // A clear view goes without saying.
  if (readability !== null && readability < CLEAR) parts.push(`hard to see (readability ${Math.round(readability * 100)} %)`);
  const newest = pictures.at(-1);
  if (newest !== undefined) {
    const still = newest.age_us - newest.still_us > 1_000_000 ? ", unchanged since" : "";
    parts.push(`looked at ${pictures.length > 1 ? `${pictures.length} pictures, the last` : "a picture"} ${seconds(newest.age_us)} old${still}`);
  }
  parts.push(`took ${seconds(took_us)}`);
  if (ended === "late") parts.push("cut short by its deadline");
  if (ended === "long") parts.push("cut short: it was as long as it may be");
  if (evidence.length > 0) parts.push("point here to see where it looked");
  return parts.join(" · ");
}

function seconds(us: number): string {
  return `${(Math.max(us, 0) / 1e6).toFixed(1)} s`;
}
