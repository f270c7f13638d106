"""Files become options and options become files, for any class of options."""

import copy
import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, field_validator

from lstmlm.config import RunConfig
from lstmlm.config.model import AnyBackboneOptions, LSTMOptions, RNNOptions
from lstmlm.config.options import Options
from lstmlm.errors import ConfigError
from lstmlm.yaml import strict
from lstmlm.yaml.schema import dump_yaml, from_overrides, json_schema, load_yaml
from lstmlm.yaml.settings import as_override

VALID = "data: {corpus: data/ptb}\ntraining: {n_epochs: 1}\n"
M = TypeVar("M", bound=BaseModel)

patient = settings(suppress_health_check=[HealthCheck.too_slow])


class Wheel(Options):
    """A part of which there are two."""

    part: ClassVar[str] = "wheel"

    name: Literal["wheel"] = "wheel"

    hidden_size: int = 3
    """Neighbour of a key that a user misspells."""


class Track(Options):
    """The other one."""

    part: ClassVar[str] = "wheel"

    name: Literal["track"] = "track"


class Vehicle(Options):
    """A class of options without defaults for its parts."""

    model: Wheel = Wheel()

    rear: Annotated[Wheel | Track, Field(discriminator="name")]

    code: str = "x"

    @field_validator("code")
    @classmethod
    def _known_code(cls, code: str) -> str:
        if code == "bad":
            raise ValueError("is a bad code. Take another.")
        return code


def load_text(folder: Path, text: str, model: type[M], *overrides: str) -> M:
    path = folder / "x.yaml"
    path.write_text(text, encoding="utf-8")
    return load_yaml(path, model, overrides)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("configs")


def test_a_typo_is_told_with_the_key_that_was_meant(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("configs").mkdir()
    Path("configs/x.yaml").write_text("# 1\n# 2\n# 3\n# 4\nrear: {name: track}\nmodel:\n  hiden_size: 3\n", "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_yaml(Path("configs/x.yaml"), Vehicle)
    assert str(caught.value) == "configs/x.yaml:7: model.hiden_size: unknown key. Did you mean 'hidden_size'?"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("code: x", "1: rear: missing key. Add it."),
        ("rear: {}", "1: rear.name: missing key. Choose one of: track, wheel."),
        ("rear: {name: }", "1: rear.name: expected a string, got null. Choose one of: track, wheel."),
        (
            "rear: {name: trak}",
            "1: rear.name: unknown wheel 'trak'. Did you mean 'track'? Choose one of: track, wheel.",
        ),
        ("rear: {name: track}\ncode: bad", "2: code: is a bad code. Take another."),
    ],
)
def test_parts_without_a_default_and_checks_of_single_values(folder: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(folder, text, Vehicle)
    assert str(caught.value) == f"{folder / 'x.yaml'}:{message}"


def test_a_mark_at_the_start_of_the_file_and_dos_line_ends_are_fine(folder: Path) -> None:
    path = folder / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + VALID.replace("\n", "\r\n").encode())
    assert load_yaml(path, RunConfig).data.corpus == "data/ptb"


def test_overrides_replace_single_keys_and_whole_sections(folder: Path) -> None:
    text = VALID + "model: {backbone: {name: lstm, n_layers: 1, hidden_size: 30}, embedding_size: 30}\nseed: 4\n"
    config = load_text(
        folder,
        text,
        RunConfig,
        "data.bptt=7",
        "seed=5",
        "seed=6",
        "optimizer.clip_norm=null",
        "training={n_steps: 3}",
        "model.embedding_size=50",
        "model.backbone={name: rnn, n_layers: 3, hidden_size: [10, 20, 50]}",
    )
    assert config.data.bptt == 7
    assert config.seed == 6
    assert config.optimizer.clip_norm is None
    assert (config.training.n_epochs, config.training.n_steps) == (None, 3)
    assert config.model.backbone == RNNOptions(n_layers=3, hidden_size=(10, 20, 50))


def test_an_override_creates_the_sections_that_are_missing(folder: Path) -> None:
    config = load_text(
        folder, VALID + "model:\n", RunConfig, "model.backbone.forget_bias=0.5", "schedule.name=constant"
    )
    assert config.model.backbone == LSTMOptions(forget_bias=0.5)


