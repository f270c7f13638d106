"""What every sampling filter promises, for any distribution and any setting."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lstmlm.generation.filters import FILTERS, OF_TEXT

VOCAB_SIZE = 5
SETTINGS = {
    "without_token": [0, VOCAB_SIZE - 1],
    "only": [[0], [1, VOCAB_SIZE - 1]],
    "temperature": [0.0, 1e-300, 0.5, 1.0, 1e300, float("inf")],
    "top_k": [1, 3, VOCAB_SIZE, 10 * VOCAB_SIZE],
    "top_p": [1e-12, 0.5, 0.999999999, 1.0],
    "min_p": [0.0, 1e-300, 0.5, 1.0],
    "typical_p": [1e-12, 0.5, 0.999999999, 1.0],
    "repetition_penalty": [1e-300, 0.5, 1.0, 1.2, 1e300],
    "no_repeat_ngram_size": [1, 2, 3, 100],
}

# Very unequal scores make float64 probabilities underflow to exactly 0 and 1; infinite ones are impossible tokens.
score = st.floats(-1000, 1000) | st.just(-torch.inf) | st.just(0.0)
scores = st.lists(score, min_size=VOCAB_SIZE, max_size=VOCAB_SIZE).filter(lambda row: max(row) > -torch.inf)


TEXTS = [[0, 1, 0, 1, 2, 0, 1], [], [3, 3, 3, 4, 0, 1, 2, 3]]


def filtered_by(name: str, rows: Tensor, setting: object, texts: list[list[int]]) -> Tensor:
    return FILTERS[name](rows, setting, texts[: len(rows)]) if name in OF_TEXT else FILTERS[name](rows, setting)


def log_probabilities(rows: list[list[float]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64).log_softmax(dim=-1)


def test_every_filter_has_settings_here() -> None:
    assert SETTINGS.keys() == FILTERS.keys()


@pytest.mark.parametrize("name", FILTERS)
@given(rows=st.lists(scores, min_size=1, max_size=3), data=st.data())
def test_leaves_a_distribution(name: str, rows: list[list[float]], data: st.DataObject) -> None:
    filtered = filtered_by(name, log_probabilities(rows), data.draw(st.sampled_from(SETTINGS[name])), TEXTS)
    assert not filtered.isnan().any()
    assert torch.allclose(filtered.exp().sum(dim=-1), torch.ones(len(rows), dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", FILTERS)
@given(rows=st.lists(scores, min_size=2, max_size=3), data=st.data())
def test_rows_do_not_see_each_other(name: str, rows: list[list[float]], data: st.DataObject) -> None:
    setting = data.draw(st.sampled_from(SETTINGS[name]))
    together = filtered_by(name, log_probabilities(rows), setting, TEXTS)
    alone = torch.cat(
        [filtered_by(name, log_probabilities([row]), setting, [text]) for row, text in zip(rows, TEXTS, strict=False)]
    )
    # Equal to rounding: the order of a vectorised sum may change with the shape.
    assert torch.allclose(together.exp(), alone.exp(), rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("name", FILTERS)
@given(row=scores, data=st.data())
def test_keeps_its_argument(name: str, row: list[float], data: st.DataObject) -> None:
    given_probabilities = log_probabilities([row])
    before = given_probabilities.clone()
    filtered_by(name, given_probabilities, data.draw(st.sampled_from(SETTINGS[name])), TEXTS)
    assert torch.equal(given_probabilities, before)
