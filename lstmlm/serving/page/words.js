/** Surprisal in colours, and in numbers: bits under each word, the sum of each model, and a table. */

import { END } from "./api.js";
import { bits, element, oneIn, shown, spoken } from "./dom.js";

/** @typedef {import("./api.js").ReadWord} ReadWord */
/** @typedef {import("./api.js").Model} Model */

/** Colours are eight, one for each two bits; what they look like is in page.css. */
const BITS_A_LEVEL = 2;
const LEVELS = 8;

/** The colour of a word. @param {number | null | undefined} bits */
export function levelOf(bits) {
  return bits == null ? "" : String(Math.min(LEVELS - 1, Math.floor(bits / BITS_A_LEVEL)));
}

/** Fill the legend: a swatch for each colour, under it where it begins. */
export function drawLegend(list) {
  for (let level = 0; level < LEVELS; level++) {
    const from = level * BITS_A_LEVEL;
    list.append(element("li", { dataset: { first: String(level) }, textContent: level < LEVELS - 1 ? from : `${from}+ bits` }));
  }
}

/** The same words of each model: ends of lines are none where one of them knows no lines. */
const sideBySide = (answers) =>
  answers.every((words) => words.length === answers[0].length)
    ? answers
    : answers.map((words) => words.filter((word) => word.word !== END));

/** @param {Model[]} models @param {ReadWord[][]} answers for each model */
export function showWords({ sum, gloss, table }, models, answers) {
  const read = sideBySide(answers);
  sum.textContent = inWords(models, read);
  gloss.replaceChildren(...(read[0].length ? glossOf(models, read) : []));
  table.replaceChildren(tableOf(models, read));
}

const total = (words) => words.reduce((sum, word) => sum + word.bits, 0);

/** "lstm needed 48.2 bits for these 12 words, rnn 61.0: 27 % more." */
export function inWords(models, read) {
  const n = read[0].length;
  if (!n) return "Nothing has been read yet.";
  const sums = read.map(total);
  const words = n === 1 ? "this word" : `these ${n} words`;
  const first = `${models[0].id} needed ${bits(sums[0])} bits for ${words}`;
  if (models.length < 2) return `${first}: ${bits(sums[0] / n)} a word.`;
  const difference = Math.round(100 * (sums[1] / sums[0] - 1));
  const compared = difference === 0 ? "as many" : `${Math.abs(difference)} % ${difference > 0 ? "more" : "fewer"}`;
  return `${first}, ${models[1].id} ${bits(sums[1])}: ${compared}.`;
}

function glossOf(models, read) {
  const labels = models.map((model) => element("span", { className: "label", textContent: model.id }));
  const heading = models.length > 1 ? [element("li", { className: "labels", "aria-hidden": "true" }, ...labels)] : [];
  return heading.concat(
    read[0].map((word, index) => {
      const ofEach = read.map((words) => words[index]);
      const said = ofEach.map((each, model) => sentenceOn(models[model], each));
      return element("li", { title: said.join("\n") },
        element("span", { className: "word", textContent: shown(word.word), "aria-label": spoken(word.word) }),
        ...ofEach.map((each) =>
          element("span", { className: "bits", dataset: { first: levelOf(each?.bits) }, textContent: bits(each?.bits) }),
        ),
      );
    }),
  );
}

function sentenceOn(model, word) {
  if (!word) return `${model.id}: not read`;
  const unknown = word.isUnknown ? ", a word that it does not know" : "";
  return `${model.id}: ${bits(word.bits)} bits, ${oneIn(word.probability)}, rank ${word.rank}${unknown}`;
}

function tableOf(models, read) {
  const head = element("tr", {}, cell("th", "Word"));
  for (const model of models) {
    head.append(cell("th", `${model.id}, bits`), cell("th", "probability"), cell("th", "rank"));
  }
  const rows = read[0].map((word, index) => {
    const row = element("tr", {}, cell("th", spoken(word.word), "row"));
    for (const words of read) {
      const each = words[index];
      row.append(cell("td", bits(each?.bits)), cell("td", each ? oneIn(each.probability) : "–"), cell("td", each?.rank ?? "–"));
    }
    return row;
  });
  const foot = element("tr", {}, cell("th", "Sum", "row"));
  for (const words of read) foot.append(cell("td", bits(total(words))), cell("td", ""), cell("td", ""));
  return element("table", {},
    element("thead", {}, head), element("tbody", {}, ...rows), element("tfoot", {}, foot));
}

function cell(name, content, scope = "col") {
  return element(name, { textContent: String(content), ...(name === "th" && { scope }) });
}
