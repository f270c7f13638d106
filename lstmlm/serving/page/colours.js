/** Surprisal as one of eight colours, in steps of two bits; what they look like is in page.css. */

export const BITS_A_LEVEL = 2;
export const LEVELS = 8;

/** @param {number | null | undefined} bits */
export function levelOf(bits) {
  return bits == null ? "" : String(Math.min(LEVELS - 1, Math.floor(bits / BITS_A_LEVEL)));
}

/** Fill the legend: a swatch for each colour, under it where it begins. */
export function drawLegend(list) {
  for (let level = 0; level < LEVELS; level++) {
    const item = document.createElement("li");
    item.dataset.first = String(level);
    item.textContent = `${level * BITS_A_LEVEL}${level === LEVELS - 1 ? "+ bits" : ""}`;
    list.append(item);
  }
}
