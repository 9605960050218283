/** Finding and making elements. Text is always set as text: what the server sends never becomes markup. */

/** The element with this id, which the page is known to have; `kind` says which it must be. */
export function part(id: string): HTMLElement;
export function part<E extends HTMLElement>(id: string, kind: new () => E): E;
export function part(id: string, kind: new () => HTMLElement = HTMLElement): HTMLElement {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`The page has no #${id}.`);
  return found;
}

/** A new element with a class and content. */
export function make<Tag extends keyof HTMLElementTagNameMap>(tag: Tag, className = "", ...content: (Node | string)[]): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  if (className !== "") element.className = className;
  element.append(...content);
  return element;
}

/** Media time as people read it: minutes and seconds. */
export function clockText(at_us: number, decimals = 0): string {
  const seconds = Math.max(0, at_us) / 1e6;
  const minutes = Math.floor(seconds / 60);
  const scale = 10 ** decimals;
  const rest = (Math.floor((seconds - minutes * 60) * scale) / scale).toFixed(decimals);
  return `${minutes}:${rest.padStart(decimals === 0 ? 2 : decimals + 3, "0")}`;
}

/** Microseconds as milliseconds: one decimal below ten, none above. */
export function msText(us: number): string {
  const ms = us / 1000;
  return `${Math.abs(ms) < 9.95 ? ms.toFixed(1) : Math.round(ms).toString()} ms`;
}
