"""Parts of the page without a browser: the heat map, and the place at which words are asked for."""

import shutil
import subprocess
from pathlib import Path

import pytest

import lstmlm.serving

PAGE = Path(lstmlm.serving.__file__).parent / "page"

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")

STAND_IN = """
const pen = { fillRect() {} };
const made = () => Object.assign(new EventTarget(), {
  children: [], dataset: {}, style: {}, classList: { toggle() {}, remove() {}, add() {} },
  append(...parts) { this.children.push(...parts); },
  replaceChildren(...parts) { this.children = parts; },
  hasChildNodes() { return this.children.length > 0; },
  querySelectorAll: () => [], setAttribute() {}, removeAttribute() {}, getContext: () => pen,
});
globalThis.document = Object.assign(new EventTarget(), { createElement: made });
globalThis.getComputedStyle = () => ({ getPropertyValue: () => "#000" });
"""


def said(script: str, name: str) -> list[str]:
    """What a script writes that is given a module of the page as `part`."""
    whole = f"{STAND_IN}\nconst part = await import(process.argv[1]);\n{script}"
    command = ["node", "--input-type=module", "-e", whole, str(PAGE / name)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_a_heat_map_may_have_as_many_units_as_the_server_tells_of() -> None:
    """1,000 units at each of 1,000 tokens."""
    script = """
    const map = new part.GateMap({ id: "a", n_layers: 1 }, () => {});
    const cell = Array.from({ length: 1000 }, () => Array(1000).fill(0.5));
    map.show({ units: { cell }, tokens: Array(1000).fill("x"), n_layers: 1 });
    console.log(map.strips.children.length);
    map.show(null, "too much");
    console.log(map.strips.children.length, map.about.textContent);
    """
    assert said(script, "gates.js") == ["1000", "0 too much"]


def test_words_are_asked_for_where_the_caret_is() -> None:
    script = """
    const field = made(), asked = [];
    const writing = new part.Writing(field, made(), made());
    writing.addEventListener("change", () => asked.push(writing.prefix));
    field.value = "the cat sat";
    const moveTo = (place) => {
      field.selectionStart = place;
      document.dispatchEvent(new Event("selectionchange"));
    };
    document.activeElement = field;
    field.selectionStart = 11;
    field.dispatchEvent(new Event("input"));
    for (const place of [11, 3, 3, 11, 7]) moveTo(place);
    document.activeElement = null;
    field.dispatchEvent(new Event("blur"));
    console.log(asked.join("\\n"));
    """
    assert said(script, "writing.js") == ["the cat sat", "the", "the cat sat", "the cat", "the cat sat"]
