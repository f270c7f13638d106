/** Gates and memories as a heat map that runs under the words: a strip for each word, a line for each unit. */

import { element, shown, spoken } from "./dom.js";

/** @typedef {import("./api.js").Gates} Gates */

/** What the letters of the equations mean; a value is between 0 and 1, or has a sign. */
const MEANINGS = {
  i: ["Input gate", "how much of the new is let in"],
  f: ["Forget gate", "how much of the memory stays"],
  g: ["Candidate", "what could be added to the memory", true],
  o: ["Output gate", "how much of the memory shows"],
  r: ["Reset gate", "how much of the past counts for the candidate"],
  z: ["Update gate", "how much of the past stays"],
  n: ["Candidate", "what could take its place", true],
  cell: ["Memory", "what is kept for long", true],
  hidden: ["State", "what the next word is predicted from", true],
};

const FIRST_SHOWN = ["f", "z", "hidden"];

const NOTHING_READ = "Nothing has been read yet.";

/** One model's heat map with its choices; `ask()` is to answer with `show`. */
export class GateMap {
  #shown = "";
  /** @type {Gates | null} */
  #gates = null;
  /** Why there are none. */
  #reason = NOTHING_READ;

  constructor(model, ask) {
    this.model = model;
    this.ask = ask;
    this.layer = model.n_layers;
    this.choices = element("div", { className: "choices" });
    this.strips = element("ol", { className: "strips" });
    this.about = element("p", { className: "about" });
    this.table = element("div", { className: "table", role: "region", tabIndex: 0, "aria-label": `Means, ${model.id}` });
    this.root = element("article", { className: "gates", "aria-label": `Inside ${model.id}` },
      element("h3", { textContent: model.id }), this.choices, this.about, this.strips,
      element("details", {}, element("summary", { textContent: "Means of all units in a table" }), this.table));
    this.choices.addEventListener("change", ({ target }) => {
      if (target.name.startsWith("layer")) {
        this.layer = Number(target.value);
        ask();
      } else {
        this.#shown = target.value;
        this.draw();
      }
    });
  }

  /** @param {Gates | null} gates null where nothing has been read, for a reason that is said */
  show(gates, reason = NOTHING_READ) {
    this.#gates = gates;
    this.#reason = reason;
    if (gates && !this.choices.hasChildNodes()) this.#offerChoices(gates);
    this.draw();
  }

  #offerChoices({ units, n_layers }) {
    const names = Object.keys(units);
    this.#shown = FIRST_SHOWN.find((name) => names.includes(name)) ?? names[0];
    const kinds = names.map((name) => [name, `${(MEANINGS[name] ?? [name])[0]}`]);
    this.choices.append(this.#radios("shown", "What is shown", kinds, this.#shown));
    const layers = Array.from({ length: n_layers }, (_, index) => [String(index + 1), `Layer ${index + 1}`]);
    if (n_layers > 1) this.choices.append(this.#radios("layer", "Layer", layers, String(this.layer)));
  }

  #radios(name, legend, values, checked) {
    return element("fieldset", {}, element("legend", { className: "unseen", textContent: legend }),
      ...values.map(([value, label]) =>
        element("label", {},
          element("input", { type: "radio", name: `${name} of ${this.model.id}`, value, checked: value === checked }),
          element("span", { textContent: label }))));
  }

  /** Draw anew, also where colours have changed. */
  draw() {
    const tokens = this.#gates?.tokens ?? [];
    this.about.textContent = this.#gates ? this.#inWords() : this.#reason;
    this.strips.replaceChildren(...(tokens.length ? this.#drawStrips() : []));
    this.table.replaceChildren(...(tokens.length ? [this.#drawTable()] : []));
  }

  #inWords() {
    const [name, meaning, hasSign] = MEANINGS[this.#shown] ?? [this.#shown, "", true];
    const scale = hasSign
      ? "Blue is above 0, orange below, none near 0."
      : "Full colour is 1, open; none is 0, closed.";
    const gateless = "i" in this.#gates.units || "z" in this.#gates.units
      ? ""
      : " This network has no gates: with each word it writes all of its state anew.";
    return `${name}: ${meaning}. ${scale}${gateless}`;
  }

  #drawStrips() {
    const { tokens, units } = this.#gates;
    const values = units[this.#shown];
    const n = values[0].length;
    const means = values[0].map((_, unit) => values.reduce((sum, row) => sum + row[unit], 0));
    const order = means.map((_, unit) => unit).sort((a, b) => means[b] - means[a]);
    const most = values.reduce((most, row) => Math.max(most, ...row.map(Math.abs)), 1);
    const style = getComputedStyle(this.root);
    const [above, below] = ["--above", "--below"].map((name) => style.getPropertyValue(name).trim());
    return tokens.map((token, index) => {
      const canvas = element("canvas", { width: 1, height: n, "aria-hidden": "true" });
      const pen = canvas.getContext("2d");
      order.forEach((unit, line) => {
        const value = values[index][unit] / most;
        pen.fillStyle = value < 0 ? below : above;
        pen.globalAlpha = Math.abs(value);
        pen.fillRect(0, line, 1, 1);
      });
      const mean = meanOf(values[index]);
      return element("li", { title: `${spoken(token)}: mean ${mean.toFixed(2)}` },
        element("span", { className: "word", textContent: shown(token) }), canvas,
        element("span", { className: "unseen", textContent: `mean ${mean.toFixed(2)}` }));
    });
  }

  #drawTable() {
    const { tokens, units } = this.#gates;
    const names = Object.keys(units);
    const head = element("tr", {}, element("th", { scope: "col", textContent: "Word" }),
      ...names.map((name) => element("th", { scope: "col", textContent: (MEANINGS[name] ?? [name])[0] })));
    const rows = tokens.map((token, index) =>
      element("tr", {}, element("th", { scope: "row", textContent: spoken(token) }),
        ...names.map((name) => element("td", { textContent: meanOf(units[name][index].map(Math.abs)).toFixed(2) }))));
    return element("table", {},
      element("caption", { textContent: "Mean magnitude over the units." }),
      element("thead", {}, head), element("tbody", {}, ...rows));
  }
}

const meanOf = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
