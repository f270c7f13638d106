/** Making elements, and writing numbers. */

/** An element with properties (`dataset` and attributes such as "aria-label" among them) and children. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "dataset") Object.assign(made.dataset, value);
    else if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

export const byId = (id) => document.getElementById(id);

/** "23 %", and a decimal where there is less than a tenth. */
export function percent(probability) {
  const value = 100 * probability;
  return value >= 10 ? `${value.toFixed(0)} %` : value >= 0.05 ? `${value.toFixed(1)} %` : "< 0.1 %";
}

export const bits = (value) => (value == null ? "–" : value.toFixed(1));

/** "1 in 158": what is left of a probability when it is read aloud. */
export function oneIn(probability) {
  const n = 1 / probability;
  return `1 in ${n < 10 ? n.toFixed(1).replace(".0", "") : Math.round(n).toLocaleString("en")}`;
}

const isEnd = (word) => word === "<eos>" || word === "\n";

/** How a word or token is shown. */
export const shown = (word) => (isEnd(word) ? "↵" : word);

/** What a screen reader says for it. */
export const spoken = (word) => (isEnd(word) ? "end of line" : word);

/**
 * Run only the latest of jobs: each waits, and the one before it is given up.
 * @param {number} delay milliseconds without another one after which a job begins
 * @param {(error: unknown) => void} onError
 */
export function latest(delay, onError) {
  let current = new AbortController();
  let timer = 0;
  return (job, wait = delay) => {
    current.abort();
    clearTimeout(timer);
    const { signal } = (current = new AbortController());
    timer = setTimeout(() => job(signal).catch((error) => signal.aborted || onError(error)), wait);
  };
}
