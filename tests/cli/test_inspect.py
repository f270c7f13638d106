"""`lstmlm inspect`: tables for people, JSON for programs, figures as PNG and SVG."""

import json
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

GRADIENTS = ("inspect", "gradients", "--max-lag", "20")
GATES = ("inspect", "gates", "The farmer walks")

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def elman(trained: Path, add_run: Callable[..., None]) -> Path:
    """An Elman network beside runs/tiny."""
    add_run("runs/rnn", "model.backbone.name=rnn", "data.tokenizer={name: char}")
    return Path("runs/rnn")


def test_gradients_of_the_newest_run_by_lag(trained: Path, lstmlm: Cli) -> None:
    result = lstmlm(*GRADIENTS)
    header, *lines = result.stdout.splitlines()
    assert header.split("  ") == ["lag", "runs/tiny hidden", "runs/tiny cell"]
    assert [line.split()[0] for line in lines] == ["0", "1", "2", "3", "5", "10", "20"]
    assert [len(line.split()) for line in lines] == [3] * 7
    assert result.stderr.endswith("data/tiny/test.txt, 20 positions\n")


def test_gradients_of_several_runs_beside_each_other(elman: Path, trained: Path, lstmlm: Cli) -> None:
    result = lstmlm(*GRADIENTS, "--run", "runs/tiny", "--run", "runs/rnn", "--split", "valid", "--json")
    report = json.loads(result.stdout)
    assert report["max_lag"] == 20
    curves = {(row["run"], row["memory"]) for row in report["rows"]}
    assert curves == {("runs/tiny", "hidden"), ("runs/tiny", "cell"), ("runs/rnn", "hidden")}
    assert len(report["rows"]) == 3 * 21
    for row in report["rows"]:
        assert 0 < row["norm_lower_quartile"] <= row["norm"] <= row["norm_upper_quartile"]


def test_gates_of_a_sentence(trained: Path, lstmlm: Cli) -> None:
    result = lstmlm(*GATES)
    header, *lines = result.stdout.splitlines()
    assert header.split() == ["token", "i", "f", "g", "o", "hidden", "cell"]
    assert [line.split()[0] for line in lines] == ["The", "farmer", "walks"]
    assert result.stderr == "runs/tiny, layer 1\n"


def test_gates_as_json_with_every_unit(trained: Path, lstmlm: Cli) -> None:
    activity = json.loads(lstmlm(*GATES, "--json", "--layer", "1").stdout)
    assert list(activity) == ["run", "layer", "tokens", "i", "f", "g", "o", "hidden", "cell"]
    assert [len(values) for values in activity["f"]] == [12, 12, 12]


def test_gates_of_characters(elman: Path, lstmlm: Cli) -> None:
    result = lstmlm("inspect", "gates", "a b\nc", "--run", "runs/rnn", "--plot", "gates.svg")
    tokens = [line.split("  ")[0] for line in result.stdout.splitlines()]
    assert tokens == ["token", "a", "", "b", "\\n", "c"]
    assert ">\\n</text>" in Path("gates.svg").read_text("utf-8")


def test_unknown_words_are_told(trained: Path, lstmlm: Cli) -> None:
    result = lstmlm("inspect", "gates", "The xylophone farmer")
    assert "warning: the model does not know xylophone: read as <unk>." in result.stderr


@pytest.mark.parametrize("command", [GRADIENTS, GATES], ids=lambda command: command[1])
def test_figures(command: tuple[str, ...], trained: Path, lstmlm: Cli) -> None:
    for name in ("figure.png", "figure.SVG", "again.svg"):
        result = lstmlm(*command, "--plot", name)
        assert result.exit_code == 0, result.stderr
        assert "warning" not in result.stderr
        assert result.stdout
    assert Path("figure.png").read_bytes().startswith(PNG_SIGNATURE)
    svg = Path("figure.SVG").read_text("utf-8")
    assert "runs/tiny" in svg
    assert Path("again.svg").read_text("utf-8") == svg


