"""What onnxruntime gives from exported files is what the run gives; skipped where it is not installed."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstmlm.errors import CheckpointError, ConfigError, MissingExtraError
from lstmlm.scoring import score, score_each

onnx = pytest.importorskip("onnx", reason="needs the extra onnx: pip install 'lstmlm[onnx]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx: pip install 'lstmlm[onnx]'")

LINES = ["the farmer waits by the old river", "don't ask the sailor , he says", "", "a cat , a dog and 東京 !"]
N_TOKENS = 2000


def small(**backbone: Any) -> dict[str, Any]:
    return {"backbone": {"n_layers": 2, "hidden_size": 16, "name": "lstm", **backbone}, "embedding_size": 16}


MODELS = {
    "rnn": small(name="rnn"),
    "relu, projection": small(name="rnn", nonlinearity="relu", hidden_size=12)
    | {"output": {"name": "softmax", "projection": True}},
    "lstm": small(),
    "capped lstm, layer_sum": small(input_gate_cap=True, skip="layer_sum"),
    "coupled lstm": small(coupled_gates=True),
    "lstm, widths": small(hidden_size=(12, 6, 9), n_layers=3) | {"tie_weights": False},
    "lstm, adaptive": small() | {"output": {"name": "adaptive", "cutoffs": (5, 9)}},
    "gru, mixture": small(name="gru", hidden_size=(12, 6)) | {"output": {"name": "mixture"}},
    "gru": small(name="gru") | {"tie_weights": False},
    "layer_norm_lstm": small(name="layer_norm_lstm") | {"output": {"name": "mixture"}, "tie_weights": False},
    "coupled layer_norm_lstm": small(name="layer_norm_lstm", coupled_gates=True),
    "coupled mogrifier": small(name="mogrifier", rounds=2, rank=3, coupled_gates=True),
    "mogrifier": small(name="mogrifier", rounds=3) | {"output": {"name": "adaptive", "cutoffs": (9,)}},
    "low rank, narrow clusters": small(name="mogrifier", rounds=4, rank=2, hidden_size=(12, 6))
    | {"tie_weights": False, "output": {"name": "adaptive", "cutoffs": (9,), "div_value": 2, "projection": True}},
    "no clusters": small() | {"output": {"name": "adaptive", "cutoffs": ()}},
    "n-grams": small(hidden_size=(12, 6)) | {"tie_weights": False, "ngram_order": 4},
    "n-grams, wider than layers": small(name="rnn", hidden_size=(4, 3)) | {"tie_weights": False, "ngram_order": 6},
    "bigrams": small(name="mogrifier", rounds=3)
    | {"output": {"name": "adaptive", "cutoffs": (9,), "projection": True}, "ngram_order": 2},
}
TOKENIZERS: dict[str, dict[str, Any]] = {
    "word": {"name": "word"},
    "char": {"name": "char"},
    "bpe": {"name": "bpe", "vocab_size": 270},
}


def export(trained: Any, path: Path, **options: Any) -> Path:
    from lstmlm.export.onnx import export_onnx

    export_onnx(trained.run, trained.model, trained.tokenizer, path, **options)
    return path


def session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options)


def text_of(trained: Any) -> np.ndarray:
    """A text of `N_TOKENS` tokens."""
    lines = np.random.default_rng(0).choice(LINES, 400)
    tokens = trained.tokenizer.encode("\n".join(lines) + "\n")[:N_TOKENS].astype(np.int64)
    assert len(tokens) == N_TOKENS
    return tokens


def read(asked: Any, ids: np.ndarray, state: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
    """Log-probabilities after each of some ids, and the next state, in a state or in that of zeros."""
    if state is None:
        shapes = {value.name: value.shape for value in asked.get_inputs()[1:]}
        state = {name: np.zeros((layers, 1, width), np.float32) for name, (layers, _, width) in shapes.items()}
    found, *after = asked.run(None, {"ids": ids[None], **state})
    return found[0], dict(zip(state, after, strict=True))


def in_pieces(asked: Any, start_id: int, tokens: np.ndarray, sizes: list[int]) -> np.ndarray:
    """Nats of tokens that are read in pieces of these sizes by turns."""
    before, nats, state, at = np.array([start_id, *tokens[:-1]]), [], None, 0
    while at < len(tokens):
        size = sizes[0]
        sizes = [*sizes[1:], size]
        found, state = read(asked, before[at : at + size], state)
        nats.append(-found[np.arange(len(found)), tokens[at : at + size]])
        at += size
    return np.concatenate(nats)


CASES = [(model, "word") for model in MODELS]
CASES += [
    (model, tokenizer) for model in ("rnn", "lstm", "gru", "mogrifier", "n-grams") for tokenizer in ("char", "bpe")
]


@pytest.mark.parametrize(("model", "tokenizer"), CASES)
def test_every_token_has_the_surprisal_of_the_run(
    make_run: Callable[..., Any], tmp_path: Path, model: str, tokenizer: str
) -> None:
    trained = make_run(MODELS[model], TOKENIZERS[tokenizer])
    for name, weight in trained.model.named_parameters():
        if "gain_" in name:
            # With gains of one, as drawn, this cell is chaotic: float32 is 1e-3 nats off float64 after 1,000 tokens.
            weight.data *= 0.3
    directory, tokens, start_id = export(trained, tmp_path / "out"), text_of(trained), trained.tokenizer.start_id
    nats = score(trained.model, tokens, start_id)
    (scored,) = session(directory / "scorer.onnx").run(None, {"ids": tokens[None], "lengths": np.array([N_TOKENS])})
    np.testing.assert_allclose(scored[0], nats, atol=1e-4, rtol=0)
    window = session(directory / "window.onnx")
    for sizes in ([N_TOKENS], [1, 7, 256, 3]):
        np.testing.assert_allclose(in_pieces(window, start_id, tokens, sizes), nats, atol=1e-4, rtol=0)
    by_steps = in_pieces(session(directory / "step.onnx"), start_id, tokens, [1])
    np.testing.assert_allclose(by_steps, nats, atol=1e-4, rtol=0)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("model", ["lstm", "layer_norm_lstm", "gru, mixture", "n-grams"])
def test_texts_of_unequal_lengths_do_not_know_of_each_other(
    make_run: Callable[..., Any], tmp_path: Path, model: str
) -> None:
    trained = make_run(MODELS[model])
    tokens, lengths = text_of(trained), np.array([40, 1, 17])
    texts = [tokens[start : start + length] for start, length in zip((0, 500, 900), lengths, strict=True)]
    ids = np.stack([np.pad(text, (0, 40 - len(text)), constant_values=3) for text in texts])
    directory = export(trained, tmp_path / "out")
    for file in directory.glob("*.onnx"):
        # Of what nothing reads onnxruntime would warn whoever loads the file.
        graph = onnx.load(file).graph
        of_loops = [node for loop in graph.node for part in loop.attribute for node in part.g.node]
        used = {name for node in [*graph.node, *of_loops] for name in node.input}
        assert {weight.name for weight in graph.initializer} <= used
    scorer = session(directory / "scorer.onnx")
    (nats,) = scorer.run(None, {"ids": ids, "lengths": lengths})
    alone = score_each(trained.model, [text.tolist() for text in texts], trained.tokenizer.start_id)
    for row, expected in zip(nats, alone, strict=True):
        np.testing.assert_allclose(row[: len(expected)], expected, atol=1e-4)
        assert not row[len(expected) :].any()


def test_log_probabilities_sum_to_one_and_a_batch_is_its_texts(make_run: Callable[..., Any], tmp_path: Path) -> None:
    trained = make_run(MODELS["mogrifier"])
    window = session(export(trained, tmp_path / "out") / "window.onnx")
    ids = text_of(trained)[:24].reshape(2, 12)
    zeros = np.zeros((2, 2, 16), np.float32)
    together, h, c = window.run(None, {"ids": ids, "h": zeros, "c": zeros})
    np.testing.assert_allclose(np.exp(together).sum(axis=-1), 1, atol=1e-5)
    for row in range(2):
        alone, state = read(window, ids[row])
        np.testing.assert_allclose(together[row], alone, atol=1e-5)
        np.testing.assert_allclose(h[:, row], state["h"][:, 0], atol=1e-5)
        np.testing.assert_allclose(c[:, row], state["c"][:, 0], atol=1e-5)


@pytest.mark.parametrize(("model", "operator"), [("rnn", "RNN"), ("gru", "GRU"), ("lstm", "LSTM")])
def test_cells_are_operators_where_there_is_one(
    make_run: Callable[..., Any], tmp_path: Path, model: str, operator: str
) -> None:
    directory = export(make_run(MODELS[model]), tmp_path / "out")
    for name in ("step", "window", "scorer"):
        operators = [node.op_type for node in onnx.load(directory / f"{name}.onnx").graph.node]
        assert operators.count(operator) == 2 and "Scan" not in operators


def test_the_step_has_fixed_shapes_and_no_loop(make_run: Callable[..., Any], tmp_path: Path) -> None:
    trained = make_run(MODELS["mogrifier"])
    directory = export(trained, tmp_path / "out")
    step = session(directory / "step.onnx")
    shapes = {value.name: value.shape for value in [*step.get_inputs(), *step.get_outputs()]}
    of_state = [2, 1, 16]
    assert shapes == {
        "ids": [1, 1],
        **dict.fromkeys(("h", "c", "next_h", "next_c"), of_state),
        "log_probabilities": [1, 1, trained.tokenizer.vocab_size],
    }
    assert "Scan" not in {node.op_type for node in onnx.load(directory / "step.onnx").graph.node}
    assert "Scan" in {node.op_type for node in onnx.load(directory / "window.onnx").graph.node}


@pytest.mark.parametrize("model", ["lstm", "lstm, adaptive", "gru, mixture"])
def test_a_tied_embedding_is_there_once(make_run: Callable[..., Any], tmp_path: Path, model: str) -> None:
    trained = make_run(MODELS[model])
    for file in export(trained, tmp_path / "out").glob("*.onnx"):
        weights = [w for w in onnx.load(file).graph.initializer if w.dims[:1] == [trained.tokenizer.vocab_size]]
        assert [w.name for w in weights if len(w.dims) == 2] == ["embedding.weight"]
        n_weights = sum(parameter.numel() for parameter in trained.model.parameters())
        assert file.stat().st_size < 4 * n_weights + 20_000


def encoded(trained: Any, text: str = "\n".join(LINES * 30) + "\n") -> Any:
    from lstmlm.corpus.encoded_text import EncodedText

    tokens = trained.tokenizer.encode(text)
    return EncodedText("some.txt", None, tokens, 1, np.array([1]), np.array([1]), 0, 0, "abcd")


@pytest.mark.parametrize("model", [name for name in MODELS if "cap" not in name])
def test_files_of_8_bits_have_the_perplexity_that_is_told(
    make_run: Callable[..., Any], tmp_path: Path, model: str
) -> None:
    trained = make_run(MODELS[model])
    text = encoded(trained)
    directory = export(trained, tmp_path / "out", text=text)
    facts = json.loads((directory / "model.json").read_text(encoding="utf-8"))
    assert facts["measured_on"] == {"text": "some.txt", "sha256": "abcd", "n_tokens": text.n_tokens}
    original = np.exp(score(trained.model, text.tokens, trained.tokenizer.start_id).mean())
    told = {name: of["perplexity"] for name, of in facts["files"].items()}
    assert sorted(told) == sorted(
        f"{name}{suffix}.onnx" for name in ("step", "window", "scorer") for suffix in ("", ".int8")
    )
    assert told["scorer.onnx"] == pytest.approx(original)
    start_id, tokens = trained.tokenizer.start_id, text.tokens.astype(np.int64)
    scorer = session(directory / "scorer.int8.onnx")
    (nats,) = scorer.run(None, {"ids": tokens[None], "lengths": np.array([len(tokens)])})
    assert np.exp(nats.mean()) == pytest.approx(told["scorer.int8.onnx"], rel=1e-4)
    for name in ("step.int8.onnx", "window.int8.onnx"):
        found = in_pieces(session(directory / name), start_id, tokens, [1])
        assert np.exp(found.mean()) == pytest.approx(told[name], rel=1e-4)
        assert facts["files"][name]["change"] == pytest.approx(told[name] / original - 1, abs=1e-6)
        assert told[name] != told["scorer.onnx"]
    assert "8 bits change" not in (directory / "README.md").read_text(encoding="utf-8")


def test_8_bits_that_cost_more_than_a_hundredth_say_so(make_run: Callable[..., Any], tmp_path: Path) -> None:
    from lstmlm.export.onnx import export_onnx

    trained = make_run(MODELS["lstm"] | {"tie_weights": False})
    weights = dict(trained.model.named_parameters())
    # A weight in each row beside which all others become nothing, of a unit whose gate is shut.
    weights["output_layer.weight"].data *= 20
    weights["output_layer.weight"].data[:, 0] = 1e5
    weights["backbone.cells.1.bias"].data[3 * 16] = -1e4
    files = export_onnx(trained.run, trained.model, trained.tokenizer, tmp_path / "out", text=encoded(trained))
    assert [bool(file.warning) for file in files] == [False] * 3 + [True] * 3
    assert "step.int8.onnx: 8 bits change the perplexity by " in (tmp_path / "out" / "README.md").read_text("utf-8")


def test_8_bits_are_a_quarter(make_run: Callable[..., Any], tmp_path: Path) -> None:
    trained = make_run({"backbone": {"name": "lstm", "n_layers": 1, "hidden_size": 200}, "embedding_size": 200})
    directory = export(trained, tmp_path / "out", text=encoded(trained))
    sizes = {file.name: file.stat().st_size for file in directory.glob("*.onnx")}
    assert sizes["step.int8.onnx"] < 0.26 * sizes["step.onnx"]


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_sherpa_gets_the_names_and_metadata_of_icefall(
    make_run: Callable[..., Any], tmp_path: Path, model: Any
) -> None:
    trained = make_run(model)
    directory = export(trained, tmp_path / "out", purpose="sherpa", text=encoded(trained))
    start_id, vocab_size = trained.tokenizer.start_id, trained.tokenizer.vocab_size
    options = trained.run.config.model
    # What n-grams remember passes for one more layer.
    sizes = [*options.backbone.hidden_sizes, *([options.ngram_order - 1] if options.ngram_order else [])]
    for suffix in ("", ".int8"):
        with_state = session(directory / f"with-state{suffix}.onnx")
        assert [value.name for value in with_state.get_inputs()] == ["x", "h0", "c0"]
        assert [value.name for value in with_state.get_outputs()] == ["log_softmax", "next_h0", "next_c0"]
        metadata = with_state.get_modelmeta().custom_metadata_map
        # What online-rnn-lm.cc of sherpa-onnx reads.
        assert int(metadata["num_layers"]) == len(sizes)
        assert int(metadata["hidden_size"]) == max(sizes)
        assert int(metadata["sos_id"]) == start_id
        assert (metadata["model_type"], int(metadata["vocab_size"])) == ("rnnlm", vocab_size)
        no_state = session(directory / f"no-state{suffix}.onnx")
        assert [value.name for value in no_state.get_inputs()] == ["x", "x_lens"]
        assert [value.name for value in no_state.get_outputs()] == ["nll"]
    sentences = [text_of(trained)[:9].tolist(), text_of(trained)[20:24].tolist()]
    x = np.array([sentences[0], sentences[1] + [0] * 5])
    (nll,) = session(directory / "no-state.onnx").run(None, {"x": x, "x_lens": np.array([9, 4])})
    scored = score_each(trained.model, [[*sentence, start_id] for sentence in sentences], start_id)
    np.testing.assert_allclose(nll, [nats.sum() for nats in scored], rtol=1e-5)
    state = {name: np.zeros((len(sizes), 1, max(sizes)), np.float32) for name in ("h0", "c0")}
    nats = []
    fusing = session(directory / "with-state.onnx")
    for before, token in zip([start_id, *sentences[0]], [*sentences[0], start_id], strict=True):
        predicted, *after = fusing.run(None, {"x": np.array([[before]]), **state})
        nats.append(-predicted[0, token])
        state = dict(zip(state, after, strict=True))
    np.testing.assert_allclose(nats, scored[0], atol=1e-4)
    lines = (directory / "tokens.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == vocab_size and lines[start_id] == f"{trained.tokenizer.token(start_id)} {start_id}"


def test_tokens_that_are_white_space_are_written_as_bytes(make_run: Callable[..., Any], tmp_path: Path) -> None:
    trained = make_run(small(), TOKENIZERS["char"])
    lines = (export(trained, tmp_path / "out", purpose="sherpa") / "tokens.txt").read_text("utf-8").splitlines()
    newline, blank = (int(trained.tokenizer.encode_prompt(text)[0]) for text in ("\n", " "))
    assert lines[newline] == f"<0x0A> {newline}" and lines[blank] == f"  {blank}"


def test_the_card_says_what_is_read_and_given(make_run: Callable[..., Any], tmp_path: Path) -> None:
    card = (export(make_run(MODELS["gru"]), tmp_path / "my-model") / "README.md").read_text(encoding="utf-8")
    assert "# my-model" in card and "(gru, 2 layers of up to 16 units, 20 tokens)" in card
    assert "| `step.onnx` | `ids` (1, 1), `h` (2, 1, 16) | `log_probabilities` (1, 1, 20), `next_h` |" in card
    assert "Perplexities were not measured" in card
    mixed = export(make_run(MODELS["n-grams"], name="mixed"), tmp_path / "mixed-model")
    assert "(lstm, 2 layers of up to 12 units and n-grams, which remember in one layer more, 20 tokens)" in (
        mixed / "README.md"
    ).read_text(encoding="utf-8")


def test_other_probabilities_leave_nothing_behind(
    make_run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lstmlm.export.onnx import layers

    trained = make_run(small())
    monkeypatch.setitem(layers.GATE_ORDER, "lstm", [0, 1, 2, 3])  # what a fault would be
    before = sorted(tmp_path.iterdir())
    with pytest.raises(CheckpointError, match=r"out/step.onnx: its log-probabilities .* differ by up to [\d.]+ nats"):
        export(trained, tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == before


def test_a_disk_that_fills_up_leaves_nothing_behind(
    make_run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import os

    trained = make_run(small())
    before, written, write = sorted(tmp_path.iterdir()), 0, os.write

    def full(descriptor: int, content: Any) -> int:
        nonlocal written
        written += len(content)
        if written > 40_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, content)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(CheckpointError, match="out: cannot be written .No space left on device.. Free some space"):
        export(trained, tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == before


def test_a_model_too_large_for_a_file_is_refused(
    make_run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lstmlm.export.onnx import directory

    trained = make_run(small())
    monkeypatch.setattr(directory, "MOST_BYTES", 5000)
    with pytest.raises(ConfigError, match=r"its weights are .* GB, backbone\.cells\.\d\.weight_ih alone .*huggingface"):
        export(trained, tmp_path / "out")


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_without_the_libraries_the_error_names_the_extra(
    make_run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    from lstmlm.cli.export.onnx import onnx as command

    trained = make_run(small())
    monkeypatch.setitem(sys.modules, missing, None)
    for name in [name for name in sys.modules if name.startswith("lstmlm.export.onnx")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtraError, match=rf"^{missing}: is not installed.*pip install 'lstmlm\[onnx\]'"):
        command(tmp_path / "out", trained.run.path)
    assert not (tmp_path / "out").exists()


def test_the_page_s_python_tells_the_next_tokens(
    make_run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    (block,) = (block for block in page.split("```python\n")[1:] if "onnxruntime" in block.partition("```")[0])
    export(make_run(small()), tmp_path / "exported-onnx")
    monkeypatch.chdir(tmp_path)
    exec(compile(block.partition("```")[0], "export.md", "exec"), {})  # noqa: S102
    shown = [float(line.rpartition(" ")[2]) for line in capsys.readouterr().out.splitlines()]
    assert len(shown) == 5 and shown == sorted(shown, reverse=True)
