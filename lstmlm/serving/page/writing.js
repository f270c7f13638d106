/**
 * The text that is written: coloured behind its words, and completed from a list of words for each model.
 *
 * The list is *open* while someone writes at the end of the text: then Tab takes a word and the arrow keys choose one.
 * After Esc, or outside of the text, keys do what they always do. The keyboard's focus never leaves the text; which word
 * is chosen is told by aria-activedescendant.
 */

import { END } from "./api.js";
import { element, percent, shown, spoken } from "./dom.js";
import { levelOf } from "./words.js";

/** @typedef {import("./api.js").NextWord} NextWord */
/** @typedef {import("./api.js").ReadWord} ReadWord */

export class Writing extends EventTarget {
  /** @type {(NextWord[] | null)[]} for each model; null while it is asked, and the words shown are those before */
  #words = [];
  /** @type {ReadWord[][]} for each model */
  #read = [];
  #isOpen = false;
  /** [list, place] of the chosen word */
  #chosen = null;
  /** Up to where the last word is known to be whole, as it was taken and not typed. */
  #wholeLength = 0;
  /** The `prefix` that words were asked for. */
  #askedPrefix = "";

  /** @param {HTMLTextAreaElement} field */
  constructor(field, mirror, rankings) {
    super();
    Object.assign(this, { field, mirror, rankings });
    field.addEventListener("input", () => this.#changed(true));
    field.addEventListener("keydown", (event) => this.#onKey(event));
    field.addEventListener("focus", () => this.#moved());
    field.addEventListener("blur", () => {
      this.#setOpen(false);
      this.#moved();
    });
    document.addEventListener("selectionchange", () => document.activeElement === field && this.#moved());
    rankings.addEventListener("pointerdown", (event) => event.preventDefault());
    rankings.addEventListener("click", (event) => this.#onClick(event));
  }

  get text() {
    return this.field.value;
  }

  /** Replace the text by one whose last word is whole. */
  set text(text) {
    this.field.value = text;
    this.#wholeLength = text.length;
    this.#changed(false);
  }

  /** The text up to its end, or up to where someone is writing within it. */
  get prefix() {
    return this.#isAtEnd ? this.text : this.text.slice(0, this.field.selectionStart);
  }

  /** Whether the last word of `prefix` may go on. */
  get isWordBegun() {
    return /\S$/.test(this.prefix) && this.prefix.length !== this.#wholeLength;
  }

  /** The text without the word that is being typed. */
  get finishedText() {
    return this.#isOpen && this.isWordBegun && this.#isAtEnd ? this.text.replace(/\S+$/, "") : this.text;
  }

  get #isAtEnd() {
    return document.activeElement !== this.field || this.field.selectionStart === this.text.length;
  }

  /** Prepare a list for each model. */
  setModels(models) {
    this.#words = models.map(() => null);
    this.#read = [];
    this.rankings.replaceChildren(
      ...models.map((model, index) =>
        element("div", { className: "ranking", dataset: { list: String(index) } },
          element("h3", { id: `of-${index}`, textContent: model.id }),
          element("ul", { id: `words-${index}`, role: "listbox", "aria-labelledby": `of-${index}` }),
          element("p", { className: "none", hidden: true }),
        ),
      ),
    );
    this.field.setAttribute("aria-controls", models.map((_, index) => `words-${index}`).join(" "));
    this.#draw();
  }

  /** Show what a model expects next. @param {NextWord[]} words */
  showNextWords(index, words) {
    this.#words[index] = words;
    this.rankings.ariaBusy = String(this.#words.includes(null));
    const list = this.rankings.querySelector(`#words-${index}`);
    const most = words[0]?.probability ?? 1;
    list.replaceChildren(
      ...words.map((word, place) => {
        const bar = element("span", { className: "bar", "aria-hidden": "true" });
        bar.style.setProperty("--share", String(word.probability / most));
        return element("li", {
            id: `word-${index}-${place}`,
            role: "option",
            "aria-selected": "false",
            "aria-label": `${spoken(word.word)}, ${percent(word.probability)}`,
          },
          element("span", { className: "word", textContent: shown(word.word) }), bar,
          element("span", { className: "percent", textContent: percent(word.probability) }),
        );
      }),
    );
    list.hidden = words.length === 0;
    const none = list.nextElementSibling;
    none.hidden = words.length > 0;
    none.textContent = "Knows no word that begins so. Capitals and accents count.";
    if (this.#chosen?.[0] === index) this.#choose(null);
    this.#draw();
  }

  /** Colour the words of the text. @param {ReadWord[][]} read for each model */
  showSurprisal(read) {
    this.#read = read;
    this.#draw();
  }

  #changed(isOpen) {
    this.#words = this.#words.map(() => null);
    this.rankings.ariaBusy = "true";
    this.#setOpen(isOpen);
    this.#choose(null);
    this.#askedPrefix = this.prefix;
    this.dispatchEvent(new Event("change"));
  }

  /** Words are taken where the text is read up to: elsewhere others are asked for. */
  #moved() {
    if (this.prefix !== this.#askedPrefix) this.#changed(this.#isOpen && this.#isAtEnd);
  }

  #setOpen(isOpen) {
    this.#isOpen = isOpen;
    if (!isOpen) this.#choose(null);
    this.rankings.classList.remove("closed");
    this.rankings.classList.toggle("open", isOpen);
    this.#draw();
  }

  /** @param {[number, number] | null} chosen */
  #choose(chosen) {
    this.#chosen = chosen;
    for (const option of this.rankings.querySelectorAll('[aria-selected="true"]')) option.ariaSelected = "false";
    if (chosen) {
      const option = this.rankings.querySelector(`#word-${chosen[0]}-${chosen[1]}`);
      option.ariaSelected = "true";
      this.field.setAttribute("aria-activedescendant", option.id);
    } else {
      this.field.removeAttribute("aria-activedescendant");
    }
  }

  /** The word that Tab takes. */
  get #offered() {
    const [list, place] = this.#chosen ?? [0, 0];
    return this.#isOpen && this.#isAtEnd ? this.#words[list]?.[place] : undefined;
  }

  #onKey(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const act = this.#actionOf(event.key);
    if (!act) return;
    event.preventDefault();
    act();
    this.#draw();
  }

  #actionOf(key) {
    const [list, place] = this.#chosen ?? [0, -1];
    const words = this.#words[list] ?? [];
    const choose = (otherList, otherPlace) => () => {
      this.#isOpen || this.#setOpen(true);
      this.#choose(otherPlace < 0 ? null : [otherList, otherPlace]);
    };
    const goTo = (other) => {
      const n = this.#words[other]?.length;
      return n ? choose(other, Math.min(place, n - 1)) : undefined;
    };
    switch (key) {
      case "Tab":
        // Words that are still asked for are no reason to leave the text.
        return this.#isOpen && this.#isAtEnd && (!this.#words[list] || words.length) && (() => this.#take(this.#offered));
      case "Enter":
        return this.#chosen && (() => this.#take(this.#offered));
      case "Escape":
        return this.#isOpen && (() => this.#close());
      case "ArrowDown":
        return this.#isAtEnd && words.length && choose(list, Math.min(place + 1, words.length - 1));
      case "ArrowUp":
        return this.#chosen && choose(list, place - 1);
      case "ArrowRight":
        return this.#chosen && goTo(list + 1);
      case "ArrowLeft":
        return this.#chosen && goTo(list - 1);
    }
  }

