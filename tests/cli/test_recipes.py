"""The configurations that come with the package, by name, wherever a YAML file is expected."""

import shlex
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lstmlm.config import recipes
from lstmlm.config.recipes import find_config
from lstmlm.errors import ConfigError

Cli = Callable[..., Any]

PROJECT = Path(__file__).parents[2]
SHIPPED = sorted((PROJECT / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_name_is_that_of_a_shipped_configuration(path: Path) -> None:
    assert find_config(path.stem) == path


@pytest.mark.parametrize("given", ["quickstart.yaml", "./quickstart", "folder/quickstart", "quickstart/", ".", ".x"])
def test_what_has_a_suffix_or_a_folder_is_a_file(given: str) -> None:
    assert find_config(given) == Path(given)


def test_an_installed_package_has_them_beside_its_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(PROJECT / "configs", tmp_path / "lstmlm" / "recipes")
    monkeypatch.setattr(recipes, "_PACKAGE", tmp_path / "lstmlm")
    assert find_config("quickstart") == tmp_path / "lstmlm" / "recipes" / "quickstart.yaml"


NAMES = ", ".join(path.stem for path in SHIPPED)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("quikstart", "quikstart: no configuration of that name comes with lstmlm. Did you mean 'quickstart'? "),
        ("novel", "novel: no configuration of that name comes with lstmlm. "),
        ("", "'': no configuration of that name comes with lstmlm. "),
    ],
)
def test_an_unknown_name_lists_them(given: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_config(given)
    assert str(caught.value) == f"{message}Choose one of: {NAMES}; or name a YAML file."


def test_a_file_without_a_suffix_is_pointed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("novel").touch()
    with pytest.raises(ConfigError, match=r"'novel' lies here, but a file without a suffix is named \./novel\. Choose"):
        find_config("novel")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


SMALL = [
    *(f"data.corpus={PROJECT / 'data' / 'tiny'}", "data.batch_size=4", "data.bptt=7"),
    *("model.backbone.hidden_size=12", "model.embedding_size=12"),
    *("training.budget=null", "training.n_epochs=null", "training.n_steps=2"),
]
TRAIN = ["train", "--config", "quickstart", *(part for change in SMALL for part in ("--set", change))]


def test_every_command_that_takes_a_configuration_takes_a_name(elsewhere: Path, lstmlm: Cli) -> None:
    assert lstmlm("config", "check", "quickstart").stdout == "quickstart: ok\n"
    shown = yaml.safe_load(lstmlm("config", "show", "quickstart", "--set", "seed=7").stdout)
    assert (shown["data"]["corpus"], shown["seed"]) == ("python-docs", 7)
    for command in (["train", "--config"], ["config", "check"], ["config", "show"]):
        result = lstmlm(*command, "quikstart")
        assert (result.exit_code, result.stdout) == (2, "")
        assert "Did you mean 'quickstart'?" in result.stderr


def test_the_run_is_called_like_the_name_and_goes_on_as_the_advice_says(
    elsewhere: Path, lstmlm: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("lstmlm.workflows.train", lambda *_, **__: signal.raise_signal(signal.SIGINT))
        result = lstmlm(*TRAIN)
    assert result.exit_code == 130
    advice = result.stderr.rpartition("start again: ")[2]
    assert advice.startswith("lstmlm train --config quickstart --run-dir runs/quickstart --set ")
    assert lstmlm(*shlex.split(advice)[1:]).exit_code == 0
    assert (elsewhere / "runs" / "quickstart" / "last").read_text("utf-8") == "2\n"
