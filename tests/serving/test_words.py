"""What the page makes of surprisals, without a browser."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import lstmlm.serving

PAGE = Path(lstmlm.serving.__file__).parent / "page"

STAND_IN = """
globalThis.document = { createElement: () => ({ append() {}, setAttribute() {}, dataset: {}, style: {} }) };
const { showWords } = await import(process.argv[1]);
const [models, answers] = JSON.parse(process.argv[2]);
const sum = {}, place = { replaceChildren() {} };
showWords({ sum, gloss: place, table: place }, models, answers);
console.log(sum.textContent);
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
@pytest.mark.parametrize("ends", [("<eos>", "<eos>"), ("<eos>", None), (None, "<eos>")])
def test_models_are_compared_word_by_word(ends: tuple[str | None, str | None]) -> None:
    """Ends of lines count where both models have them."""
    bits = {"x": 1.0, "<eos>": 8.0, "y": 2.0}
    answers = [
        [
            {"word": word, "bits": factor * bits[word], "probability": 0.5, "rank": 1}
            for word in ("x", end, "y")
            if word is not None
        ]
        for factor, end in zip((1, 2), ends, strict=True)
    ]
    given = json.dumps([[{"id": "a"}, {"id": "b"}], answers])
    command = ["node", "--input-type=module", "-e", STAND_IN, str(PAGE / "words.js"), given]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    n, total = (3, 11) if None not in ends else (2, 3)
    assert shown == f"a needed {total}.0 bits for these {n} words, b {2 * total}.0: 100 % more."
