"""What a user reads after a mistake in a configuration: every message word for word."""

from pathlib import Path
from typing import get_args

import pytest

from lstmlm.config import RunConfig
from lstmlm.config.model import AnyBackboneOptions, RNNOptions
from lstmlm.errors import ConfigError
from lstmlm.yaml.schema import load_yaml

VALID = "data: {corpus: data/ptb}\ntraining: {n_epochs: 1}\n"

KEYS = "averaging, data, model, optimizer, schedule, seed, training"
MODEL_KEYS = "backbone, dropout, embedding_size, initial_bias, ngram_order, output, tie_weights"
CELLS = ", ".join(sorted(cell.model_fields["name"].default for cell in get_args(get_args(AnyBackboneOptions)[0])))

# What follows the two lines of VALID, and the message about it without the name of the file.
ADDED_LINES = [
    # keys
    ("modle: {}", "3: modle: unknown key. Did you mean 'model'?"),
    ("Seed: 3", "3: Seed: unknown key. Did you mean 'seed'?"),
    ("zzz: 3", f"3: zzz: unknown key. Choose one of: {KEYS}."),
    ("'': 3", f"3: '': unknown key. Choose one of: {KEYS}."),
    ('"a\\nb": 3', f"3: a\\nb: unknown key. Choose one of: {KEYS}."),
    (
        "model.tie_weights: false",
        "3: model.tie_weights: unknown key: a dot is for --set. Write tie_weights below model.",
    ),
    ("lr: 0.1", "3: lr: unknown key. Did you mean 'learning_rate'? It belongs in optimizer."),
    ("optimizer: {name: adam, lr: 0.1}", "3: optimizer.lr: unknown key. Did you mean 'learning_rate'?"),
    ("model: {backbone: {nhid: 200}}", "3: model.backbone.nhid: unknown key. Did you mean 'hidden_size'?"),
    ("emsize: 200", "3: emsize: unknown key. Did you mean 'embedding_size'? It belongs in model."),
    ("epochs: 3", "3: epochs: unknown key. Did you mean 'n_epochs'? It belongs in training."),
    ("seeds: [1, 2]", "3: seeds: unknown key. Did you mean 'seed'?"),
    ("dropout: 0.1", "3: dropout: unknown key. It belongs in model."),
    (
        "optimizer: {name: adam, momentum: 0.9}",
        "3: optimizer.momentum: is an option of 'sgd', not of 'adam'. Remove it, or choose name: sgd.",
    ),
    ("schedule: {name: warmup_cosine, warmup: 10}", "3: schedule.warmup: unknown key. Did you mean 'warmup_steps'?"),
    (
        "averaging: {name: asgd}",
        "3: averaging.name: unknown averaging 'asgd'. Did you mean 'nt_asgd'? Choose one of: ema, none, nt_asgd, tail.",
    ),
    ("batch_size: 3", "3: batch_size: unknown key. It belongs in data."),
    ("patience: 3", "3: patience: unknown key. It belongs in schedule or in training."),
    ("model: {seed: 3}", "3: model.seed: unknown key. It belongs at the top level."),
    (
        "model:\n  hiden_size: 3",
        "4: model.hiden_size: unknown key. Did you mean 'hidden_size'? It belongs in model.backbone.",
    ),
    ("model:\n  hidden_size: 3", "4: model.hidden_size: unknown key. It belongs in model.backbone."),
    ("model:\n  tie_weight: no", "4: model.tie_weight: unknown key. Did you mean 'tie_weights'?"),
    ("model: {7up: 3}", f"3: model.7up: unknown key. Choose one of: {MODEL_KEYS}."),
    ("seed: 1\nseed: 1", "4: seed: duplicate key, first given on line 3. Keep one of them."),
    ("5: 3", "3: 5: a key must be a string, got 5. Quote it."),
    ("on: 3", "3: on: a key must be a string, got True. Quote it."),
    ("? [a]\n: 3", "3: ?: a key must be a plain string. Write it without ?, !, [ or {."),
    ("model: {<<: {tie_weights: false}}", "3: model.<<: merge keys are not read. Write the keys out."),
    # sections and parts
    ("model:", "3: model: expected a mapping of keys, got null. Write its keys below it."),
    ("model: [lstm]", "3: model: expected a mapping of keys, got ['lstm']. Write its keys below it."),
    ("optimizer: adam", "3: optimizer: expected a mapping of keys, got 'adam'. Write {name: adam}."),
    ("optimizer: 20", "3: optimizer: expected a mapping of keys, got 20. Write name and options below it."),
    (
        "optimizer: {name: adm}",
        "3: optimizer.name: unknown optimizer 'adm'. Did you mean 'adam'? Choose one of: adam, adamw, sgd.",
    ),
    (
        "optimizer: {name: SGD}",
        "3: optimizer.name: unknown optimizer 'SGD'. Did you mean 'sgd'? Choose one of: adam, adamw, sgd.",
    ),
    ("optimizer: {name: 3}", "3: optimizer.name: expected a string, got 3. Quote it. Choose one of: adam, adamw, sgd."),
    (
        "model:\n  backbone:\n    name: ltsm",
        f"5: model.backbone.name: unknown cell 'ltsm'. Did you mean 'lstm'? Choose one of: {CELLS}.",
    ),
    (
        "schedule: {name: linear}",
        "3: schedule.name: unknown schedule 'linear'. Did you mean 'warmup_linear'? "
        "Choose one of: anneal_on_plateau, constant, one_cycle, step, warmup_cosine, warmup_linear.",
    ),
    (
        "model:\n  backbone: {name: rnn, forget_bias: 1}",
        "4: model.backbone.forget_bias: is an option of 'lstm', 'layer_norm_lstm' and 'mogrifier', not of 'rnn'. "
        "Remove it, or choose name: lstm, layer_norm_lstm or mogrifier.",
    ),
    (
        "model:\n  backbone: {nonlinearity: relu}",
        "4: model.backbone.nonlinearity: is an option of 'rnn', not of 'lstm'. Remove it, or choose name: rnn.",
    ),
    (
        "model: {backbone: {name: rnn, forget_bais: 1}}",
        "3: model.backbone.forget_bais: unknown key. Did you mean 'forget_bias'?",
    ),
    # types
    ("seed: x", "3: seed: expected a whole number, got 'x'."),
    ("seed: 1.5", "3: seed: expected a whole number, got 1.5."),
    ("seed: '1'", "3: seed: expected a whole number, got '1'. Remove the quotes."),
    ("seed: 010", "3: seed: expected a whole number, got '010'."),
    ("seed: {x: 1}", "3: seed: expected a whole number, got a mapping."),
    ("seed: [[1]]", "3: seed: expected a whole number, got a list."),
    ("seed: 1e6", "3: seed: expected a whole number, got 1000000.0. Write 1000000."),
    ("seed: '1,500'", "3: seed: expected a whole number, got '1,500'. Write 1500."),
    (
        "optimizer: {name: adam, learning_rate: '0,002'}",
        "3: optimizer.learning_rate: expected a number, got '0,002'. Write 0.002.",
    ),
    (
        "optimizer: {name: adam, learning_rate: '1,500'}",
        "3: optimizer.learning_rate: expected a number, got '1,500'. Write 1.500 or 1500.",
    ),
    (
        "optimizer: {clip_norm: none}",
        "3: optimizer.clip_norm: expected a number, got 'none'. For none write null.",
    ),
    ("optimizer: {clip_norm: 0}", "3: optimizer.clip_norm: must be more than 0, got 0. For none write null."),
    ("model: {ngram_order: none}", "3: model.ngram_order: expected a whole number, got 'none'. For none write null."),
    ("model: {dropout: {input: none}}", "3: model.dropout.input: expected a number, got 'none'. For none write 0."),
    (
        "model: {backbone: {hidden_size: none}}",
        "3: model.backbone.hidden_size: expected a whole number or a list, got 'none'.",
    ),
    ("optimizer: {name: adam, betas: 0.9}", "3: optimizer.betas: expected a list, got 0.9."),
    ("schedule: {name: step, milestones: 5}", "3: schedule.milestones: expected a list, got 5. Write [5]."),
    ("model: {dropout: 0.5}", "3: model.dropout: expected a mapping of keys, got 0.5. Write its keys below it."),
    ("seed: true", "3: seed: expected a whole number, got True."),
    ("model: {tie_weights: 'no'}", "3: model.tie_weights: expected true or false, got 'no'. Remove the quotes."),
    ("model: {tie_weights: 0}", "3: model.tie_weights: expected true or false, got 0."),
    ("model: {dropout: {input: a lot}}", "3: model.dropout.input: expected a number, got 'a lot'."),
    (
        "model: {backbone: {hidden_size: x}}",
        "3: model.backbone.hidden_size: expected a whole number or a list, got 'x'.",
    ),
    (
        "model:\n  backbone:\n    hidden_size:\n    - 3\n    - x",
        "7: model.backbone.hidden_size[1]: expected a whole number, got 'x'.",
    ),
    ("optimizer: {name: adam, betas: [0.9]}", "3: optimizer.betas: expected a list of 2, got [0.9]."),
    ("optimizer: {name: adam, betas: [0, 0, 0]}", "3: optimizer.betas: expected a list of 2, got [0, 0, 0]."),
    ("seed: !!int '3'", "3: seed: tag '!!int' is not allowed. Remove it."),
    (
        "seed: !!python/object/apply:os.system [ls]",
        "3: seed: tag '!!python/object/apply:os.system' is not allowed. Remove it.",
    ),
    (
        "model: {output: {name: adaptive, cutoffs: 5}}",
        "3: model.output.cutoffs: expected auto or a list, got 5. Write [5].",
    ),
    (
        "model: {output: {name: adaptive, cutoffs: Auto}}",
        "3: model.output.cutoffs: expected auto or a list, got 'Auto'. Did you mean 'auto'?",
    ),
    ("model: {output: {name: adaptive, cutoffs: all}}", "3: model.output.cutoffs: expected auto or a list, got 'all'."),
    (
        "model: {output: {name: adaptive, cutoffs: [9, x]}}",
        "3: model.output.cutoffs[1]: expected a whole number, got 'x'.",
    ),
    # values
    ("model: {output: {name: adaptive, cutoffs: [0, 9]}}", "3: model.output.cutoffs[0]: must be more than 0, got 0."),
    (
        "model: {output: {name: adaptative}}",
        "3: model.output.name: unknown output layer 'adaptative'. Did you mean 'adaptive'? "
        "Choose one of: adaptive, mixture, softmax.",
    ),
    ("seed: -1", "3: seed: must be at least 0, got -1."),
    ("model: {backbone: {forget_bias: 1e300}}", "3: model.backbone.forget_bias: must be at most 100, got 1e+300."),
    ("model: {backbone: {forget_bias: -101}}", "3: model.backbone.forget_bias: must be at least -100, got -101."),
    ("model: {backbone: {n_layers: 101}}", "3: model.backbone.n_layers: must be at most 100, got 101."),
    ("model: {backbone: {hidden_size: [0, 3]}}", "3: model.backbone.hidden_size[0]: must be more than 0, got 0."),
    ("model: {dropout: {input: 1}}", "3: model.dropout.input: must be less than 1, got 1."),
    ("optimizer: {learning_rate: .inf}", "3: optimizer.learning_rate: must be a finite number, got inf."),
    ("optimizer: {clip_norm: .nan}", "3: optimizer.clip_norm: must be a finite number, got nan."),
    (
        "model: {backbone: {name: rnn, nonlinearity: tan}}",
        "3: model.backbone.nonlinearity: unknown value 'tan'. Did you mean 'tanh'? Choose one of: relu, tanh.",
    ),
    # combinations
    (
        "model:\n  backbone: {hidden_size: 256}\n  tie_weights: true",
        "5: model.tie_weights: needs the last layer as wide as the embedding, got 256 and 200. "
        "Make them equal, or set tie_weights: false. To tie them all the same: output.projection: true.",
    ),
    (
        "model:\n  output: {name: adaptive, div_value: 4}",
        "4: model.output: div_value 4 narrows the vectors of rare tokens, but tied ones are as wide as the embedding. "
        "Set div_value: 1, or tie_weights: false.",
    ),
    (
        "model: {output: {name: adaptive, cutoffs: [20, 10]}}",
        "3: model.output.cutoffs: must increase, got [20, 10]. Sort them, each once.",
    ),
    (
        "model:\n  backbone:\n    hidden_size: [200]",
        "5: model.backbone.hidden_size: lists 1 widths for 2 layers. Give one width a layer, or a single one for all.",
    ),
    (
        "model:\n  backbone:\n    hidden_size: [100, 200]\n    skip: layer_sum",
        "6: model.backbone.skip: layer_sum adds the outputs of all layers, which needs one width, got [100, 200]. "
        "Make them equal, or set skip: none.",
    ),
]

