"""The training stream: every token is a target exactly once, predicted from the token before it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lstmlm.config.data import DataOptions
from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.corpus.loading import load_corpus
from lstmlm.corpus.stream import Epoch, TrainingStream, _fits
from lstmlm.errors import DataError

START = 99
NO_LINES = np.zeros(0, dtype=np.int64)


def stream(n_tokens: int, batch_size: int, bptt: int, *, seed: int = 1, **options: bool) -> TrainingStream:
    tokens = np.arange(n_tokens, dtype=np.int32)
    text = EncodedText("some/train.txt", "train", tokens, 0, NO_LINES, NO_LINES, 0, 0, "")
    return TrainingStream(text, START, DataOptions(corpus="some/", batch_size=batch_size, bptt=bptt, **options), seed)


def columns_of(epoch: Epoch) -> tuple[torch.Tensor, torch.Tensor]:
    """All inputs and all targets of an epoch, (column, time)."""
    windows = [epoch.window(index) for index in range(epoch.n_windows)]
    assert sum(window.n_tokens for window in windows) == sum(int((window.targets >= 0).sum()) for window in windows)
    inputs = torch.cat([window.inputs.T for window in windows], dim=1)
    return inputs, torch.cat([window.targets.T for window in windows], dim=1)


def test_a_small_stream_by_hand() -> None:
    """Seven tokens in two columns: 0-2 and 3-6; the shorter one has nothing to predict in the last row."""
    first, second = (stream(7, 2, 2).epoch(0).window(index) for index in (0, 1))
    assert first.inputs.tolist() == [[START, 2], [0, 3]]
    assert first.targets.tolist() == [[0, 3], [1, 4]]
    assert second.inputs.tolist() == [[1, 4], [2, 5]]
    assert second.targets.tolist() == [[2, 5], [-1, 6]]
    assert (first.n_tokens, second.n_tokens) == (4, 3)


@pytest.mark.parametrize("n_tokens", [70, 71, 77, 89, 90])
@pytest.mark.parametrize(("batch_size", "bptt"), [(1, 7), (3, 5), (7, 9), (5, 13)])
def test_every_token_is_a_target_once_after_its_predecessor(n_tokens: int, batch_size: int, bptt: int) -> None:
    whole = stream(n_tokens, batch_size, bptt).epoch(0)
    inputs, targets = columns_of(whole)
    pairs = [(int(x), int(y)) for x, y in zip(inputs.flatten(), targets.flatten(), strict=True) if y >= 0]
    assert pairs == [(START, 0), *((token - 1, token) for token in range(1, n_tokens))]
    assert max(len(whole.window(index).inputs) for index in range(whole.n_windows)) <= bptt


def test_the_columns_go_on_from_window_to_window() -> None:
    whole = stream(90, 3, 5).epoch(0)
    first, second = whole.window(0), whole.window(1)
    assert torch.equal(second.inputs[0], first.targets[-1])


def test_tokens_are_read_where_they_are_when_a_window_needs_them(tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "tokens", dtype=np.uint8, mode="w+", shape=(90,))
    text = EncodedText("some/train.txt", "train", mapped, 0, NO_LINES, NO_LINES, 0, 0, "")
    whole = TrainingStream(text, START, DataOptions(corpus="some/", batch_size=3, bptt=5)).epoch(0)
    mapped[:] = range(90)
    window, expected = whole.window(1), stream(90, 3, 5).epoch(0).window(1)
    assert torch.equal(window.inputs, expected.inputs)
    assert torch.equal(window.targets, expected.targets)
    assert window.inputs.is_contiguous() and window.targets.is_contiguous()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int64])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("options", [{}, {"partial_shuffle": True, "variable_bptt": True}], ids=str)
def test_windows_of_a_device_that_holds_all_tokens(
    options: dict[str, bool], device: str, dtype: type[np.integer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copied in parts, and cut into the same windows as where tokens stay in a file that cannot be written to."""
    tokens = (np.arange(311) * 7_919_000 % min(np.iinfo(dtype).max, 2**31)).astype(dtype)
    tokens.flags.writeable = False
    text = EncodedText("some/train.txt", "train", tokens, 0, NO_LINES, NO_LINES, 0, 0, "")
    data = DataOptions(corpus="some/", batch_size=6, bptt=10, **options)
    in_place = TrainingStream(text, START, data).epoch(1)
    monkeypatch.setattr("lstmlm.corpus.stream._fits", lambda *_: True)
    monkeypatch.setattr("lstmlm.corpus.stream.TOKENS_COPIED_AT_ONCE", 100)
    resident = TrainingStream(text, START, data, device=torch.device(device)).epoch(1)
    assert resident.n_windows == in_place.n_windows
    for index in range(in_place.n_windows):
        for part in range(3):
            ours, theirs = resident.window(index, part, 3), in_place.window(index, part, 3)
            assert ours.inputs.device.type == ours.targets.device.type == device
            assert torch.equal(ours.inputs.cpu(), theirs.inputs)
            assert torch.equal(ours.targets.cpu(), theirs.targets)
            assert ours.n_tokens == theirs.n_tokens


@pytest.mark.parametrize(("free_bytes", "fits"), [(4960, False), (4976, True)])
def test_a_gpu_holds_tokens_that_take_a_quarter_of_its_free_memory(
    free_bytes: int, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free_bytes, 1 << 40))
    assert _fits(np.zeros(311, dtype=np.uint8), torch.device("cuda")) == fits


