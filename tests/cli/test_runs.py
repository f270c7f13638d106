"""`lstmlm runs` and `lstmlm watch`: what was trained, seen again."""

import errno
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lstmlm import files
from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.errors import DataError, Interrupted

Cli = Callable[..., Any]


@pytest.fixture
def two(here: Path, add_run: Callable[..., None]) -> Path:
    """Work in a folder with two runs, an Elman network and an LSTM."""
    add_run("runs/lstm")
    add_run("runs/sub/rnn", "model.backbone.name=rnn", "training.n_steps=4")
    return here


def rows(result: Any) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    found: list[dict[str, Any]] = json.loads(result.stdout)["runs"]
    return found


def test_list(two: Path, lstmlm: Cli) -> None:
    lstm, rnn = rows(lstmlm("runs", "--json", "--sort", "name"))
    assert (lstm["name"], lstm["state"], lstm["backbone"], lstm["step"]) == ("runs/lstm", "finished", "lstm 1x12", 6)
    assert (rnn["name"], rnn["backbone"], rnn["n_steps"]) == ("runs/sub/rnn", "rnn 1x12", 4)
    events = map(json.loads, Path("runs/lstm/metrics.jsonl").read_text("utf-8").splitlines())
    [validation] = [event for event in events if event["event"] == "validation"]
    assert lstm["perplexity"] == validation["perplexity"]
    shown = lstmlm("runs", "list", "lstm").stdout.splitlines()
    assert shown[0].split()[:3] == ["run", "state", "model"]
    assert shown[1].split()[:4] == ["runs/lstm", "finished", "lstm", "1x12"]


def test_the_parameters_are_counted_as_training_did(two: Path, lstmlm: Cli) -> None:
    announced = lstmlm("train", "--config", "tiny.yaml", "--json").stdout.splitlines()[0]
    assert json.loads(announced)["n_parameters"] == rows(lstmlm("runs", "list", "lstm", "--json"))[0]["n_parameters"]


@pytest.mark.parametrize(
    ("key", "first"), [("perplexity", "runs/lstm"), ("n_parameters", "runs/lstm"), ("changed", "runs/sub/rnn")]
)
def test_sort(two: Path, lstmlm: Cli, key: str, first: str) -> None:
    found = rows(lstmlm("runs", "--json", "--sort", key))
    if key == "perplexity":
        assert found == sorted(found, key=lambda run: run["perplexity"])
    else:
        assert found[0]["name"] == first


def test_patterns_folders_and_what_is_nearly_right(two: Path, lstmlm: Cli) -> None:
    for pattern in ("runs/*/rnn", "sub/r*", "runs/sub", str(two / "runs" / "sub" / "*"), "sub/rnn"):
        assert [Path(run["name"]).name for run in rows(lstmlm("runs", "list", pattern, "--json"))] == ["rnn"], pattern
    for *command, wrong in (("runs", "list", "lstn"), ("watch", "lstn"), ("runs", "show", "LSTN")):
        result = lstmlm(*command, wrong)
        assert (result.exit_code, result.stderr) == (4, f"{wrong}: no such run. Did you mean lstm?\n")


def test_runs_behind_links_are_found_once(two: Path, lstmlm: Cli) -> None:
    """In whatever circle the links lead, by the place where a run lies itself."""
    Path("runs/sub").rename("elsewhere")
    for link, target in [("runs/sub", "../elsewhere"), ("elsewhere/loop", "../runs"), ("runs/again", "lstm")]:
        Path(link).symlink_to(target)
    assert [run["name"] for run in rows(lstmlm("runs", "--json", "--sort", "name"))] == ["runs/lstm", "runs/sub/rnn"]
    for recorded in ("elsewhere/rnn/last", "elsewhere/rnn/metrics.jsonl"):
        os.utime(recorded, (1e10, 1e10))
    newest = lstmlm("runs", "show", "--json").stdout
    assert newest == lstmlm("runs", "show", "sub/rnn", "--json").stdout
    assert RunDirectory.newest(Path("runs")).path == Path("runs/sub/rnn")


def test_what_is_no_pattern_matches_nothing(two: Path, lstmlm: Cli) -> None:
    result = lstmlm("runs", "list", "lst**")
    assert (result.exit_code, result.stderr) == (4, "lst**: no such run. Did you mean lstm?\n")