# Whole files, and their message without the name of the file.
FILES = [
    (
        "data: {path: x}\ntraining: {n_epochs: 1}",
        ":1: data.path: unknown key. Did you mean 'corpus'?\nconfigs/x.yaml:1: data.corpus: missing key. Add it.",
    ),
    (
        "data: {corpus: x}\ntraining: {n_epochs: 1, device: gpu}",
        ":2: training.device: unknown value 'gpu'. Did you mean 'cuda'? Choose one of: auto, cpu, cuda.",
    ),
    (
        "data: {corpus: x}\ntraining: {n_epochs: 1, precision: bf16}",
        ":2: training.precision: unknown value 'bf16'. Did you mean 'bfloat16'? "
        "Choose one of: auto, bfloat16, float32.",
    ),
    (
        "data: {corpus: x, tokenizer: {name: word, vocab_size: 8000}}\ntraining: {n_epochs: 1}",
        ":1: data.tokenizer.vocab_size: is an option of 'bpe' and 'unigram', not of 'word'. "
        "Remove it, or choose name: bpe or unigram.",
    ),
    (
        "data: {corpus: x, holdout: 5%}\ntraining: {n_epochs: 1}",
        ":1: data.holdout: expected a number, got '5%'. Write 0.05.",
    ),
    (
        "data: {corpus: x, eos: lines}\ntraining: {n_epochs: 1}",
        ":1: data.eos: unknown value 'lines'. Did you mean 'line'? "
        "Choose one of: document, line, line_and_document, never.",
    ),
    ("training: {n_epochs: 1}", ":1: data: missing key. Add it."),
    ("training: {n_epochs: 1}\ndata: {}", ":2: data.corpus: missing key. Add it."),
    (
        "data:\n  bptt: 35\n  corpus: no\ntraining: {n_epochs: 1}",
        ":3: data.corpus: expected a string, got False. YAML reads no/off/false as false: quote it.",
    ),
    (
        "data: {corpus: ON}\ntraining: {n_epochs: 1}",
        ":1: data.corpus: expected a string, got True. YAML reads yes/on/true as true: quote it.",
    ),
    ("data: {corpus: 1984}\ntraining: {n_epochs: 1}", ":1: data.corpus: expected a string, got 1984. Quote it."),
    ("data: {corpus: }\ntraining: {n_epochs: 1}", ":1: data.corpus: expected a string, got null."),
    ("data: {corpus: ''}\ntraining: {n_epochs: 1}", ":1: data.corpus: must not be empty, got ''."),
    (
        "data: {corpus: x}\ntraining: {n_epochs: 1, precision: off}",
        ":2: training.precision: expected one of auto, bfloat16, float32, got False. "
        "YAML reads no/off/false as false: quote it.",
    ),
    ("data: {corpus: x}\ntraining: {}", ":2: training: needs n_epochs, n_steps or budget, got none. Give one of them."),
    (
        "data: {corpus: x}\ntraining:\n  n_epochs: 1\n  n_steps: 1",
        ":2: training: needs n_epochs, n_steps or budget, got n_epochs and n_steps. "
        "Give one of them, null for the others.",
    ),
    (
        "data: {corpus: x}\ntraining:\n  budget: 10",
        ":3: training.budget: 10 has no unit. Write 10s, 10m or 10h.",
    ),
    (
        "data: {corpus: x}\ntraining: {budget: soon}",
        ":2: training.budget: expected a time such as 90s, 10m or 1h30m, got 'soon'.",
    ),
    (
        "data: {corpus: x}\ntraining: {budget: 10m, n_epochs: 3}",
        ":2: training: needs n_epochs, n_steps or budget, got n_epochs and budget. "
        "Give one of them, null for the others.",
    ),
    (
        "data: {corpus: x, bptt: 9, variable_bptt: true}\ntraining: {n_epochs: 1}",
        ":1: data.variable_bptt: needs a bptt of 10 or more, as windows vary by 5 tokens and have at least 5, got 9. "
        "Raise data.bptt, or set variable_bptt: false.",
    ),
    (
        "data: {corpus: x}\ntraining: {n_epochs: 1, regularization: {alpha: -1}}",
        ":2: training.regularization.alpha: must be at least 0, got -1.",
    ),
    (
        "data: {corpus: x, batch_size: 20}\ntraining:\n  n_epochs: 1\n  accumulate: 3",
        ":4: training.accumulate: must divide data.batch_size 20, got 3. Choose another of the two.",
    ),
    ("", ": empty. Write a mapping of keys."),
    ("# nothing but a comment\n", ": empty. Write a mapping of keys."),
    ("- 1", ":1: expected a mapping of keys, got [1]."),
    (
        "a: {",
        ":1: not YAML: expected the node content, but found '<stream end>', "
        "while parsing a flow node that starts on line 1.",
    ),
    ("a:\n\tb: 1", ":2: not YAML: found character '\\t' that cannot start any token. Indent with spaces."),
    (
        "a: b: c",
        ":1: not YAML: mapping values are not allowed here. "
        "Check the indentation, and quote a text that contains a colon.",
    ),
    (
        'data: {corpus: "C:\\Users\\me.txt"}',
        ":1: not YAML: expected escape sequence of 8 hexadecimal numbers, but found 's', while scanning a "
        "double-quoted scalar that starts on line 1. In double quotes a backslash begins an escape: take single "
        "quotes, or / in a path.",
    ),
    (
        "data:\n  corpus: x\n\u00a0 \u00a0 bptt: 4\n  batch_size: 16",
        ":4: not YAML: mapping values are not allowed here. Line 3 has a no-break space (U+00A0) where a blank "
        "looks the same. Type blanks in its place.",
    ),
    (
        "data:\n\u00a0 corpus: x",
        ":2: \\xa0 corpus: has a no-break space (U+00A0) where a blank looks the same. Type blanks in its place.",
    ),
    (
        "data:\n  corpus: x\n  bptt:16\ntraining: {n_epochs: 1}",
        ":4: not YAML: could not find expected ':', while scanning a simple key that starts on line 3. "
        "Line 3 needs a colon and a blank after its key. Write 'bptt: 16'.",
    ),
    (
        "data: {corpus: x}\ntraining:\n  n_epochs：1",
        ":2: training: expected a mapping of keys, got 'n_epochs：1'. "
        "A key needs a colon and a blank after its key. Write 'n_epochs: 1'.",
    ),
    (
        "data: {corpus: x}\ntraining: {n_epochs: 1}\noptimizer:\n  name:\u00a0adam",
        ":3: optimizer: expected a mapping of keys, got 'name:\\xa0adam'. "
        "A key needs a colon and a blank after its key. Write 'name: adam'.",
    ),
    (
        "data: {corpus: x, batch_size: '1,024'}\ntraining: {n_epochs: 1, state_reset: 20 %}",
        ":1: data.batch_size: expected a whole number, got '1,024'. Write 1024.\n"
        "configs/x.yaml:2: training.state_reset: expected a number, got '20 %'. Write 0.2.",
    ),
    ("a: 1\n---\na: 1", ":2: a second document starts here. Keep one document a file."),
]

