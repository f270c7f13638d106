"""What a server says of a text with `echo` is what `eval perplexity` and `eval surprisal` say of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_run import LINES, make_run
from served import OUTPUTS, TOKENIZERS, model_options

pytestmark = pytest.mark.loopback

N_TOKENS = 2000

CELLS = ("rnn", "lstm", "gru", "mogrifier")

# Every pair of cell and tokenizer, and of tokenizer and output layer.
KINDS = [
    (cell, tokenizer, list(OUTPUTS)[(row + column) % len(OUTPUTS)])
    for row, cell in enumerate(CELLS)
    for column, tokenizer in enumerate(TOKENIZERS)
]


def text_of(trained: Any) -> str:
    """A text of 2,000 tokens and more."""
    text = ""
    while len(trained.tokenizer.encode(text)) < N_TOKENS:
        text += "".join(f"{line}\n" for line in LINES)
    return text


@pytest.mark.parametrize(("cell", "tokenizer", "output"), KINDS)
def test_echo_agrees_with_the_evaluation(tmp_path: Path, serving: Any, cell: str, tokenizer: str, output: str) -> None:
    from lstmlm.scoring import score
    from lstmlm.serving.models import ServedModels

    trained = make_run(tmp_path / "run", model_options(cell, output), dict(TOKENIZERS[tokenizer]))
    text = text_of(trained)
    models = ServedModels.load([tmp_path / "run"])
    model = models.find(None).model
    with serving(models) as server:
        choice = server.choice(prompt=text, max_tokens=0, echo=True, logprobs=0)
    nats = -np.array(choice["logprobs"]["token_logprobs"])
    wanted = score(trained.model, trained.tokenizer.encode(text), trained.tokenizer.start_id)
    assert len(nats) >= N_TOKENS
    np.testing.assert_allclose(nats, wanted, rtol=0, atol=1e-4)
    assert np.exp(nats.mean()) == pytest.approx(model.perplexity(text), rel=1e-6)
    bits = sum(row["surprisal_bits"] for row in model.surprisal(text))
    assert nats.sum() == pytest.approx(bits * np.log(2), rel=1e-6)
    assert "".join(choice["logprobs"]["tokens"]) == text or tokenizer == "bpe"
