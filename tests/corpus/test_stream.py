"""The training stream: every token is a target exactly once, predicted from the token before it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lstmlm.config.data import DataOptions
from lstmlm.corpus.datasets import EncodedText, load_corpus
from lstmlm.corpus.stream import TrainingStream
from lstmlm.errors import DataError

START = 99


def stream(n_tokens: int, batch_size: int, bptt: int) -> TrainingStream:
    tokens = np.arange(n_tokens, dtype=np.int32)
    text = EncodedText("some/train.txt", "train", tokens, 0, 0, 0, 0, "")
    return TrainingStream(text, START, DataOptions(corpus="some/", batch_size=batch_size, bptt=bptt))


def test_a_small_stream_by_hand() -> None:
    """Seven tokens in two columns: 0-2 and 3-6; the shorter one has nothing to predict in the last row."""
    first, second = (stream(7, 2, 2).window(index) for index in (0, 1))
    assert first.inputs.tolist() == [[START, 2], [0, 3]]
    assert first.targets.tolist() == [[0, 3], [1, 4]]
    assert second.inputs.tolist() == [[1, 4], [2, 5]]
    assert second.targets.tolist() == [[2, 5], [-1, 6]]
    assert (first.n_tokens, second.n_tokens) == (4, 3)


@pytest.mark.parametrize("n_tokens", [70, 71, 77, 89, 90])
@pytest.mark.parametrize(("batch_size", "bptt"), [(1, 7), (3, 5), (7, 9), (5, 13)])
def test_every_token_is_a_target_once_after_its_predecessor(n_tokens: int, batch_size: int, bptt: int) -> None:
    whole = stream(n_tokens, batch_size, bptt)
    windows = [whole.window(index) for index in range(whole.n_windows)]
    inputs = torch.cat([window.inputs.T for window in windows], dim=1)
    targets = torch.cat([window.targets.T for window in windows], dim=1)
    pairs = [(int(x), int(y)) for x, y in zip(inputs.flatten(), targets.flatten(), strict=True) if y >= 0]
    assert pairs == [(START, 0), *((token - 1, token) for token in range(1, n_tokens))]
    assert sum(window.n_tokens for window in windows) == n_tokens
    assert max(len(window.inputs) for window in windows) <= bptt


def test_the_columns_go_on_from_window_to_window() -> None:
    whole = stream(90, 3, 5)
    first, second = whole.window(0), whole.window(1)
    assert torch.equal(second.inputs[0], first.targets[-1])


def test_windows_are_views_of_one_tensor() -> None:
    whole = stream(90, 3, 5)
    window, again = whole.window(2), whole.window(2)
    assert window.inputs.is_contiguous()
    assert window.inputs.data_ptr() == again.inputs.data_ptr()
    assert window.inputs[1:].data_ptr() == window.targets.data_ptr()


def test_too_short_a_text() -> None:
    with pytest.raises(DataError) as error:
        stream(412, 20, 35)
    assert str(error.value) == (
        "some/train.txt: 412 tokens, but batch_size 20 × (bptt 35 + 1) needs 720. Lower data.batch_size."
    )


def test_penn_treebank_loses_nothing(test_data: Callable[[str], Path]) -> None:
    options = DataOptions(corpus=str(test_data("ptb")))
    corpus = load_corpus(options)
    whole = TrainingStream(corpus.train, corpus.tokenizer.start_id, options)
    assert sum(whole.window(index).n_tokens for index in range(whole.n_windows)) == 929_589