OVERRIDES = [
    ("seed", "--set seed: expected key=value, such as section.key=5."),
    ("=1", "--set =1: expected key=value, such as section.key=5."),
    ("model..x=1", "--set model..x=1: expected key=value, such as section.key=5."),
    ("seed=x", "--set seed=x: seed: expected a whole number, got 'x'."),
    ("seed=", "--set seed=: seed: expected a whole number, got null."),
    (
        "seed=a: b: c",
        "--set seed=a: b: c: seed: not YAML: mapping values are not allowed here. "
        "Check the indentation, and quote a text that contains a colon.",
    ),
    (
        "data.corpus=[2024]/novel.txt",
        "--set data.corpus=[2024]/novel.txt: data.corpus: not YAML: expected '<document start>', but found '<scalar>'. "
        "If it is a text: --set 'data.corpus=\"[2024]/novel.txt\"'",
    ),
    ("seed=!!int 1", "--set seed=!!int 1: seed: tag '!!int' is not allowed. Remove it."),
    ("sede=1", "--set sede=1: sede: unknown key. Did you mean 'seed'?"),
    ("modle.tie_weights=no", "--set modle.tie_weights=no: modle: unknown key. Did you mean 'model'?"),
    (
        "model.hidden_size=512",
        "--set model.hidden_size=512: model.hidden_size: unknown key. It belongs in model.backbone.",
    ),
    (
        "data.corpus.name=ptb",
        "--set data.corpus.name=ptb: data.corpus is 'data/ptb', not a mapping of keys. Set data.corpus.",
    ),
    (
        "model.backbone.name=ltsm",
        "--set model.backbone.name=ltsm: model.backbone.name: unknown cell 'ltsm'. Did you mean 'lstm'? "
        f"Choose one of: {CELLS}.",
    ),
    (
        "model={dropout: {input: 2}}",
        "--set model={dropout: {input: 2}}: model.dropout.input: must be less than 1, got 2.",
    ),
]