@pytest.mark.parametrize("command", [("eval", "perplexity", "--run"), ("next", "the", "--run")])
def test_a_name_below_runs_is_enough(two: Path, lstmlm: Cli, command: tuple[str, ...]) -> None:
    """Whatever is asked of a run takes it as the table of runs does, and a mistake is answered with what is like it."""
    for name in ("lstm", "sub/rnn"):
        assert lstmlm(*command, name).stdout == lstmlm(*command, f"runs/{name}").stdout != ""
    wrong = lstmlm(*command, "lstn")
    assert (wrong.exit_code, wrong.stderr) == (4, "runs/lstn: no such run. Did you mean runs/lstm?\n")


def test_a_folder_of_the_same_name_is_not_taken_for_the_run(two: Path, lstmlm: Cli) -> None:
    Path("lstm").mkdir()
    Path("lstm/text.txt").write_text("the\n", "utf-8")
    assert lstmlm("next", "the", "--run", "lstm").stdout == lstmlm("next", "the", "--run", "runs/lstm").stdout != ""


def test_without_runs(here: Path, lstmlm: Cli) -> None:
    assert "lstmlm train --config quickstart" in lstmlm("runs").stderr
    for command in (("watch",), ("runs", "show")):
        result = lstmlm(*command)
        assert (result.exit_code, result.stderr) == (
            4,
            "runs: holds no run. Train one: lstmlm train --config quickstart\n",
        )


def test_states(two: Path, lstmlm: Cli) -> None:
    def states() -> list[str]:
        return [run["state"] for run in rows(lstmlm("runs", "list", "lstm", "sub/rnn", "--sort", "name", "--json"))]

    metrics = Path("runs/lstm/metrics.jsonl")
    metrics.write_text(
        "".join(line for line in metrics.read_text("utf-8").splitlines(keepends=True) if '"end"' not in line), "utf-8"
    )
    assert states() == ["interrupted", "finished"]
    with files.locked(Path("runs/lstm/lock")):
        assert states() == ["training", "finished"]
    config = Path("runs/sub/rnn/config.yaml")
    config.write_text(config.read_text("utf-8").replace("rnn", "gru"), "utf-8")
    assert states() == ["interrupted", "damaged"]
    result = lstmlm("runs")
    assert "config.yaml" in result.stderr
    assert result.exit_code == 0


def test_show(two: Path, lstmlm: Cli) -> None:
    shown = lstmlm("runs", "show", "sub/rnn").stdout
    assert "ended by the last step at step 4" in shown
    assert ["model.backbone.name", '"rnn"'] in [line.split() for line in shown.splitlines()]
    assert "schedule" not in shown  # at its default
    as_json = json.loads(lstmlm("runs", "show", "sub/rnn", "--json").stdout)
    assert as_json["config"]["model.backbone.hidden_size"] == 12
    assert as_json["validations"][-1]["step"] == 4


def test_compare_where_the_text_is_one_line(here: Path, lstmlm: Cli) -> None:
    """There is no interval over lines then, nor in JSON, and no word of resamples or chance."""
    for name in ("a", "b"):
        lstmlm(
            "train", "--config", "tiny.yaml", "--set", "data.eos=never", "--set", "seed=2", "--run-dir", f"runs/{name}"
        )
    [test] = json.loads(lstmlm("runs", "compare", "a", "b", "--json").stdout)["tests"]
    assert (test["low"], test["high"]) == (None, None)
    assert test["verdict"] == "one line: nothing to resample"
    shown = lstmlm("eval", "compare", "a", "b").stdout
    assert shown.endswith("better     one line: nothing to resample\n")


