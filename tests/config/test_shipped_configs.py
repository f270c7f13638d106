"""The files in `configs/`, and the sample that the documentation shows."""

import json
from pathlib import Path

import pytest

from lstmlm.config import RunConfig
from lstmlm.config.model import DropoutOptions, LSTMOptions, RNNOptions
from lstmlm.config.optimizer import SGDOptions
from lstmlm.config.schedule import AnnealOnPlateauOptions
from lstmlm.yaml.schema import dump_yaml, json_schema, load_yaml

FOLDER = Path(__file__).parents[2] / "configs"
FILES = sorted(FOLDER.glob("*.yaml"))
SAMPLE = """\
seed: 1
data:       {corpus: data/ptb, tokenizer: {name: word, split: whitespace}, batch_size: 20, bptt: 35}
model:
  backbone: {name: lstm, n_layers: 2, hidden_size: 200}
  embedding_size: 200
  tie_weights: true
  dropout:  {embedding: 0.0, input: 0.2, hidden: 0.2, output: 0.2, weight_drop: 0.0}
optimizer:  {name: sgd, learning_rate: 20.0, clip_norm: 0.25}
schedule:   {name: anneal_on_plateau, factor: 0.25}
training:   {n_epochs: 6, precision: auto}
"""


def load_text(folder: Path, text: str) -> RunConfig:
    path = folder / "x.yaml"
    path.write_text(text, encoding="utf-8")
    return load_yaml(path, RunConfig)


def test_the_promised_files_are_there() -> None:
    assert {file.stem for file in FILES} >= {
        *("quickstart", "ptb-lstm-small", "ptb-lstm-medium", "ptb-rnn", "shakespeare-char")
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_file_loads_and_survives_being_written(path: Path, tmp_path: Path) -> None:
    config = load_yaml(path, RunConfig)
    assert load_text(tmp_path, dump_yaml(config)) == config


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_file_explains_itself(path: Path) -> None:
    schema_line, *rest = path.read_text(encoding="utf-8").splitlines()
    assert schema_line == "# yaml-language-server: $schema=schema.json"
    assert any(line.startswith("# ") for line in rest)


def test_the_small_model_is_that_of_the_pytorch_examples() -> None:
    config = load_yaml(FOLDER / "ptb-lstm-small.yaml", RunConfig)
    assert config.model.backbone == LSTMOptions(n_layers=2, hidden_size=200)
    assert config.model.embedding_size == 200
    assert config.model.tie_weights
    assert config.model.dropout == DropoutOptions(input=0.2, hidden=0.2, output=0.2)
    assert (config.data.batch_size, config.data.bptt) == (20, 35)
    assert config.optimizer == SGDOptions(learning_rate=20, clip_norm=0.25)
    assert config.schedule == AnnealOnPlateauOptions(factor=0.25)


def test_the_quickstart_needs_only_another_name_to_train_an_elman_network() -> None:
    path = FOLDER / "quickstart.yaml"
    lstm = load_yaml(path, RunConfig)
    rnn = load_yaml(path, RunConfig, ["model.backbone.name=rnn"])
    assert isinstance(lstm.model.backbone, LSTMOptions)
    assert isinstance(rnn.model.backbone, RNNOptions)
    assert rnn.model.backbone.hidden_sizes == lstm.model.backbone.hidden_sizes


def test_the_documented_sample_loads(tmp_path: Path) -> None:
    config = load_text(tmp_path, SAMPLE)
    assert config.model.backbone == LSTMOptions(n_layers=2, hidden_size=200)
    assert config.training.n_epochs == 6


def test_layers_can_have_widths_of_their_own(tmp_path: Path) -> None:
    text = SAMPLE.replace("n_layers: 2, hidden_size: 200", "n_layers: 3, hidden_size: [1150, 1150, 200]")
    assert load_text(tmp_path, text).model.backbone.hidden_sizes == (1150, 1150, 200)


def test_the_json_schema_is_fresh() -> None:
    """Compared as values: how a limit is written, 0 or 0.0, is pydantic's choice."""
    shipped = json.loads((FOLDER / "schema.json").read_text(encoding="utf-8"))
    assert shipped == json.loads(json_schema(RunConfig)), "run: lstmlm config schema > configs/schema.json"
