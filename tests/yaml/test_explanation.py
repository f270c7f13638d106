"""Keys explained: each has a meaning, and what is said of it is what the checks do."""

import pytest
from pydantic import BaseModel

from lstmlm.config import RunConfig
from lstmlm.errors import ConfigError
from lstmlm.yaml.comparison import differences, differences_from_defaults
from lstmlm.yaml.explanation import explain, explanations
from lstmlm.yaml.schema import from_overrides

REQUIRED = ["data.corpus=python-docs", "training.n_steps=5"]


def test_every_key_has_a_meaning() -> None:
    known = explanations(RunConfig)
    assert [one.key for one in known if not one.meaning] == []


def test_a_choice_says_what_it_is() -> None:
    tail, fraction = explain(RunConfig, "tail")
    assert (tail.key, tail.meaning) == (
        "averaging.name",
        "The mean of the weights after each of the last steps (Polyak & Juditsky 1992).",
    )
    assert (fraction.key, fraction.parts) == ("averaging.fraction", ("tail",))
    assert [one.key for one in explain(RunConfig, "none") if one.is_choice] == ["averaging.name"]


def test_a_key_that_stands_in_several_parts() -> None:
    found = {one.of: one for one in explain(RunConfig, "learning_rate")}
    assert list(found) == ["adam, adamw", "sgd"]
    assert found["sgd"].type == "a number, above 0, at most 1,000,000"
    assert (found["adam, adamw"].default, found["sgd"].default) == (0.003, 20.0)
    [n_layers] = explain(RunConfig, "n_layers")
    assert (n_layers.of, len(n_layers.parts)) == ("all", 5)
    assert n_layers in explain(RunConfig, "mogrifier")
    of_tokenizers = [(one.key, one.of) for one in explanations(RunConfig) if one.key.startswith("data.tokenizer.")]
    first = of_tokenizers.index(("data.tokenizer.sample_bytes", "bpe"))
    assert of_tokenizers[first + 1] == ("data.tokenizer.sample_bytes", "unigram")


def test_one_key() -> None:
    [bptt] = explain(RunConfig, "bptt")
    assert (bptt.key, bptt.default, bptt.is_required) == ("data.bptt", 35, False)
    [corpus] = explain(RunConfig, "data.corpus")
    assert corpus.is_required
    [eos] = explain(RunConfig, "eos")
    assert eos.type == "one of line, line_and_document, document, never"
    [betas] = explain(RunConfig, "betas")
    assert betas.type == "a list of a number, at least 0, below 1 and a number, at least 0, below 1"


def test_a_key_that_there_is_not() -> None:
    with pytest.raises(ConfigError, match=r"bpttt: no such key\. Did you mean 'bptt'\? See all: lstmlm config explain"):
        explain(RunConfig, "bpttt")


def built(*overrides: str) -> BaseModel:
    return from_overrides(RunConfig, [*REQUIRED, *overrides])


def test_differences() -> None:
    found = differences([built(), built("optimizer.name=adam", "data.bptt=9")])
    assert found["data.bptt"] == [35, 9]
    assert found["optimizer.betas"] == [None, [0.9, 0.999]]
    assert differences([built(), built()]) == {}


def test_differences_from_defaults() -> None:
    assert differences_from_defaults(built()) == {"data.corpus": "python-docs", "training.n_steps": 5}
    found = differences_from_defaults(
        built("optimizer.name=adam", "optimizer.learning_rate=0.01", "model.dropout.input=0.1")
    )
    assert found == {
        "data.corpus": "python-docs",
        "model.dropout.input": 0.1,
        "optimizer.name": "adam",
        "optimizer.learning_rate": 0.01,
        "training.n_steps": 5,
    }