def test_compare_runs_of_which_some_share_a_tokenizer(here: Path, add_run: Callable[..., None], lstmlm: Cli) -> None:
    for name, tokenizer, seed in (("byte", "byte", 1), ("byte2", "byte", 2), ("bpe", "bpe", 1)):
        add_run(f"runs/{name}", f"data.tokenizer.name={tokenizer}", f"seed={seed}")
    compared = lstmlm("runs", "compare", "byte", "byte2", "bpe", "--json")
    tests = {test["other"]: test for test in json.loads(compared.stdout)["tests"]}
    assert [test["figure"] for test in tests.values()] == ["perplexity", "bits_per_char"]
    assert [test["difference"] is None for test in tests.values()] == [True, False]
    assert [test["ratio"] is None for test in tests.values()] == [False, True]
    alone = json.loads(lstmlm("eval", "compare", "byte", "byte2", "--split", "valid", "--json").stdout)["rows"][0]
    # Three pairs are compared, so that each has limits of 98.3 %.
    [_, test, *_] = [alone, *tests.values()]
    assert test["high"] - test["low"] > alone["high"] - alone["low"]
    header = lstmlm("runs", "compare", "byte", "byte2", "bpe").stdout.splitlines()
    assert any(line.split()[3:7] == ["figure", "ratio", "difference", "low"] for line in header)


def test_compare(two: Path, lstmlm: Cli) -> None:
    result = json.loads(lstmlm("runs", "compare", "lstm", "sub/rnn", "--json").stdout)
    best, other = (run["name"] for run in result["runs"])
    assert result["differences"]["model.backbone.name"] == {"runs/lstm": "lstm", "runs/sub/rnn": "rnn"}
    assert result["differences"]["training.n_steps"] == {"runs/lstm": 6, "runs/sub/rnn": 4}
    assert set(result["differences"]) > {"model.backbone.forget_bias"}  # which an Elman network does not have
    [test] = result["tests"]
    assert (test["best"], test["other"], test["split"]) == (best, other, "valid")
    perplexities = [run["perplexity"] for run in result["runs"]]
    assert test["ratio"] == pytest.approx(perplexities[1] / perplexities[0], rel=1e-6)
    assert test["low"] < test["ratio"] < test["high"]
    same = lstmlm("eval", "compare", best, other, "--split", "valid", "--json")
    assert json.loads(same.stdout)["rows"][0]["low"] == test["low"]
    refused = lstmlm("runs", "compare", "lstm", "sub/rnn", "--quick", "--split", "test")
    assert (refused.exit_code, refused.stderr) == (
        2,
        "--quick: cannot be combined with --split test. Give one of them.\n",
    )
    shown = lstmlm("runs", "compare", "lstm", "sub/rnn", "--quick").stdout
    assert "verdict" not in shown
    assert "━━ lstm" in shown  # without the folder of them all
    assert "━━ sub/rnn" in shown


def test_what_no_run_has_is_no_column(two: Path, lstmlm: Cli) -> None:
    """A damaged run does not tell its model, nor a single recipe how far it lies behind another."""
    add = Path("runs/sub/rnn/config.yaml")
    add.write_text("nothing", "utf-8")
    [head, _] = lstmlm("runs", "list", "sub/rnn").stdout.splitlines()
    assert head.split() == ["run", "state", "epoch", "valid", "perplexity", "tokens/s", "time"]


def test_compare_what_cannot_be_scored(two: Path, add_run: Callable[..., None], lstmlm: Cli) -> None:
    """The other pairs are tested, and curves and differences are there all the same."""
    Path("texts").mkdir()
    for split in ("train", "valid"):
        Path(f"texts/{split}.txt").write_text("".join(f"word{i} of many\n" for i in range(999)), "utf-8")
    [model, *_] = Path("runs/lstm/checkpoints").glob("*/model.safetensors")
    model.write_bytes(model.read_bytes()[:-1])
    add_run("runs/again", "model.backbone.name=rnn", "training.n_steps=5")
    add_run("runs/elsewhere", "data.corpus=./texts", "training.n_steps=2")
    result = lstmlm("runs", "compare", "lstm", "sub/rnn", "again", "elsewhere", "--json")
    assert result.exit_code == 0, result.stderr
    [test] = json.loads(result.stdout)["tests"]
    assert {test["best"], test["other"]} == {"runs/sub/rnn", "runs/again"}
    damaged, other_text = sorted(result.stderr.splitlines(), key=lambda line: "eval compare" in line)
    not_tested = "Whether a lead is more than chance is not tested: "
    assert damaged.startswith(f"{not_tested}{model}: is damaged")
    assert other_text.startswith(f"{not_tested}lstmlm eval compare {test['best']} runs/elsewhere: ")
    assert other_text.endswith("Give both the same one: --text FILE")
    assert "model.backbone.name" in lstmlm("runs", "compare", "lstm", "sub/rnn").stdout


