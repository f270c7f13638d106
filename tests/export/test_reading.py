"""An exported directory answers as the run that it was made from, without transformers and without its code."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

import lstmlm
from lstmlm.errors import CheckpointError
from lstmlm.export.huggingface import export_huggingface

TEXT = "the farmer waits by the old river\na cat , a sailor says\n"
BACKBONE = {"name": "mogrifier", "n_layers": 2, "hidden_size": 8, "rounds": 3}
MODEL = {"backbone": BACKBONE, "embedding_size": 8, "output": {"name": "adaptive", "cutoffs": (9,)}}


@pytest.fixture
def both(make_run: Callable[..., Any], tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """A run and its exported directory, as models of Python."""
    param = getattr(request, "param", {})
    trained = make_run(MODEL | param.get("model", {}), param.get("tokenizer"))
    export_huggingface(trained.run, trained.model, trained.tokenizer, tmp_path / "exported")
    return lstmlm.load(trained.run.path), lstmlm.load(tmp_path / "exported")


NGRAMS = {"model": {"ngram_order": 4}}
KINDS = {
    "word": {"tokenizer": {"name": "word", "split": "punctuation", "min_count": 2}},
    "char": {"tokenizer": {"name": "char", "max_vocab": 20}},
    "byte": {"tokenizer": {"name": "byte"}},
    "bpe": {"tokenizer": {"name": "bpe", "vocab_size": 270}},
    "unigram": {"tokenizer": {"name": "unigram", "vocab_size": 280}},
    "n-grams": NGRAMS,
}


@pytest.mark.parametrize("both", KINDS.values(), indirect=True, ids=KINDS)
def test_it_answers_as_the_run(both: tuple[Any, Any]) -> None:
    run, exported = both
    assert exported.tokenizer.digest == run.tokenizer.digest
    for ask in (
        lambda model: model.score(TEXT),
        lambda model: model.full_scores(TEXT, bos=False, eos=False),
        lambda model: model.surprisal(TEXT, context="sentence"),
        lambda model: model.next_words("the old", 3),
        lambda model: model.generate("the old", seed=1, max_tokens=20),
        lambda model: model.perplexity(TEXT),
        lambda model: model.report(TEXT)["fingerprint"],
        lambda model: model.state("the old").next_words(3),
    ):
        assert ask(exported) == ask(run)
    assert repr(exported) == repr(run).replace("/run:", "/exported:")


def test_neither_transformers_nor_its_code_is_needed(both: tuple[Any, Any], tmp_path: Path) -> None:
    for name in ("network.py", "modeling_lstmlm.py"):
        (tmp_path / "exported" / name).write_text("raise SystemExit('was run')\n", encoding="utf-8")
    program = (
        "import sys, lstmlm\n"
        "sys.modules['transformers'] = None\n"
        f"print(lstmlm.load({str(tmp_path / 'exported')!r}).score({TEXT!r}))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert float(found) == both[0].score(TEXT)


@pytest.mark.parametrize("both", [{}, NGRAMS], indirect=True, ids=["network", "n-grams"])
def test_it_can_be_exported_again(both: tuple[Any, Any], tmp_path: Path) -> None:
    again = tmp_path / "again"
    export_huggingface(both[1].run, both[1].model, both[1].tokenizer, again)
    for name in ("config.json", "model.safetensors", "tokenizer.json", "lstmlm_tokenizer.json"):
        assert (again / name).read_bytes() == (tmp_path / "exported" / name).read_bytes()


def test_no_path_of_the_run_is_in_it(both: tuple[Any, Any], tmp_path: Path) -> None:
    config = json.loads((tmp_path / "exported" / "config.json").read_bytes())
    assert "corpus" not in config["lstmlm"]["data"]
    assert str(tmp_path) not in json.dumps(config)


def test_a_question_of_its_corpus_asks_for_the_run_or_a_text(both: tuple[Any, Any], tmp_path: Path) -> None:
    problem = "has no corpus. Take the run that it was made from, if there is one."
    with pytest.raises(lstmlm.errors.DataError) as refusal:
        both[1].encode(None, None)
    assert str(refusal.value) == (
        f"{tmp_path / 'exported'}: was exported or imported, and {problem} Or name a text to measure: --text FILE"
    )


def damage(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def of_config(directory: Path) -> None:
        config = json.loads((directory / "config.json").read_bytes())
        change(config)
        (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")

    return of_config


def damage_weights(name: str, value: Any = None) -> Callable[[Path], None]:
    def of_weights(directory: Path) -> None:
        tensors = load_file(directory / "model.safetensors")
        tensors[name] = tensors.pop(name)[:-1] if value is None else value
        save_file(
            {key: tensor for key, tensor in tensors.items() if tensor is not False}, directory / "model.safetensors"
        )

    return of_weights


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (
            damage(lambda config: config.pop("lstmlm") and config.update(model_type="gpt2")),
            r"exported: has a model of type 'gpt2' that lstmlm has not exported. Name a run, or what",
        ),
        (damage(lambda config: config.update(lstmlm=3)), r"config.json: is damaged, or of another version of lstmlm"),
        (
            damage(lambda config: config["lstmlm"]["model"].update(embedding_size="wide")),
            r"config.json: is damaged, or of another version of lstmlm \(lstmlm: Input should be a valid integer",
        ),
        (
            damage(lambda config: config["lstmlm"]["data"].update(tokenizer={"name": "byte"})),
            r"exported: tokenizer.json: not that of the run's data.tokenizer",
        ),
        (
            lambda directory: (directory / "config.json").write_text("{", encoding="utf-8"),
            r"config.json: is damaged \(Expecting property name",
        ),
        (
            lambda directory: (directory / "model.safetensors").write_bytes(b"12345678 no weights"),
            r"model.safetensors: is no safetensors file \(.*Restore it from a copy.",
        ),
        (
            lambda directory: (directory / "model.safetensors").unlink(),
            r"model.safetensors: is missing. Restore it from a copy.",
        ),
        (
            lambda directory: (directory / "lstmlm_tokenizer.json").unlink(),
            r"lstmlm_tokenizer.json: is missing. Restore it from a copy.",
        ),
        (
            damage_weights("network.embedding.weight"),
            r"exported: embedding.weight: the checkpoint has shape 19 x 8, the model .* shape 20 x 8",
        ),
        (
            damage_weights("network.output_layer.bias", value=False),
            r"output_layer.bias: the checkpoint has no such weight",
        ),
    ],
)
def test_what_is_damaged_or_none_is_refused(
    both: tuple[Any, Any], tmp_path: Path, harm: Callable[[Path], None], message: str
) -> None:
    harm(tmp_path / "exported")
    with pytest.raises(CheckpointError, match=message) as error:
        lstmlm.load(tmp_path / "exported")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("both", [NGRAMS], indirect=True, ids=["n-grams"])
def test_ngrams_that_lack_a_table_are_refused(both: tuple[Any, Any], tmp_path: Path) -> None:
    damage_weights("network.ngrams.3.keys", value=False)(tmp_path / "exported")
    with pytest.raises(CheckpointError, match=r"exported: its n-grams are not those of order 4 over 20 tokens"):
        lstmlm.load(tmp_path / "exported")