@pytest.fixture(autouse=True)
def _working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "configs").mkdir()
    monkeypatch.chdir(tmp_path)


def message_about(text: str | bytes, *overrides: str) -> str:
    path = Path("configs/x.yaml")
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load_yaml(path, RunConfig, overrides)
    assert caught.value.exit_status == 2
    return str(caught.value)


@pytest.mark.parametrize(("added", "message"), ADDED_LINES)
def test_message_about_a_line(added: str, message: str) -> None:
    assert message_about(VALID + added) == f"configs/x.yaml:{message}"


@pytest.mark.parametrize(("text", "message"), FILES)
def test_message_about_a_file(text: str, message: str) -> None:
    assert message_about(text) == f"configs/x.yaml{message}"


@pytest.mark.parametrize(("override", "message"), OVERRIDES)
def test_message_about_an_override(override: str, message: str) -> None:
    assert message_about(VALID, override) == message


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    text = (
        "training: {n_epochs: 0}\nseed: x\nsede: 1\nmodel:\n  backbone: {name: xyz}\n  dropout: {input: 2}\nseed: 2\n"
    )
    assert message_about(text, "data.bptt=0", "seed.x=1").splitlines() == [
        "configs/x.yaml:1: training.n_epochs: must be more than 0, got 0. For none write null.",
        "configs/x.yaml:2: seed: expected a whole number, got 'x'.",
        "configs/x.yaml:3: sede: unknown key. Did you mean 'seed'?",
        f"configs/x.yaml:5: model.backbone.name: unknown cell 'xyz'. Choose one of: {CELLS}.",
        "configs/x.yaml:6: model.dropout.input: must be less than 1, got 2.",
        "configs/x.yaml:7: seed: duplicate key, first given on line 2. Keep one of them.",
        "--set data.bptt=0: data.corpus: missing key. Add it.",
        "--set data.bptt=0: data.bptt: must be more than 0, got 0.",
        "--set seed.x=1: seed is 'x', not a mapping of keys. Set seed.",
    ]


