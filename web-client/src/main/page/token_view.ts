/** The token that the server may ask for: taken from the address (`#token=…`) or from a field that appears when it is asked for. */

import { part } from "./dom.js";

/** Outlives a reload of this tab, and nothing else. */
const KEPT = "hearsight-token";

export class TokenView {
  private readonly form = part("token-form", HTMLFormElement);
  private readonly field = part("token", HTMLInputElement);

  /** `given` is called when a person has given a token. */
  constructor(given: () => void) {
    const told = new URLSearchParams(location.hash.slice(1)).get("token");
    if (told !== null) {
      sessionStorage.setItem(KEPT, told);
      // A token is not for onlookers, nor for the list of visited pages.
      history.replaceState(null, "", location.pathname + location.search);
    }
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      sessionStorage.setItem(KEPT, this.field.value.trim());
      this.field.value = "";
      this.form.hidden = true;
      given();
    });
  }

  /** What to send along; nothing where no token is known. */
  choice(): { token?: string } {
    const token = sessionStorage.getItem(KEPT) ?? "";
    return token === "" ? {} : { token };
  }

  /** Asks the person. */
  ask(): void {
    sessionStorage.removeItem(KEPT);
    this.form.hidden = false;
    this.field.focus();
  }
}