def test_an_override_can_mend_a_wrong_value(folder: Path) -> None:
    assert load_text(folder, VALID + "seed: x", RunConfig, "seed=3").seed == 3


def test_an_override_reads_numbers_as_the_file_does(folder: Path) -> None:
    config = load_text(folder, VALID, RunConfig, "optimizer.learning_rate=1e-3", "data.corpus=12:30=a")
    assert config.optimizer.learning_rate == 0.001
    assert config.data.corpus == "12:30=a"


def test_overrides_alone_describe_options() -> None:
    assert from_overrides(Vehicle, ["rear.name=wheel", "rear.hidden_size=7"]).rear == Wheel(hidden_size=7)
    with pytest.raises(ConfigError, match=r"^--set: rear: missing key\. Add it\.$"):
        from_overrides(Vehicle, ["code=y"])
    with pytest.raises(ConfigError) as error:
        from_overrides(Vehicle, ["rear.name=track", "cod=y"])
    assert str(error.value) == "--set cod=y: cod: unknown key. Did you mean 'code'?"
    with pytest.raises(ConfigError) as error:
        from_overrides(Vehicle, ["rear.name=track", "code=texts/caf\udce9.txt"])  # as Python has the byte 0xE9
    assert str(error.value) == (
        r"--set code=texts/caf\udce9.txt: code: not UTF-8. If it names a file, rename that, or name its folder."
    )


@pytest.mark.parametrize(
    "text", ["x\x85y", "a\u2028b\u2029", "\x7f\xa0\ufeff", "naïve 𝄞 \U0010ffff", "#{[:", '\t\n\r"\\\\', ""]
)
def test_a_value_that_is_written_as_an_override_is_read_back(text: str) -> None:
    written = as_override("code", text)
    assert len(written.splitlines()) == 1
    assert from_overrides(Vehicle, ["rear.name=track", written]).code == text


def test_what_was_given_by_no_flag_is_named_by_its_key() -> None:
    overrides = ['rear={"name": "wheel", "hidden_size": true}', "model.hidden=5"]
    with pytest.raises(ConfigError) as error:
        from_overrides(Vehicle, overrides, flag="")
    assert str(error.value).splitlines() == [
        "rear.hidden_size: expected a whole number, got True.",
        "model.hidden: unknown key. Did you mean 'hidden_size'?",
    ]


def test_what_is_written_is_complete_and_reads_well(folder: Path) -> None:
    overrides = ["model.backbone.hidden_size=[100, 200]", "optimizer={name: adam, epsilon: 1e-5}", "data.corpus='no'"]
    text = dump_yaml(load_text(folder, VALID, RunConfig, *overrides))
    assert "\n  corpus: 'no'\n" in text
    assert "\n  backbone:\n    name: lstm\n    n_layers: 2\n    hidden_size: [100, 200]\n" in text
    assert "\n    implementation: auto\n    forget_bias: 1.0\n" in text
    assert "\n  betas: [0.9, 0.999]\n  epsilon: 1.0e-05\n" in text
    assert "\n  n_steps: null\n" in text
    sections = [line for line in text.splitlines() if not line.startswith(" ")]
    assert sections == ["seed: 1", "data:", "model:", "optimizer:", "schedule:", "averaging:", "training:"]


@patient
@given(
    st.text(min_size=1),
    st.floats(min_value=0, exclude_min=True, max_value=1e6),
    st.lists(st.integers(1, 2**16), min_size=1, max_size=5).map(tuple),
)
def test_what_is_written_is_read_again(folder: Path, corpus: str, rate: float, sizes: tuple[int, ...]) -> None:
    backbone = {"name": "lstm", "n_layers": len(sizes), "hidden_size": sizes}
    config = RunConfig.model_validate(
        {
            "data": {"corpus": corpus},
            "model": {"backbone": backbone, "tie_weights": False},
            "optimizer": {"name": "sgd", "learning_rate": rate},
            "training": {"n_epochs": 1},
        }
    )
    assert load_text(folder, dump_yaml(config), RunConfig) == config


