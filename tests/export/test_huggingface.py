"""What transformers loads from a directory gives the run's numbers; tests that need it are skipped without it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch

from lstmlm.errors import CheckpointError, ConfigError
from lstmlm.export.huggingface import export_huggingface
from lstmlm.export.huggingface.directory import load_network
from lstmlm.scoring import score

LINES = [
    "the farmer waits by the old river",
    "he says , don't <eos> x<eos>y",
    "",
    "a cat  and 東京\t\U0001f600 <unk>",
    "end",
]
TEXT = "\n".join(LINES * 8)


def small(**backbone: Any) -> dict[str, Any]:
    return {"backbone": {"n_layers": 2, "hidden_size": 8, "name": "lstm", **backbone}, "embedding_size": 8}


MODELS = {
    "rnn": small(name="rnn", nonlinearity="relu") | {"output": {"name": "softmax", "projection": True}},
    "lstm": small(name="lstm", input_gate_cap=True),
    "coupled layer_norm_lstm": small(name="layer_norm_lstm", n_layers=1, coupled_gates=True),
    "coupled mogrifier": small(name="mogrifier", rounds=2, coupled_gates=True),
    "gru": small(name="gru", hidden_size=(12, 6)) | {"tie_weights": False},
    "layer_norm_lstm": small(name="layer_norm_lstm", skip="layer_sum") | {"output": {"name": "mixture"}},
    "mogrifier": small(name="mogrifier", rounds=3) | {"output": {"name": "adaptive", "cutoffs": (9, 15)}},
    "low rank": small(name="mogrifier", rounds=4, rank=2, hidden_size=(12, 6))
    | {"tie_weights": False, "output": {"name": "adaptive", "cutoffs": (9,), "div_value": 2}},
    "no clusters": small() | {"output": {"name": "adaptive", "cutoffs": ()}},
    "n-grams": small(hidden_size=(12, 6)) | {"tie_weights": False, "ngram_order": 4},
    "bigrams": small(name="gru") | {"output": {"name": "adaptive", "cutoffs": (9,)}, "ngram_order": 2},
}
TOKENIZERS: dict[str, dict[str, Any]] = {
    "word": {"name": "word"},
    "punctuation": {"name": "word", "split": "punctuation", "min_count": 13},
    "char": {"name": "char", "max_vocab": 20},
    "byte": {"name": "byte"},
    "bpe": {"name": "bpe", "vocab_size": 270},
    "unigram": {"name": "unigram", "vocab_size": 280},
}


def export(trained: Any, path: Path) -> Path:
    export_huggingface(trained.run, trained.model, trained.tokenizer, path)
    return path


def read(trained: Any, text: str) -> tuple[list[int], np.ndarray]:
    """The ids of a text and the surprisal of each (nats), as `lstmlm eval` has them."""
    ids = trained.tokenizer.encode_prompt(text)
    return ids, score(trained.model, np.array(ids), trained.tokenizer.start_id)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_the_network_gives_the_surprisal_of_the_run(make_run: Callable[..., Any], tmp_path: Path, model: Any) -> None:
    trained = make_run(model)
    network = load_network(export(trained, tmp_path / "out"))
    ids, nats = read(trained, TEXT)
    with torch.no_grad():
        found = network(torch.tensor([[trained.tokenizer.start_id, *ids]]))[0][0, :-1]
    np.testing.assert_allclose(-found[torch.arange(len(ids)), ids], nats, atol=1e-4)


@pytest.mark.parametrize("options", TOKENIZERS.values(), ids=TOKENIZERS)
def test_the_tokenizer_gives_the_ids_of_the_run(make_run: Callable[..., Any], tmp_path: Path, options: Any) -> None:
    trained = make_run(small(), options)
    read = tokenizers.Tokenizer.from_file(str(export(trained, tmp_path / "out") / "tokenizer.json"))
    ids = trained.tokenizer.encode_prompt(TEXT)
    assert read.encode(TEXT).ids == [trained.tokenizer.start_id, *ids]
    assert read.encode(TEXT, add_special_tokens=False).ids == ids
    assert read.decode(ids, skip_special_tokens=False) == trained.tokenizer.decode(ids)


@pytest.mark.parametrize("eos", ["never", "document"])
@pytest.mark.parametrize("options", TOKENIZERS.values(), ids=TOKENIZERS)
def test_newlines_are_blanks_where_the_run_knows_no_lines(
    make_run: Callable[..., Any], tmp_path: Path, options: Any, eos: str
) -> None:
    trained = make_run(small(), options, eos=eos)
    read = tokenizers.Tokenizer.from_file(str(export(trained, tmp_path / "out") / "tokenizer.json"))
    ids = trained.tokenizer.encode_prompt(TEXT.replace("\n", " "))
    assert read.encode(TEXT).ids == [trained.tokenizer.start_id, *ids]


def test_a_tokenizer_that_reads_line_by_line_is_refused(make_run: Callable[..., Any], tmp_path: Path) -> None:
    engine = tokenizers.Tokenizer(tokenizers.models.BPE({"▁": 0, "a": 1, "<unk>": 2, "</s>": 3}, [], unk_token="<unk>"))
    engine.normalizer = tokenizers.normalizers.Sequence(
        [tokenizers.normalizers.Prepend("▁"), tokenizers.normalizers.Replace(" ", "▁")]
    )
    engine.save(str(tmp_path / "lines.json"))
    trained = make_run(small(), {"name": "file", "path": str(tmp_path / "lines.json")})
    with pytest.raises(ConfigError, match=r"reads each line by itself.*Export a model whose tokenizer is word"):
        export(trained, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_line_end_that_the_user_has_named_is_refused(make_run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "bpe.json").write_text(make_run(small(), TOKENIZERS["bpe"]).tokenizer.to_json(), encoding="utf-8")
    trained = make_run(small(), {"name": "file", "path": str(tmp_path / "bpe.json"), "line_end": "!"}, "foreign")
    with pytest.raises(ConfigError, match=r"reads each line by itself"):
        export(trained, tmp_path / "out")


def test_a_model_of_sentencepiece_is_refused(make_run: Callable[..., Any], tmp_path: Path) -> None:
    model = Path(__file__).parent.parent / "corpus" / "tokenizers" / "foreign" / "unigram.model"
    trained = make_run(small(), {"name": "file", "path": str(model)})
    with pytest.raises(ConfigError, match=r"is a SentencePiece model, .*Export a model whose tokenizer is word"):
        export(trained, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_foreign_tokenizer_of_bytes_is_cut_at_line_ends(make_run: Callable[..., Any], tmp_path: Path) -> None:
    learnt = make_run(small(), TOKENIZERS["bpe"])
    content = json.loads(learnt.tokenizer.to_json())
    content["pre_tokenizer"] = content["pre_tokenizer"]["pretokenizers"][1]
    (tmp_path / "gpt2.json").write_text(json.dumps(content), encoding="utf-8")
    trained = make_run(small(), {"name": "file", "path": str(tmp_path / "gpt2.json")}, "foreign")
    read = tokenizers.Tokenizer.from_file(str(export(trained, tmp_path / "out") / "tokenizer.json"))
    assert read.encode(TEXT).ids[1:] == trained.tokenizer.encode_prompt(TEXT)


def test_special_tokens_in_a_text_are_read_as_in_training(make_run: Callable[..., Any], tmp_path: Path) -> None:
    """A file may have tokens that its reader knows wherever they stand; ours have none."""
    learner = tokenizers.ByteLevelBPETokenizer()
    learner.train_from_iterator(LINES, vocab_size=300, special_tokens=["<unk>", "</s>"])
    learner.save(str(tmp_path / "special.json"))
    trained = make_run(small(), {"name": "file", "path": str(tmp_path / "special.json")}, "foreign")
    directory = export(trained, tmp_path / "out")
    config = json.loads((directory / "tokenizer_config.json").read_text("utf-8"))
    assert config["split_special_tokens"] is False
    read = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    ids = trained.tokenizer.encode_prompt("x <unk> y</s>")
    assert read.encode("x <unk> y</s>").ids[1:] == ids
    assert (ids[2], ids[-1]) == (0, 1)  # as the file numbers them
    ours = json.loads((export(make_run(small()), tmp_path / "ours") / "tokenizer_config.json").read_text("utf-8"))
    assert ours["split_special_tokens"] is True


def test_other_probabilities_leave_nothing_behind(
    make_run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lstmlm.export.huggingface import directory

    trained = make_run(small(input_gate_cap=True))
    monkeypatch.setattr(directory, "CELL_OPTIONS", ("name",))  # what a fault would be
    before = sorted(tmp_path.iterdir())
    with pytest.raises(CheckpointError, match=r"out: its log-probabilities and the run.s differ by up to [\d.]+ nats"):
        export(trained, tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == before


def test_the_card_says_what_the_model_is(make_run: Callable[..., Any], tmp_path: Path) -> None:
    card = (export(make_run(small(name="gru")), tmp_path / "my-model") / "README.md").read_text(encoding="utf-8")
    assert "# my-model" in card and "layers of 8, 8 units (gru)" in card
    assert "| train | 5 | 20 | 1234abcd |" in card
    assert "Perplexity per token on the validation split, after 7 steps: 12.35." in card
    assert "n-grams" not in card
    mixed = export(make_run(MODELS["bigrams"], name="mixed"), tmp_path / "mixed-model")
    assert re.search(r"mixed with \d+ n-grams of up to 2 tokens", (mixed / "README.md").read_text(encoding="utf-8"))


def test_the_code_of_a_directory_imports_nothing_of_lstmlm(make_run: Callable[..., Any], tmp_path: Path) -> None:
    files = {file.name: file for file in export(make_run(small()), tmp_path / "out").glob("*.py")}
    assert files.keys() >= {"network.py", "modeling_lstmlm.py"}
    for file in files.values():
        assert not re.search(r"^\s*(from|import) lstmlm", file.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture
def transformers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The library, which keeps the code of a directory below HF_HOME."""
    monkeypatch.setitem(os.environ, "HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "1")
    return pytest.importorskip("transformers", reason="needs the extra huggingface: pip install 'lstmlm[huggingface]'")


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "layer_norm_lstm", "mogrifier", "n-grams"])
def test_transformers_scores_and_pads(
    transformers: Any, make_run: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    trained = make_run(MODELS[name])
    model, tokenizer = load(transformers, export(trained, tmp_path / name))
    _, nats = read(trained, TEXT)
    batch = tokenizer(TEXT, return_tensors="pt")
    with torch.no_grad():
        found = model(**batch).logits[0, :-1].gather(1, batch.input_ids[0, 1:, None])[:, 0]
        np.testing.assert_allclose(-found, nats, atol=1e-4)
        assert model(**batch, labels=batch.input_ids).loss.item() == pytest.approx(nats.mean(), abs=1e-4)
        texts = [LINES[0], LINES[4], LINES[1]]
        alone = [model(**tokenizer(text, return_tensors="pt")).logits[0] for text in texts]
        for side in ("left", "right"):
            padded = tokenizer(texts, return_tensors="pt", padding=True, padding_side=side)
            for row, mask, single in zip(model(**padded).logits, padded.attention_mask, alone, strict=True):
                torch.testing.assert_close(row[mask.bool()], single, atol=1e-5, rtol=0)


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", ["lstm", "n-grams"])
@pytest.mark.parametrize("tokenizer", ["word", "char", "bpe"])
def test_transformers_generates(
    transformers: Any, make_run: Callable[..., Any], tmp_path: Path, tokenizer: str, model: str
) -> None:
    from lstmlm.generation.options import SamplingOptions
    from lstmlm.generation.sampler import generate

    trained = make_run(MODELS[model], TOKENIZERS[tokenizer])
    loaded, read_by = load(transformers, export(trained, tmp_path / "out"))
    drawn = generate(trained.model, trained.tokenizer, LINES[0], SamplingOptions(20, temperature=0), [0])
    expected = [int(step.ids[0]) for step in drawn]
    batch = read_by([LINES[0], LINES[4]], return_tensors="pt", padding=True)
    for kwargs in ({}, {"use_cache": False}, {"num_beams": 1}):
        assert loaded.generate(**batch, max_new_tokens=20, **kwargs)[0, -20:].tolist() == expected
    # What pads also ends lines: without a mask there is no padding. A state is gone on from, whatever is asked next.
    single = read_by(TEXT, return_tensors="pt")
    wanted = loaded.generate(**single, max_new_tokens=9, do_sample=False).tolist()
    assert loaded.generate(single.input_ids, max_new_tokens=9, do_sample=False).tolist() == wanted
    head, tail = single.input_ids[:, :7], single.input_ids[:, 7:]
    state = loaded(head).state
    assert loaded.generate(tail, state=state, max_new_tokens=9, do_sample=False)[0].tolist() == wanted[0][7:]
    steps: list[int] = []
    loaded.register_forward_hook(lambda _, __, output: steps.append(output.logits.shape[1]))
    loaded.generate(**single, max_new_tokens=3, do_sample=False)
    assert steps == [1, 1, 1]
    beams = [loaded.generate(**batch, max_new_tokens=9, num_beams=3, use_cache=cache) for cache in (True, False)]
    assert beams[0].tolist() == beams[1].tolist()


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
def test_transformers_needs_no_code_where_lstmlm_is_imported(
    transformers: Any, make_run: Callable[..., Any], tmp_path: Path
) -> None:
    import lstmlm.huggingface

    directory = export(make_run(MODELS["n-grams"]), tmp_path / "out")
    assert isinstance(
        transformers.AutoModelForCausalLM.from_pretrained(directory), lstmlm.huggingface.LstmlmForCausalLM
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    vocabulary = len(tokenizer)
    assert None not in (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token, tokenizer.unk_token)
    assert vocabulary == json.loads((directory / "config.json").read_text(encoding="utf-8"))["network"]["vocab_size"]


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
def test_a_trainer_of_transformers_gets_the_loss_of_a_step_and_of_outputs_the_logits(
    transformers: Any, make_run: Callable[..., Any], tmp_path: Path
) -> None:
    """It takes a model with keyword arguments for one that divides the loss by `num_items_in_batch`."""
    pytest.importorskip("accelerate")
    loaded, read_by = load(transformers, export(make_run(MODELS["lstm"]), tmp_path / "out"))
    texts = [{**read_by(line), "labels": read_by(line)["input_ids"]} for line in [LINES[0]] * 4]
    arguments = transformers.TrainingArguments(
        str(tmp_path / "trained"), gradient_accumulation_steps=4, per_device_train_batch_size=1, max_steps=1,
        logging_steps=1, report_to=[], use_cpu=True, save_strategy="no",
    )  # fmt: skip
    trainer = transformers.Trainer(loaded, arguments, train_dataset=texts)
    loss = trainer.evaluate(texts)["eval_loss"]
    trainer.train()
    assert trainer.state.log_history[-2]["loss"] == pytest.approx(loss, rel=1e-3)
    assert trainer.predict(texts).predictions.shape[0] == 4


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
def test_transformers_needs_no_lstmlm(transformers: Any, make_run: Callable[..., Any], tmp_path: Path) -> None:
    trained = make_run(MODELS["mogrifier"] | {"ngram_order": 3})
    directory = export(trained, tmp_path / "out")
    program = (
        "import sys\n"
        "sys.modules['lstmlm'] = None\n"
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
        f"directory, text = {str(directory)!r}, {TEXT!r}\n"
        "model = AutoModelForCausalLM.from_pretrained(directory, trust_remote_code=True)\n"
        "ids = AutoTokenizer.from_pretrained(directory, trust_remote_code=True)(text, return_tensors='pt').input_ids\n"
        "print(model(ids, labels=ids).loss.item())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(read(trained, TEXT)[1].mean(), abs=1e-4)


def test_without_transformers_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from lstmlm.errors import MissingExtraError

    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.delitem(sys.modules, "lstmlm.huggingface", raising=False)
    with pytest.raises(MissingExtraError, match=r"pip install 'lstmlm\[huggingface\]'"):
        import lstmlm.huggingface  # noqa: F401


def load(transformers: Any, directory: Path) -> tuple[Any, Any]:
    model = transformers.AutoModelForCausalLM.from_pretrained(directory, trust_remote_code=True)
    return model, transformers.AutoTokenizer.from_pretrained(directory, trust_remote_code=True)