  #close() {
    this.#setOpen(false);
    this.rankings.classList.add("closed");
  }

  #onClick(event) {
    const option = event.target.closest('[role="option"]');
    if (!option) return;
    const [, list, place] = option.id.split("-").map(Number);
    this.#take(this.#words[list]?.[place]);
  }

  /** Write a word where the text is read up to, so that it can be undone where the browser allows it. */
  #take(word) {
    if (!word) return;
    const at = this.prefix.length;
    this.#wholeLength = at + word.append.length;
    const isFocused = document.activeElement === this.field;
    if (!isFocused || !document.execCommand("insertText", false, word.append)) {
      this.field.setRangeText(word.append, at, at, "end");
      this.#changed(isFocused);
    }
  }

  /** Draw the same text behind the field, its words coloured, and the offered word after it. */
  #draw() {
    const places = this.#read.map((words) => placesOf(this.text, words));
    const parts = [];
    let end = 0;
    for (const [index, { start, word }] of (places[0] ?? []).entries()) {
      const levels = { first: levelOf(word.bits) };
      if (places.length > 1) levels.second = levelOf(places[1][index]?.word.bits);
      parts.push(this.text.slice(end, start), element("mark", { dataset: levels, textContent: word.word }));
      end = start + word.word.length;
    }
    const offered = this.#offered?.append.replace("\n", "↵") ?? "";
    const ghost = element("span", { className: "ghost", textContent: offered });
    // The last line has its height also while it is empty.
    this.mirror.replaceChildren(...parts, this.text.slice(end), ghost, "\u200b");
  }
}

/** Find words in a text as far as it is still the one that they were read from; ends of lines are left out. */
function placesOf(text, words) {
  const places = [];
  let end = 0;
  for (const word of words) {
    if (word.word === END) continue;
    const start = text.indexOf(word.word, end);
    if (start < 0 || text.slice(end, start).trim()) break;
    end = start + word.word.length;
    if (/^\S/.test(text.slice(end))) break;
    places.push({ start, word });
  }
  return places;
}