def test_the_json_schema_describes_keys_choices_and_the_whole() -> None:
    schema = json.loads(json_schema(RunConfig))
    assert schema["title"] == "RunConfig"
    assert schema["description"].startswith("A whole run")
    assert schema["properties"]["seed"]["description"].startswith("Seed of every random draw")
    assert set(schema["required"]) == {"data", "training"}
    choices = schema["$defs"]["ModelOptions"]["properties"]["backbone"]["anyOf"]
    assert {choice["$ref"] for choice in choices} == {
        f"#/$defs/{options.__name__}" for options in get_args(get_args(AnyBackboneOptions)[0])
    }
    assert all(section["additionalProperties"] is False for section in schema["$defs"].values())
    assert json_schema(RunConfig).endswith("}\n")


KEYS = [
    "data",
    "model",
    "backbone",
    "name",
    "hidden_size",
    "dropout",
    "input",
    "nonlinearity",
    "n_layers",
    "<<",
    "",
    "5",
]
VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    3,
    10**400,
    0.5,
    1e308,
    float("inf"),
    float("nan"),
    "",
    "rnn",
    "lstm",
    "no",
    "\x1b",
]
keys = st.sampled_from(KEYS) | st.text(max_size=3)
values = st.recursive(
    st.sampled_from(VALUES) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=5,
)


def sections_of(value: dict[str, Any]) -> list[dict[str, Any]]:
    """A mapping and every mapping below it."""
    return [value, *(inner for item in value.values() if isinstance(item, dict) for inner in sections_of(item))]


@st.composite
def mutated_configs(draw: st.DrawFn) -> dict[str, Any]:
    """A complete, valid configuration, then up to five keys of it deleted, renamed or given other values."""
    backbone = {"name": "rnn", "n_layers": 1, "hidden_size": (200,), "nonlinearity": "relu"}
    config: dict[str, Any] = copy.deepcopy(
        {
            "seed": 1,
            "data": {"corpus": "x/y", "tokenizer": {"name": "word", "max_vocab": 5}, "bptt": 5},
            "model": {"backbone": backbone, "embedding_size": 200, "dropout": {"input": 0.5}},
            "optimizer": {"name": "adam", "betas": (0.5, 0.9)},
            "schedule": {"name": "constant"},
            "training": {"n_epochs": 1},
        }
    )
    for _ in range(draw(st.integers(0, 5))):
        section = draw(st.sampled_from(sections_of(config)))
        key = draw(st.sampled_from(sorted(section)) | keys if section else keys)
        match draw(st.sampled_from(["delete", "rename", "replace"])):
            case "delete":
                section.pop(key, None)
            case "rename":
                section[draw(keys)] = section.pop(key, None)
            case _:
                section[key] = draw(values)
    return config


@patient
@given(mutated_configs(), st.lists(st.tuples(st.lists(keys, min_size=1, max_size=4), values), max_size=2))
def test_a_mutated_file_loads_or_is_a_config_error(
    folder: Path, config: dict[str, Any], overrides: list[tuple[list[str], Any]]
) -> None:
    texts = [f"{'.'.join(path)}={strict.dump({'x': value})[2:]}" for path, value in overrides]
    check_that_it_loads_or_is_refused(folder, strict.dump(config), texts)


@patient
@given(st.data())
def test_a_text_with_scattered_changes_loads_or_is_a_config_error(folder: Path, data: st.DataObject) -> None:
    text = dump_yaml(load_text(folder, VALID, RunConfig))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        inserted = data.draw(st.text(" \n\t:-[]{}!&*<?|>'\"%#@,.0123456789eabcno\x00é", max_size=4))
        text = text[:start] + inserted + text[start + data.draw(st.integers(0, 3)) :]
    check_that_it_loads_or_is_refused(folder, text, [])


def check_that_it_loads_or_is_refused(folder: Path, text: str, overrides: list[str]) -> None:
    try:
        config = load_text(folder, text, RunConfig, *overrides)
    except ConfigError as error:
        lines = str(error).splitlines()
    else:
        assert load_text(folder, dump_yaml(config), RunConfig) == config
        return
    assert lines
    for line in lines:
        assert line.startswith((str(folder), "--set "))
        assert line.endswith((".", "?")) or " If it is a text: --set " in line
        assert line.isprintable()