def test_figures(two: Path, lstmlm: Cli) -> None:
    pytest.importorskip("matplotlib")
    lstmlm("runs", "compare", "lstm", "sub/rnn", "--quick", "--plot", "curves.svg")
    drawn = Path("curves.svg").read_text("utf-8")
    assert ">lstm<" in drawn
    assert "perplexity" in drawn


def test_prune(two: Path, lstmlm: Cli) -> None:
    best = rows(lstmlm("runs", "--json", "--sort", "perplexity"))[0]["name"]
    with files.locked(Path("runs/lstm/lock")), files.locked(Path("runs/sub/rnn/lock")):
        metrics = Path("runs/lstm/metrics.jsonl")
        content = metrics.read_text("utf-8")
        metrics.write_text("", "utf-8")  # it trains: nothing of it is deleted
        assert lstmlm("runs", "prune", "lstm", "--yes").stderr == "Nothing to delete.\n"
        metrics.write_text(content, "utf-8")
    assert json.loads(lstmlm("runs", "prune", "runs", "--state", "damaged", "--yes", "--json").stdout) == {
        "deleted": []
    }
    kept = json.loads(lstmlm("runs", "prune", "runs", "--keep-best", "1", "--yes", "--json").stdout)
    assert [run["name"] for run in rows(lstmlm("runs", "--json"))] == [best]
    assert len(kept["deleted"]) == 1
    left = [Path(f"{Path(best).parent}/.{name}.{'0' * 16}.partial") for name in ("run", "export", "file")]
    (left[0] / "checkpoints").mkdir(parents=True)
    left[1].mkdir()
    left[2].touch()
    assert lstmlm("runs", "prune", best, "--yes").stderr == "1 run deleted.\n"
    assert not Path(best).exists()
    # What an interrupted removal has left goes, too; else a file or folder may just be written by another process.
    assert [path.exists() for path in left] == [False, True, True]


