/** Text that the models write: word by word, all with the same settings, until they are stopped. */

import { complete } from "./api.js";
import { byId, element } from "./dom.js";

const TOP_K = [1, 2, 3, 5, 10, 20, 50, 100, null];
const MAX_TOKENS = 120;
const SHOWN_OF_PROMPT = 120;

export class Generation {
  /** Aborts what is being written. */
  #writing = null;

  /**
   * @param {{prompt: () => string, models: () => import("./api.js").Model[], keep: (text: string) => void,
   *   onError: (error: unknown) => void, say: (words: string) => void}} page
   */
  constructor(page) {
    this.page = page;
    this.button = byId("write");
    this.output = byId("written");
    const form = byId("generation");
    form.addEventListener("input", () => this.#showSettings());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#writing) this.#writing.abort();
      else this.#write();
    });
    this.#showSettings();
  }

  /** Stop, and forget what was written. */
  clear() {
    this.#writing?.abort();
    this.output.replaceChildren();
  }

  get #topK() {
    return TOP_K[byId("top-k").valueAsNumber];
  }

  #showSettings() {
    const show = (id, shown) => {
      document.querySelector(`output[for="${id}"]`).value = shown;
      byId(id).setAttribute("aria-valuetext", shown);
    };
    show("temperature", byId("temperature").valueAsNumber.toFixed(2));
    show("top-k", this.#topK === null ? "all words" : this.#topK === 1 ? "1 word" : `${this.#topK} words`);
    show("top-p", byId("top-p").valueAsNumber.toFixed(2));
  }

  async #write() {
    const writing = (this.#writing = new AbortController());
    this.button.textContent = "Stop";
    this.button.formNoValidate = true;
    const settings = {
      prompt: this.page.prompt(),
      max_tokens: MAX_TOKENS,
      temperature: byId("temperature").valueAsNumber,
      top_p: byId("top-p").valueAsNumber,
      seed: byId("seed").valueAsNumber,
      ...(this.#topK !== null && { top_k: this.#topK }),
    };
    const models = this.page.models();
    this.output.replaceChildren();
    try {
      await Promise.all(models.map((model) => this.#writeOne(model, settings, writing.signal)));
      this.page.say(`Written by ${models.map((model) => model.id).join(" and ")}.`);
    } catch (error) {
      if (!writing.signal.aborted) this.page.onError(error);
      writing.abort();
    }
    this.button.textContent = "Write on";
    this.button.formNoValidate = false;
    this.#writing = null;
  }

  async #writeOne(model, settings, signal) {
    const { prompt } = settings;
    const text = element("span");
    const keep = element("button", { type: "button", textContent: "Keep this text", hidden: true });
    keep.addEventListener("click", () => this.page.keep(prompt + text.textContent));
    const start = prompt.length > SHOWN_OF_PROMPT ? `…${prompt.slice(-SHOWN_OF_PROMPT)}` : prompt;
    this.output.append(
      element("article", { "aria-label": `Written by ${model.id}` },
        element("h3", { textContent: model.id }),
        element("p", {}, element("span", { className: "given", textContent: start }), text),
        keep,
      ),
    );
    try {
      for await (const piece of complete({ ...settings, model: model.id }, signal)) text.append(piece);
    } finally {
      keep.hidden = !text.textContent;
    }
  }
}