@pytest.mark.parametrize("partial_shuffle", [False, True])
def test_parts_of_a_window_are_its_columns(partial_shuffle: bool) -> None:
    whole = stream(311, 6, 5, partial_shuffle=partial_shuffle).epoch(1)
    for index in range(whole.n_windows):
        window, parts = whole.window(index), [whole.window(index, part, 3) for part in range(3)]
        assert torch.equal(torch.cat([part.inputs for part in parts], dim=1), window.inputs)
        assert torch.equal(torch.cat([part.targets for part in parts], dim=1), window.targets)
        assert {part.n_tokens for part in parts} == {window.n_tokens}


@pytest.mark.parametrize("n_tokens", [300, 301, 307])
def test_partial_shuffle_rotates_each_column_by_an_amount_of_its_own(n_tokens: int) -> None:
    plain, shuffled = stream(n_tokens, 4, 7).epoch(0), stream(n_tokens, 4, 7, partial_shuffle=True)
    pairs_before, pairs_after = (torch.stack(columns_of(epoch)) for epoch in (plain, shuffled.epoch(0)))
    rotations = []
    for column in range(4):
        before, after = (pairs[:, column] for pairs in (pairs_before, pairs_after))
        before, after = before[:, before[1] >= 0], after[:, after[1] >= 0]
        (rotation,) = (before[1] == after[1, 0]).nonzero().flatten().tolist()
        # Input and target turn together: also the first token of a column is predicted from its true predecessor.
        assert torch.equal(after, before.roll(-rotation, dims=1))
        rotations.append(rotation)
    assert len(set(rotations)) > 2
    assert not torch.equal(torch.stack(columns_of(shuffled.epoch(1))), pairs_after)
    assert torch.equal(torch.stack(columns_of(shuffled.epoch(0))), pairs_after)
    other = stream(n_tokens, 4, 7, seed=2, partial_shuffle=True)
    assert not torch.equal(torch.stack(columns_of(other.epoch(0))), pairs_after)


@pytest.mark.parametrize("partial_shuffle", [False, True])
@pytest.mark.parametrize("n_tokens", [2000, 2003])
def test_drawn_windows_cover_every_token_once(n_tokens: int, partial_shuffle: bool) -> None:
    whole = stream(n_tokens, 3, 20, variable_bptt=True, partial_shuffle=partial_shuffle)
    for number in range(4):
        inputs, targets = columns_of(whole.epoch(number))
        pairs = {(int(x), int(y)) for x, y in zip(inputs.flatten(), targets.flatten(), strict=True) if y >= 0}
        assert pairs == {(START, 0), *((token - 1, token) for token in range(1, n_tokens))}
        assert int((targets >= 0).sum()) == n_tokens


def lengths_of(epoch: Epoch) -> list[int]:
    return [len(epoch.window(index).inputs) for index in range(epoch.n_windows)]


def test_drawn_lengths_vary_about_bptt_and_sometimes_about_its_half() -> None:
    whole = stream(60_000, 1, 70, variable_bptt=True)
    first, second = lengths_of(whole.epoch(0)), lengths_of(whole.epoch(1))
    assert first != second
    assert first == lengths_of(whole.epoch(0))
    lengths = np.array([length for number in range(5) for length in lengths_of(whole.epoch(number))[:-1]])
    usual = lengths[lengths > 52.5]
    assert 0.93 < len(usual) / len(lengths) < 0.97
    # The cap at bptt + 10, two standard deviations, takes a little off both.
    assert 69 < usual.mean() < 70
    assert 4.5 < usual.std() < 5
    assert lengths.max() == 80
    assert 33 < lengths[lengths <= 52.5].mean() < 37
    assert min(lengths_of(stream(60_000, 1, 10, variable_bptt=True).epoch(0))[:-1]) == 5


def test_drawn_lengths_stay_the_same_from_version_to_version() -> None:
    lengths = lengths_of(stream(400, 1, 30, variable_bptt=True, seed=5).epoch(3))
    assert lengths == [33, 26, 39, 19, 25, 29, 25, 32, 23, 29, 19, 26, 25, 33, 17]
    rotation = stream(400, 4, 30, partial_shuffle=True, seed=5).epoch(3).rotation
    assert rotation is not None
    assert rotation.tolist() == [68, 97, 24, 92]


def test_progress_counts_rows() -> None:
    whole = stream(90, 3, 7).epoch(0)
    assert [whole.share_before(index) for index in range(whole.n_windows)] == [0, 7 / 30, 14 / 30, 21 / 30, 28 / 30]


def test_too_short_a_text() -> None:
    with pytest.raises(DataError) as error:
        stream(412, 20, 35)
    assert str(error.value) == (
        "some/train.txt: 412 tokens, but batch_size 20 × (bptt 35 + 1) needs 720. Lower data.batch_size to 11."
    )
    assert stream(412, 11, 35).n_tokens == 412
    with pytest.raises(DataError) as error:
        stream(16, 1, 35)
    advice = "Lower data.bptt to 15 and data.batch_size to 1, or take a longer text."
    assert str(error.value).endswith(f"needs 36. {advice}")
    assert stream(16, 1, 15).n_tokens == 16
    with pytest.raises(DataError, match=r"needs 36\. Take a longer text\.$"):
        stream(1, 1, 35)


def test_penn_treebank_loses_nothing(corpus_path: Callable[[str], Path]) -> None:
    options = DataOptions(corpus=str(corpus_path("ptb")))
    corpus = load_corpus(options)
    whole = TrainingStream(corpus.train, corpus.tokenizer.start_id, options).epoch(0)
    assert sum(whole.window(index).n_tokens for index in range(whole.n_windows)) == 929_589