def test_prune_where_one_run_lies_within_another(two: Path, lstmlm: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    (two / "runs" / "sub" / "rnn").rename(two / "runs" / "lstm" / "inner")
    result = lstmlm("runs", "prune", "runs/lstm", "--yes")
    assert (result.exit_code, "holds" in result.stderr, "a run that is to stay" in result.stderr) == (2, True, True)
    shutil.copytree("runs/lstm/inner", f"runs/.lost.{'0' * 16}.partial")  # what an interrupted removal leaves
    assert len(json.loads(lstmlm("runs", "list", "--json").stdout)["runs"]) == 2
    (two / "runs" / "link").symlink_to("lstm/inner")
    assert len(json.loads(lstmlm("runs", "list", "--json").stdout)["runs"]) == 2
    assert lstmlm("runs", "prune", "link", "--yes").stderr == "1 run deleted.\n"
    assert not (two / "runs" / "link").is_symlink()
    monkeypatch.chdir(two / "runs" / "lstm")
    assert lstmlm("runs", "prune", ".", "inner", "--yes").stderr == "2 runs deleted.\n"
    assert not (two / "runs" / "lstm").exists()


def test_prune_asks_people_and_no_programs(two: Path, lstmlm: Cli) -> None:
    from typer.testing import CliRunner

    from lstmlm.cli import app

    result = CliRunner().invoke(app, ["runs", "prune", "lstm"], input="n\n")
    assert (result.exit_code, result.stderr.startswith("Delete 1 of 1 run?")) == (0, True)
    as_json = lstmlm("runs", "prune", "lstm", "--json")
    error = json.loads(as_json.stdout)["error"]
    assert (as_json.exit_code, error["code"]) == (2, "configuration")
    assert error["message"].startswith("--json: needs --yes")
    assert Path("runs/lstm/last").exists()
    assert CliRunner().invoke(app, ["runs", "prune", "lstm"], input="y\n").exit_code == 0
    assert not Path("runs/lstm").exists()


@pytest.mark.parametrize(("allowed", "state"), [((os.O_RDONLY,), "training"), ((), "interrupted")])
def test_a_run_whose_lock_is_someone_elses(
    allowed: tuple[int, ...], state: str, two: Path, lstmlm: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be read and not written, or not even that; the runs are listed."""
    opened = os.open

    def refusing(path: Any, flags: int, *options: Any) -> int:
        if Path(path).name == "lock" and flags not in allowed:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, flags, *options)

    Path("runs/lstm/metrics.jsonl").write_text("", "utf-8")
    with files.locked(Path("runs/lstm/lock")):
        monkeypatch.setattr(os, "open", refusing)
        states = [run["state"] for run in rows(lstmlm("runs", "--sort", "name", "--json"))]
    assert states == [state, "finished"]


def test_watch_has_what_a_training_records_as_it_ends(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lstmlm.cli.runs.watch import RunFiles
    from lstmlm.history import summary

    metrics = Path("runs/lstm/metrics.jsonl")
    *before, end = metrics.read_text("utf-8").splitlines(keepends=True)
    metrics.write_text("".join(before), "utf-8")

    def ending(path: Path) -> bool:
        """The training has ended, just when it is asked whether it has."""
        del path
        metrics.write_text("".join([*before, end]), "utf-8")
        return False

    source = RunFiles(["lstm"])
    source.catch_up()
    monkeypatch.setattr(summary, "is_training", ending)
    assert any(source.update() for _ in range(9))
    assert "ended by the last step" in rendered(source.screen)


@pytest.mark.parametrize(("runs", "said"), [("lstm", "No longer watched; what trains goes on.\n"), ("-", "")])
def test_who_ends_watching_is_told_what_goes_on(
    runs: str, said: str, two: Path, lstmlm: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in a pipeline ends the training, too."""
    from lstmlm.cli.runs.watch import RunFiles, StandardInput

    def interrupted(_: object) -> bool:
        raise Interrupted(signal.SIGINT)

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    for source in (RunFiles, StandardInput):
        monkeypatch.setattr(source, "update", interrupted)
    assert lstmlm("watch", runs).stderr == said


@pytest.mark.parametrize("terminal", ["dumb", "unknown"])
def test_watch_shows_once_where_nothing_can_move(
    terminal: str, two: Path, lstmlm: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lstmlm.cli.runs.watch import RunFiles

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", terminal)
    monkeypatch.setattr(RunFiles, "update", lambda _: pytest.fail("waits for more"))
    assert "ended by the last step at step 6" in lstmlm("watch", "lstm").stdout


def test_watch_shows_finished_runs(two: Path, lstmlm: Cli) -> None:
    shown = lstmlm("watch", "lstm").stdout
    assert "ended by the last step at step 6" in shown
    assert "parameters" in shown
    several = lstmlm("watch", "runs/*", "sub/rnn").stdout
    assert "━━ runs/lstm" in several
    assert "━━ runs/sub/rnn" in several


def test_watch_reads_the_stream_of_train(here: Path, lstmlm: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import sys

    from lstmlm.cli.runs.watch import StandardInput

    stream = lstmlm("train", "--config", "tiny.yaml", "--json").stdout
    recorded = Path("runs/tiny/metrics.jsonl").read_text("utf-8")
    assert stream.splitlines()[1:] == recorded.splitlines()  # the first is the announcement
    monkeypatch.setattr(sys, "stdin", io.StringIO(stream))
    source = StandardInput()
    source.catch_up()
    assert "ended by the last step" in rendered(source.screen)
    # A training that fails prints its error last, and has told it.
    failing = lstmlm(
        "train", "--config", "tiny.yaml", "--json", "--set", "data.corpus=./no", "--run-dir", "runs/b"
    ).stdout
    monkeypatch.setattr(sys, "stdin", io.StringIO(failing))
    StandardInput().catch_up()
    monkeypatch.setattr(sys, "stdin", io.StringIO("no event\n"))
    with pytest.raises(DataError, match="no stream of events"):
        StandardInput().catch_up()


def rendered(screen: object, width: int = 80, height: int = 24) -> str:
    from rich.console import Console

    console = Console(width=width, height=height, color_system=None)
    with console.capture() as captured:
        console.print(screen)
    return captured.get()


def test_quiet(here: Path, lstmlm: Cli) -> None:
    result = lstmlm("train", "--config", "tiny.yaml", "--quiet", "--set", "data.tokenizer.min_count=2")
    assert (result.stdout, result.stderr) == ("", "")
    assert Path("runs/tiny/last").exists()
