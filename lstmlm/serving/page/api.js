/**
 * What the page asks of the server: the only file that knows its addresses and the shape of its answers.
 *
 * @typedef {{id: string, backbone: string, n_layers: number, hidden_sizes: number[]}} Model
 * @typedef {{word: string, probability: number, append: string}} NextWord  `append` to the text to accept the word.
 * @typedef {{word: string, bits: number, rank: number, probability: number, isUnknown: boolean}} ReadWord
 * @typedef {{layer: number, n_layers: number, tokens: string[], units: Record<string, number[][]>}} Gates
 */

/** The server answered, and said what is wrong. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** The server did not answer. */
export class Gone extends Error {}

const KEY = "lstmlm-key";

/** Keep the server's key for as long as this tab is open; none where it could not be sent, as with curly quotes. */
export function useKey(key) {
  if (/^[\x20-\x7e]+$/.test(key)) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

async function send(path, body, signal) {
  const key = sessionStorage.getItem(KEY);
  const headers = { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${key}` }) };
  const options = body ? { method: "POST", body: JSON.stringify(body) } : {};
  let response;
  try {
    response = await fetch(path, { ...options, headers, signal });
  } catch (error) {
    throw signal?.aborted ? error : new Gone();
  }
  if (!response.ok) throw new Refused(await reasonOf(response), response.status);
  return response;
}

async function reasonOf(response) {
  const answer = await response.json().catch(() => ({}));
  return answer.error?.message ?? `The server refused with status ${response.status}.`;
}

async function ask(path, body, signal) {
  const response = await send(path, body, signal);
  try {
    return await response.json();
  } catch (error) {
    throw signal?.aborted ? error : new Gone();
  }
}

/** @returns {Promise<boolean>} Whether the server answers at all. */
export async function isThere() {
  return fetch("health", { cache: "no-store" }).then((response) => response.ok, () => false);
}

/** @returns {Promise<Model[]>} */
export async function listModels() {
  return (await ask("v1/models")).data;
}

/** @returns {Promise<NextWord[]>} The likeliest first; with `complete` the last word is only begun. */
export async function findNextWords(model, text, k, complete, signal) {
  return (await ask("v1/next", { model, text, k, complete }, signal)).words;
}

/** What a word is that stands for the end of a line. */
export const END = "<eos>";

/** @returns {Promise<ReadWord[]>} Each word of a text, and `END` where a line ends; the last one may go on. */
export async function measureSurprisal(model, text, signal) {
  const { words } = await ask("v1/surprisal", { model, text }, signal);
  if (words.at(-1)?.word === END && !text.endsWith("\n")) words.pop();
  return words.map((row) => ({
    word: row.word,
    bits: row.surprisal_bits,
    rank: row.rank,
    probability: row.probability,
    isUnknown: Boolean(row.oov),
  }));
}

/** @returns {Promise<Gates>} By the letters of the cell's equations, a list of units for each token. */
export async function readGates(model, text, layer, signal) {
  return ask("v1/gates", { model, text, layer, units: true }, signal);
}

/**
 * Continue a text; yields its pieces as they come.
 * @param {{model: string, prompt: string, max_tokens: number, temperature: number, top_k?: number, top_p?: number,
 *   seed: number}} options
 */
export async function* complete(options, signal) {
  const response = await send("v1/completions", { ...options, stream: true }, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let unread = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const events = (unread + value).split("\n\n");
      unread = events.pop();
      for (const event of events) {
        const data = event.replace(/^data: /, "");
        if (data === "[DONE]") return;
        const answer = JSON.parse(data);
        if (answer.error) throw new Refused(answer.error.message, 500);
        yield answer.choices[0]?.text ?? "";
      }
    }
  } catch (error) {
    throw signal?.aborted || error instanceof Refused ? error : new Gone();
  }
}