def test_a_typo_is_not_followed_by_a_contradiction_that_it_causes() -> None:
    message = message_about(VALID + "model: {backbone: {hidden_size: 100}, embeding_size: 100}")
    assert message == "configs/x.yaml:3: model.embeding_size: unknown key. Did you mean 'embedding_size'?"


def test_an_override_that_names_another_part_leaves_behind_options_of_the_one_in_the_file() -> None:
    text = VALID + "model: {backbone: {name: lstm, forget_bias: 2.0, n_layers: 1}}"
    path = Path("configs/x.yaml")
    path.write_text(text, encoding="utf-8")
    assert load_yaml(path, RunConfig, ["model.backbone.name=rnn"]).model.backbone == RNNOptions(n_layers=1)


def test_an_override_that_names_another_part_excuses_no_mistake() -> None:
    owned = "is an option of 'lstm', 'layer_norm_lstm' and 'mogrifier', not of 'rnn'. "
    advice = "Remove it, or choose name: lstm, layer_norm_lstm or mogrifier."
    overrides = ["model.backbone.name=rnn", "model.backbone.forget_bias=2.0"]
    assert message_about(VALID + "model: {backbone: {name: lstm, forget_bia: 2.0}}", *overrides).splitlines() == [
        "configs/x.yaml:3: model.backbone.forget_bia: unknown key. Did you mean 'forget_bias'?",
        f"--set model.backbone.forget_bias=2.0: model.backbone.forget_bias: {owned}{advice}",
    ]


