/** The page: what happens when the text, the models or the settings change. Each part is in a file of its own. */

import * as api from "./api.js";
import { byId, element, latest, percent, spoken } from "./dom.js";
import { GateMap } from "./gates.js";
import { Generation } from "./generation.js";
import { Notice } from "./notice.js";
import { drawLegend, showWords } from "./words.js";
import { Writing } from "./writing.js";

const N_WORDS = 8;

/** Milliseconds without a key after which something is asked. */
const SOON = 60;
const LATER = 250;
const AT_REST = 1200;

/** What the first model writes to begin with, and of how many words a beginning is taken from it. */
const OPENING = { prompt: "", max_tokens: 14, temperature: 0.7, seed: 3 };
const OPENING_WORDS = 6;

const writing = new Writing(byId("text"), byId("mirror"), byId("rankings"));
const notice = new Notice(byId("notice"), start);
const onError = (error) => notice.show(error);
const [askNext, askWords, tell] = [SOON, LATER, AT_REST].map((wait) => latest(wait, onError));

/** @type {api.Model[]} */
let served = [];
/** @type {api.Model[]} those that read: one or two */
let models = [];
/** @type {GateMap[]} */
let maps = [];
/** Whether the heat maps are to be seen: they are asked for no sooner. */
let areGatesSeen = false;
/** The text whose words and gates were asked for last. */
let measured = "";

const generation = new Generation({
  prompt: () => writing.text,
  models: () => models,
  keep: (text) => {
    writing.text = text;
    writing.field.focus();
  },
  onError,
  say,
});

/** Begin, or begin anew with what was chosen and written before. */
async function start() {
  const [first, second] = [byId("first"), byId("second")];
  const before = served.length ? [first.value, second.value] : undefined;
  served = await api.listModels();
  const options = () => served.map((model) => element("option", { value: model.id, textContent: describe(model) }));
  first.replaceChildren(...options());
  second.replaceChildren(element("option", { value: "", textContent: "no other" }), ...options());
  for (const [index, id] of (before ?? [served[0].id, served[1]?.id]).entries()) {
    if (served.some((model) => model.id === id)) [first, second][index].value = id;
  }
  byId("readers").hidden = false;
  if (!writing.text) await writeOpening().catch(onError);
  chooseModels();
}

/** Begin a text, unless someone does meanwhile. */
async function writeOpening() {
  let text = "";
  for await (const piece of api.complete({ ...OPENING, model: served[0].id })) text += piece;
  if (!writing.text) writing.field.value = text.trim().split("\n")[0].split(" ").slice(0, OPENING_WORDS).join(" ");
}

const describe = ({ id, backbone, n_layers, hidden_sizes }) => `${id} (${backbone}, ${n_layers} × ${hidden_sizes.at(-1)})`;

function chooseModels() {
  const chosen = [...new Set([byId("first").value, byId("second").value])].filter(Boolean);
  if (chosen.join("\n") !== models.map((model) => model.id).join("\n")) generation.clear();
  models = chosen.flatMap((id) => served.filter((model) => model.id === id));
  document.body.classList.toggle("two", models.length > 1);
  byId("halves").textContent = models.length > 1 ? `Upper half of a word: ${models[0].id}; lower half: ${models[1].id}.` : "";
  writing.setModels(models);
  maps = models.map((model) => {
    const ask = latest(LATER, onError);
    const map = new GateMap(model, () => ask((signal) => readGates(map, signal)));
    return map;
  });
  byId("gates").replaceChildren(...maps.map((map) => map.root));
  writing.text = writing.text;
}

/** Ask what has to be known of the text as it is now. */
function read() {
  if (!models.length) return;
  askNext(findNextWords);
  measure(writing.finishedText);
}

function measure(text) {
  measured = text;
  askWords(measureWords);
  maps.forEach((map) => map.ask());
}

async function findNextWords(signal) {
  const { prefix, isWordBegun } = writing;
  const found = await Promise.all(models.map((model) => nextWordsOf(model, prefix, isWordBegun, signal)));
  found.forEach((words, index) => writing.showNextWords(index, words));
  if (isWordBegun && found.every((words) => words.isWhole)) measure(writing.text);
  notice.clear();
  tell(async () => say(found.map((words, index) => expectation(models[index], words)).join(" ")));
}

/** What completes a word, or follows it where nothing does. */
async function nextWordsOf(model, prefix, isWordBegun, signal) {
  if (isWordBegun) {
    const words = await api.findNextWords(model.id, prefix, N_WORDS + 1, true, signal);
    const longer = words.filter((word) => word.append).slice(0, N_WORDS);
    const isWhole = longer.length < words.length;
    if (longer.length || !isWhole) return Object.assign(longer, { isWhole });
  }
  return Object.assign(await api.findNextWords(model.id, prefix, N_WORDS, false, signal), { isWhole: true });
}

const expectation = (model, [first]) =>
  first ? `${model.id} expects ${spoken(first.word)}, ${percent(first.probability)}.` : `${model.id} knows no such word.`;

async function measureWords(signal) {
  const ask = (model) => (measured.trim() ? api.measureSurprisal(model.id, measured, signal) : []);
  const read = await Promise.all(models.map(ask));
  writing.showSurprisal(read);
  showWords({ sum: byId("sum"), gloss: byId("gloss"), table: byId("table") }, models, read);
}

async function readGates(map, signal) {
  if (!areGatesSeen) return;
  try {
    map.show(measured.trim() ? await api.readGates(map.model.id, measured, map.layer, signal) : null);
  } catch (error) {
    // Next words are found for the same text, which would take a notice away.
    if (!(error instanceof api.Refused) || error.status === 401) throw error;
    map.show(null, error.message);
  }
}

function say(words) {
  byId("status").textContent = words;
}

drawLegend(byId("legend"));
writing.addEventListener("change", read);
byId("readers").addEventListener("change", chooseModels);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => maps.forEach((map) => map.draw()));
new IntersectionObserver(([{ isIntersecting }]) => {
  if (isIntersecting && !areGatesSeen) {
    areGatesSeen = true;
    maps.forEach((map) => map.ask());
  }
}).observe(byId("gates").parentElement);
start().catch(onError);
