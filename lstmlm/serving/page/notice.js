/** What went wrong, in words, and the way out of it. */

import * as api from "./api.js";
import { element } from "./dom.js";

const AGAIN = 2000;

export class Notice {
  #timer = 0;

  /** @param {() => Promise<void>} again begins anew when the server is back, or has been given its key */
  constructor(place, again) {
    this.place = place;
    this.again = () => again().catch((error) => this.show(error));
  }

  /** @param {unknown} error */
  show(error) {
    if (error instanceof api.Gone) {
      this.#say("The server does not answer. Is lstmlm serve still running? The page tries again until it does.");
      this.#waitForServer();
    } else if (error instanceof api.Refused && error.status === 401) {
      this.#askForKey();
    } else if (error instanceof api.Refused) {
      this.#say(error.message);
    } else {
      this.#say(`This page made a mistake: ${error}`);
      console.error(error);
    }
  }

  clear() {
    if (this.#timer) return;
    this.place.hidden = true;
    this.place.replaceChildren();
  }

  #say(...content) {
    this.place.replaceChildren(...content);
    this.place.hidden = false;
  }

  #waitForServer() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      if (!(await api.isThere())) return this.#waitForServer();
      this.#timer = 0;
      this.clear();
      this.again();
    }, AGAIN);
  }

  #askForKey() {
    const key = element("input", { id: "key", type: "password", required: true, autocomplete: "off" });
    const form = element("form", {},
      element("label", { htmlFor: "key", textContent: "This server asks for a key:" }), key,
      element("button", { type: "submit", textContent: "Use it" }));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      api.useKey(key.value);
      this.clear();
      this.again();
    });
    this.#say(form);
  }
}