def test_a_file_that_is_not_utf8() -> None:
    assert message_about(b"# caf\xe9\n") == (
        "configs/x.yaml: not UTF-8 (byte 0xE9 at offset 5, line 1). "
        "Convert it: iconv -f windows-1252 -t utf-8 configs/x.yaml > configs/x.utf8.yaml"
    )
    assert "(byte 0xE9 at offset 10, line 3)" in message_about(b"# 1\n# 2\n# \xe9")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16le", "utf-16be"])
def test_a_file_in_utf16(encoding: str) -> None:
    assert message_about(VALID.encode(encoding)) == (
        "configs/x.yaml: not UTF-8, but UTF-16. "
        f"Convert it: iconv -f {encoding} -t utf-8 configs/x.yaml > configs/x.utf8.yaml"
    )


PATHS = [
    "./My texts #2/novel.txt",
    "./50% off: sale/novel.txt",
    "./texts [2024]/*.txt",
    "./a, b/{curly}.txt",
    "*/novel.txt",
    "@home/it's",
    "`x`/#1",
    "C:\\texts\\novel.txt",
]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_set_as_it_is_typed(path: str) -> None:
    Path("configs/x.yaml").write_text(VALID, "utf-8")
    assert load_yaml(Path("configs/x.yaml"), RunConfig, [f"data.corpus={path}"]).data.corpus == path


def test_a_file_larger_than_is_read() -> None:
    assert message_about("#" * 100_001) == "configs/x.yaml: more than 100000 bytes. Give a YAML file of options."


def test_files_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(ConfigError, match=r"^configs/y\.yaml: no such file\. Check the path\.$"):
        load_yaml(Path("configs/y.yaml"), RunConfig)
    with pytest.raises(ConfigError, match=r"^configs: a directory\. Name a YAML file in it\.$"):
        load_yaml(Path("configs"), RunConfig)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigError, match=r"^x: cannot be read \(Permission denied\)\. Check its permissions\.$"):
        load_yaml(Path("x"), RunConfig)


def test_long_and_unprintable_texts_stay_on_one_line() -> None:
    message = message_about(VALID + f'"{"k" * 300}\\n": 1\nseed: "{"v" * 300}\\n"')
    assert len(message.splitlines()) == 2
    assert max(map(len, message.splitlines())) < 250
