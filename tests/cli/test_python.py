"""`import lstmlm`: what Python is told is what the command line says, to the last digit, and errors are ours."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from run_facts import flip_last_byte

Cli = Callable[..., Any]

LINES = ["The old miller buys bread at the market.", "", "He  walks home, but the xyzzy waits ."]
TEXT = "".join(f"{line}\n" for line in LINES)

every_model = pytest.mark.parametrize("backbone", ["lstm", "rnn"])
every_tokenizer = pytest.mark.parametrize("tokenizer", ["word", "char", "bpe"])


@pytest.fixture
def model(backbone: str, tokenizer: str, here: Path, add_run: Callable[..., None]) -> Any:
    add_run("runs/tiny", f"model.backbone.name={backbone}", f"data.tokenizer={{name: {tokenizer}}}")
    (here / "text.txt").write_text(TEXT, "utf-8")
    import lstmlm

    return lstmlm.load("runs/tiny")


@pytest.fixture
def tiny(trained: Path) -> Any:
    """A model of words."""
    import lstmlm

    return lstmlm.load()


def as_json(result: Any) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@every_model
@every_tokenizer
def test_a_text_has_the_figures_of_the_command_line(model: Any, lstmlm: Cli) -> None:
    report = as_json(lstmlm("eval", "perplexity", "--text", "text.txt", "--json"))
    assert model.perplexity(TEXT) == report["perplexity"]
    assert model.score(TEXT) == -report["nats"] / math.log(10)
    own = {"text": "text.txt", "seconds": report["seconds"]}
    assert {**model.report(TEXT), **own} == report

    scores = model.full_scores(TEXT)
    assert sum(score.log10_probability for score in scores) == pytest.approx(model.score(TEXT), rel=1e-12)
    assert len(scores) == report["n_tokens"]
    assert sum(oov for _, _, oov in scores) == report["n_unk"]


@every_model
@every_tokenizer
def test_words_have_the_figures_of_the_command_line(model: Any, lstmlm: Cli) -> None:
    for options in ({}, {"context": "sentence"}, {"context": 3}, {"first_word": "skip"}, {"first_word": "zero-state"}):
        flags = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value))]
        result = lstmlm("eval", "surprisal", "text.txt", "--jsonl", *flags)
        rows = list(map(json.loads, result.stdout.splitlines()))
        assert model.surprisal(TEXT, **options) == rows
        assert model.surprisal(LINES, **options) == rows
    bits = sum(row["surprisal_bits"] for row in model.surprisal(TEXT))
    assert bits * math.log(2) == pytest.approx(-model.score(TEXT) * math.log(10), rel=1e-5)


@every_model
@every_tokenizer
def test_next_words_are_those_of_the_command_line(model: Any, lstmlm: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from lstmlm.generation import next_word

    monkeypatch.setattr(next_word, "MAX_PREFIXES", 40)  # so few steps of training leave thousands of likely ones
    for prefix in ("", "The farmer ", "The farmer goes.\nThe"):
        said = as_json(lstmlm("next", prefix, "--top", "4", "--json"))["words"]
        for found in (model.next_words(prefix, 4), model.state(prefix).next_words(4)):
            assert [vars(word) for word in found] == said
    said = as_json(lstmlm("next", "The f", "--top", "2", "--complete", "--json"))["words"]
    assert [vars(word) for word in model.next_words("The f", 2, complete=True)] == said


@every_model
@every_tokenizer
def test_texts_are_those_of_the_command_line(model: Any, lstmlm: Cli) -> None:
    flags = ["--seed", "3", "--max-tokens", "9", "--temperature", "0.7", "--top-k", "20", "--stop", "q"]
    options = {"max_tokens": 9, "temperature": 0.7, "top_k": 20, "stop": ["q"]}
    written = model.generate("The farmer", seed=3, **options)
    assert model.generate("The farmer", seed=3, **{**options, "stop": "q"}) == written
    assert written + "\n" == lstmlm("generate", "The farmer", *flags).stdout
    assert "The farmer" + "".join(model.stream("The farmer", seed=3, **options)) == written
    assert (
        model.generate("The", seed=-1, max_tokens=3) + "\n"
        == lstmlm(*"generate The --seed -1 --max-tokens 3".split()).stdout
    )


@every_tokenizer
@pytest.mark.parametrize("backbone", ["lstm"])
def test_the_beginning_and_the_end_are_scored_or_not(model: Any) -> None:
    line = "The old miller"
    end = model.full_scores(line)[-1]
    assert model.score(f"{line}\n") == model.score(line)
    assert model.score(line, eos=False) == pytest.approx(model.score(line) - end.log10_probability, rel=1e-6)
    assert model.score(f"{line}\n", eos=False) == model.score(line, eos=False)
    assert end.token in ("<eos>", "\n", "Ċ")

    from_nothing = model.full_scores(line, bos=False)
    assert [score.token for score in from_nothing] == [score.token for score in model.full_scores(line)]
    assert model.score(line, bos=False) == pytest.approx(sum(score.log10_probability for score in from_nothing))
    zero_state = model.surprisal([line], first_word="zero-state")
    bits = sum(row["surprisal_bits"] for row in zero_state)
    assert model.score(line, bos=False) == pytest.approx(-bits * math.log10(2), rel=1e-6)


@pytest.mark.parametrize("eos", ["line", "line_and_document", "document", "never"])
@pytest.mark.parametrize(
    ("tokenizer", "tokens"),
    [("word", ["The", "farmer", "goes"]), ("char", [*"The farmer goes"]), ("bpe", None)],
)
def test_without_its_end_a_text_is_its_words(
    eos: str, tokenizer: str, tokens: list[str] | None, here: Path, lstmlm: Cli
) -> None:
    from lstmlm import load

    Path("texts.jsonl").write_text('{"text": "The farmer goes\\nThe cat sleeps"}\n' * 40, "utf-8")
    options = ("data.corpus=./texts.jsonl", f"data.eos={eos}", f"data.tokenizer={{name: {tokenizer}}}")
    sets = [part for option in options for part in ("--set", option)]
    assert lstmlm("train", "--config", "tiny.yaml", *sets).exit_code == 0
    model = load("runs/tiny")
    found = [score.token for score in model.full_scores("The farmer goes", eos=False)]
    assert found == (tokens or [*map(model.tokenizer.token, model.tokenizer.encode_prompt("The farmer goes"))])


def test_an_empty_line_has_an_end(tiny: Any) -> None:
    [end] = tiny.full_scores("")
    assert end.token == "<eos>"
    assert tiny.score("") == end.log10_probability < 0


def test_unknown_words_are_marked(tiny: Any) -> None:
    assert [(score.token, score.oov) for score in tiny.full_scores("The xyzzy")] == [
        ("The", False),
        ("<unk>", True),
        ("<eos>", False),
    ]
    assert [row["oov"] for row in tiny.surprisal(["The xyzzy"])] == [0, 1, 0]


@pytest.mark.parametrize("eos", ["line", "never"])
def test_a_text_is_read_as_the_corpus_was(eos: str, here: Path, add_run: Callable[..., None], lstmlm: Cli) -> None:
    import lstmlm as package

    add_run("runs/tiny", f"data.eos={eos}")
    model = package.load("runs/tiny")
    content = "\ufeffThe cat sleeps.\r\nThe dog\rgoes.\n"
    (here / "odd.txt").write_text(content, "utf-8", newline="")
    report = as_json(lstmlm("eval", "perplexity", "--text", "odd.txt", "--json"))
    assert (model.report(content)["nats"], model.report(content)["n_chars"]) == (report["nats"], report["n_chars"])
    assert model.score(content) == -report["nats"] / math.log(10)


def test_words_may_be_given_one_by_one(tiny: Any) -> None:
    assert tiny.surprisal([["The", "cat"], ["He"]]) == tiny.surprisal(["The cat", "He"])


def test_a_seed_is_drawn_where_none_is_given(tiny: Any) -> None:
    assert len({tiny.generate("The", max_tokens=12) for _ in range(4)}) > 1


def test_the_options_of_generate_are_those_of_the_sampler() -> None:
    from lstmlm.api.arguments import Sampling
    from lstmlm.generation.options import SamplingOptions

    assert list(Sampling.__annotations__) == list(SamplingOptions.__dataclass_fields__)


def test_a_model_is_what_the_questions_take(tiny: Any) -> None:
    from lstmlm.workflows import TrainedModel

    assert isinstance(tiny, TrainedModel)
    assert tiny.model.vocab_size == tiny.tokenizer.vocab_size
    assert repr(tiny) == f"<lstmlm lstm of runs/tiny: {tiny.model.vocab_size:,} types>"


MISTAKES = [
    ("model.score(3)", "DataError", "text: expected text, got 3. Give a str."),
    ('model.score(b"a")', "DataError", "text: expected text, got b'a'. Give a str."),
    ("model.full_scores(None)", "DataError", "text: expected text, got None. Give a str."),
    (r'model.score("\udc80")', "DataError", "text: not Unicode"),
    ('model.score("", eos=False)', "ShortTextError", "text: is empty. Give it some words."),
    ('model.perplexity("")', "ShortTextError", "text: is empty. Give it some words."),
    ("model.surprisal([])", "DataError", "sentences: are none. Give one."),
    ('model.surprisal("")', "DataError", "sentences: are none. Give one."),
    ("model.surprisal(5)", "DataError", "sentences: expected a text or sentences, got 5."),
    ('model.surprisal(["a", 5])', "DataError", "sentences[1]: expected a sentence or its words, got 5."),
    ('model.surprisal([["a", ""]])', "DataError", "sentences[0]: expected a sentence or its words"),
    (r'model.surprisal(["a\nb"])', "DataError", "sentences[0]: has a line end in it, got 'a\\nb'."),
    ('model.surprisal("a", context=0)', "ConfigError", 'context: "document", "sentence" or a number'),
    ('model.surprisal("a", context="all")', "ConfigError", 'context: "document", "sentence" or a numb'),
    ('model.surprisal("a", first_word="no")', "ConfigError", "first_word: needs one of after-eos, zero"),
    ('model.surprisal("a", join=5)', "ConfigError", "join: expected text, got 5."),
    ('model.next_words("a", 0)', "ConfigError", "k: needs a whole number of 1 or more, got 0."),
    ('model.next_words("a", "3")', "ConfigError", "k: needs a whole number of 1 or more, got '3'."),
    ("model.next_words(1)", "DataError", "prefix: expected text, got 1. Give a str."),
    ('model.next_words("", complete=True)', "ConfigError", "complete: needs a word that is begun"),
    ("model.state().next_words(True)", "ConfigError", "k: needs a whole number of 1 or more, got True."),
    ("model.state(1)", "DataError", "text: expected text, got 1. Give a str."),
    ("model.state().feed(None)", "DataError", "text: expected text, got None. Give a str."),
    ("model.generate(1)", "DataError", "prompt: expected text, got 1. Give a str."),
    ("model.stream(1)", "DataError", "prompt: expected text, got 1. Give a str."),
    ("model.generate(seed=1.5)", "ConfigError", "seed: needs a whole number of -9223372036854775808 or more, got 1.5."),
    ("model.generate(top_k=0)", "ConfigError", "top_k: needs a whole number of 1 or more, got 0."),
    ('model.generate(temperature="hot")', "ConfigError", "temperature: needs a number, got 'hot'."),
    ('model.generate(repetition_penalty="1.2")', "ConfigError", "repetition_penalty: needs a number, got '1.2'."),
    ("model.generate(max_tokens=True)", "ConfigError", "max_tokens: needs a number, got True."),
    ('model.generate(raw="no")', "ConfigError", "raw: needs True or False, got 'no'."),
    ('model.generate(stop=["a", 5])', "ConfigError", "stop: "),
    (
        "model.generate(temperatur=1)",
        "ConfigError",
        "temperatur: no option. Did you mean 'temperature'? Choose among: max_tokens, ",
    ),
    ("lstmlm.load(5)", "ConfigError", "run: expected a path, got 5. Give a str or a Path."),
    ("lstmlm.train('tiny.yaml', 5)", "ConfigError", "run_dir: expected a path, got 5. Give a str or a Path."),
    ("lstmlm.train(5, 'a')", "ConfigError", "config: expected a name, a path or a mapping, got 5. Name a YAML file."),
    (
        "lstmlm.train('tiny.yaml', 'a', overrides='x=1')",
        "ConfigError",
        "overrides: expected a list of key=value, got 'x=1'.",
    ),
    (
        "lstmlm.train('tiny.yaml', 'a', overrides=None)",
        "ConfigError",
        "overrides: expected a list of key=value, got None.",
    ),
    (
        "lstmlm.train({'data': {'corpus': 'x'}, 'training': {'n_steps': True}}, 'a')",
        "ConfigError",
        "training.n_steps: expected a whole number, got True.",
    ),
    (
        "lstmlm.train('tiny.yaml', 'a', overrides=['training.n_step=1'])",
        "ConfigError",
        "training.n_step: unknown key. Did you mean 'n_steps'?",
    ),
    ("lstmlm.train({'data': {'corpus': {1, 2}}}, 'a')", "ConfigError", "config: holds what YAML does not have ("),
]
"""What is asked, and the error that it is with the beginning of its message."""


def test_what_is_wrong_is_said(trained: Path) -> None:
    # In another interpreter, as types are checked in this one.
    program = (
        "import json, sys, lstmlm\n"
        "model = lstmlm.load()\n"
        "for ask in json.load(sys.stdin):\n"
        "    try: eval(ask)\n"
        "    except lstmlm.errors.LstmlmError as error: print(json.dumps([type(error).__name__, str(error)]))"
    )
    asked = json.dumps([ask for ask, *_ in MISTAKES])
    result = subprocess.run([sys.executable, "-c", program], input=asked, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    said = list(map(json.loads, result.stdout.splitlines()))
    assert len(said) == len(MISTAKES)
    for (ask, error, message), (found, text) in zip(MISTAKES, said, strict=True):
        assert (found, text[: len(message)]) == (error, message), ask
        assert "\n" not in text
    assert not Path("a").exists()


def test_what_is_no_run_is_refused(here: Path) -> None:
    import lstmlm

    with pytest.raises(lstmlm.errors.CheckpointError, match=r"^nowhere: no such run\. Train one: lstmlm train "):
        lstmlm.load("nowhere")
    with pytest.raises(lstmlm.errors.CheckpointError, match=r"^runs: holds no trained run\."):
        lstmlm.load()
    with pytest.raises(lstmlm.errors.CheckpointError, match=r"^\.: is no run\. Name what lstmlm train has made\."):
        lstmlm.load(here.relative_to(here))


def test_a_damaged_run_is_refused(trained: Path) -> None:
    import lstmlm

    for weights in trained.glob("runs/tiny/checkpoints/*/model.safetensors"):
        flip_last_byte(weights)
    with pytest.raises(lstmlm.errors.CheckpointError, match=r"model\.safetensors"):
        lstmlm.load("runs/tiny")


def test_training_tells_its_events_and_returns_the_model(here: Path) -> None:
    import lstmlm

    events: list[Any] = []
    model = lstmlm.train("tiny.yaml", "runs/a", overrides=["training.n_steps=4"], on_event=events.append)
    assert [event.event for event in events if event.event != "step"] == [
        *("start", "validation", "sample", "checkpoint", "end")
    ]
    recorded = list(map(json.loads, (here / "runs/a/metrics.jsonl").read_text().splitlines()))
    assert json.loads(json.dumps([event.as_record() for event in events if event.event != "start"])) == recorded
    [validation] = [event for event in events if event.event == "validation"]
    assert model.name == "runs/a"
    valid = Path(yaml.safe_load((here / "tiny.yaml").read_text())["data"]["corpus"]) / "valid.txt"
    assert model.perplexity(valid.read_text()) == validation.perplexity
    again = lstmlm.train(here / "tiny.yaml", "runs/a", overrides=["training.n_steps=4"], resume=True)
    assert again.score("The cat") == model.score("The cat")


def test_training_says_what_has_no_effect(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    import lstmlm

    overrides = ["training.n_steps=1", "model.backbone.n_layers=1", "model.dropout.hidden=0.5"]
    lstmlm.train("tiny.yaml", "runs/a", overrides=overrides)
    assert "model.dropout.hidden: has no effect on a single layer. Use dropout.output." in caplog.messages
    environment = json.loads((here / "runs/a/environment.json").read_text("utf-8"))
    environment["packages"]["torch"] = "2.0.0"
    (here / "runs/a/environment.json").write_text(json.dumps(environment), "utf-8")
    lstmlm.train("tiny.yaml", "runs/a", overrides=overrides, resume=True)
    assert "runs/a: was started with torch 2.0.0, here " in caplog.text


def test_a_configuration_may_be_a_mapping_or_options(here: Path) -> None:
    import lstmlm
    from lstmlm.config import RunConfig

    given = yaml.safe_load((here / "tiny.yaml").read_text())
    of_file = lstmlm.train("tiny.yaml", "runs/a")
    given["data"]["corpus"] = Path(given["data"]["corpus"])
    of_mapping = lstmlm.train(given, "runs/b")
    given["data"]["corpus"] = str(given["data"]["corpus"])
    of_options = lstmlm.train(RunConfig.model_validate(given), Path("runs/c"))
    assert of_file.score("The cat") == of_mapping.score("The cat") == of_options.score("The cat")
    assert of_file.run.config == of_mapping.run.config == of_options.run.config


def test_wrong_configurations_are_refused(here: Path) -> None:
    import lstmlm

    def train(*arguments: Any, **options: Any) -> str:
        with pytest.raises(lstmlm.errors.ConfigError) as raised:
            lstmlm.train(*arguments, **options)
        return str(raised.value)

    assert "no configuration of that name comes with lstmlm. Did you mean 'quickstart'?" in train("quickstrat", "a")
    assert train("no.yaml", "a") == "no.yaml: no such file. Check the path."
    assert "training.n_step: unknown key. Did you mean 'n_steps'?" in train(
        "tiny.yaml", "a", overrides=["training.n_step=1"]
    )
    assert "model.hidden: unknown key" in train({"data": {"corpus": "./x"}, "model": {"hidden": 5}}, "a")
    assert not Path("a").exists()