def test_words_stay_text_in_a_figure(here: Path, lstmlm: Cli) -> None:
    Path("costs.txt").write_text("it costs $ 5 or 猫 $\n" * 200, "utf-8")
    assert lstmlm("train", "--config", "tiny.yaml", "--set", "data.corpus=./costs.txt").exit_code == 0
    result = lstmlm("inspect", "gates", "$ 5 or 猫 $", "--plot", "gates.svg")
    svg = Path("gates.svg").read_text("utf-8")
    assert svg.count(">$</text>") == 2
    assert ">猫</text>" in svg
    assert result.stderr == "runs/tiny, layer 1\n"
    result = lstmlm("inspect", "gates", "$ 5 or 猫 or 猫 $", "--plot", "gates.png")
    assert [line for line in result.stderr.splitlines() if "glyph" in line.lower()] == [
        "warning: gates.png: the font has no glyph for 1 of the characters. Draw an .svg: it keeps them as text."
    ]


def test_a_figure_of_a_long_text_is_no_wider(trained: Path, lstmlm: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from lstmlm.cli.display import figures

    monkeypatch.setattr(figures, "MOST_LABELS", 60)
    widths = {}
    for n_words in (60, 180, 185):
        result = lstmlm("inspect", "gates", "farmer " * n_words, "--plot", "gates.svg")
        assert result.exit_code == 0
        svg = Path("gates.svg").read_text("utf-8")
        widths[n_words] = re.search(r'width="([\d.]+)pt"', svg)[1]  # type: ignore[index]
        n_named = svg.count(">farmer</text>")
        assert n_named == {60: 60, 180: 60, 185: 47}[n_words]
        assert ("one token in 3 is named" in svg) == (n_words == 180)
    assert widths[60] == widths[180]


def test_what_a_library_deprecates_is_not_shown(trained: Path, lstmlm: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    savefig = Figure.savefig

    def older(*arguments: Any, **options: Any) -> None:
        warnings.warn("goes away with the next version", DeprecationWarning, stacklevel=2)
        savefig(*arguments, **options)

    monkeypatch.setattr(Figure, "savefig", older)
    result = lstmlm(*GATES, "--plot", "gates.png")
    assert result.exit_code == 0
    assert "goes away" not in result.stderr
    assert Path("gates.png").read_bytes().startswith(PNG_SIGNATURE)


def test_every_cell_has_a_name_for_each_panel_and_a_line_for_each_memory() -> None:
    import torch

    from lstmlm.cli.display.figures import LINE_STYLES, PANEL_TITLES
    from lstmlm.models.cells import CELLS, build_cell
    from lstmlm.models.cells.cell import named

    for options_class in CELLS:
        cell = build_cell(options_class(), 3, 4)
        state = cell.initial_state(1)
        assert named(cell.gates(torch.zeros(1, 3), state)).keys() | named(state).keys() <= PANEL_TITLES.keys()
        assert named(state).keys() <= LINE_STYLES.keys()


def test_mistakes(trained: Path, lstmlm: Cli) -> None:
    Path("own.txt").write_text("The farmer sleeps.\n", "utf-8")
    for arguments, status, message in (
        (
            (*GATES, "--plot", "figure.jpeg"),
            2,
            "--plot: figure.jpeg is no figure that can be drawn. End its name in .png or .svg.",
        ),
        ((*GATES, "--layer", "2"), 2, "--layer: runs/tiny has no layer 2. Choose one from 1 to 1."),
        (
            ("inspect", "gates", ""),
            3,
            'sentence: is empty. Give a few words, as in: lstmlm inspect gates "the cat sat on the mat"',
        ),
        (
            (*GRADIENTS, "--split", "test", "--text", "own.txt"),
            2,
            "--text: cannot be combined with --split test. Give one of them.",
        ),
        (
            (*GRADIENTS, "--text", "own.txt"),
            3,
            "own.txt: 4 tokens, but a lag of 20 needs 22. Give --max-lag 2 or less.",
        ),
        (
            (*GRADIENTS, "--run", "runs/tiny", "--run", "runs/none"),
            4,
            "runs/none: no such run. Train one: lstmlm train --config quickstart --run-dir runs/none",
        ),
    ):
        result = lstmlm(*arguments)
        assert (result.exit_code, result.stdout, result.stderr) == (status, "", message + "\n")


def test_a_figure_needs_the_plot_extra(trained: Path, lstmlm: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for command in (GRADIENTS, GATES):
        result = lstmlm(*command, "--plot", "figure.png")
        message = "matplotlib: is not installed. Install it: pip install 'lstmlm[plot]'\n"
        assert (result.exit_code, result.stdout, result.stderr) == (6, "", message)
        assert lstmlm(*command).exit_code == 0
