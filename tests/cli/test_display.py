"""The screen of a training on terminals of all sizes, in pipes, and when the terminal goes away."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from rich.console import Console
from terminal import on_a_terminal

from lstmlm.cli.display.chart import Curve, draw
from lstmlm.cli.display.screen import Overlay, Screen
from lstmlm.history.history import History

SIZES = [(20, 10), (40, 12), (60, 20), (80, 24), (200, 50)]


def history(n_steps: int = 300) -> History:
    found = History({"corpus": "gutenberg-fairy-tales", "n_parameters": 12_345_678, "precision": "bfloat16"})
    for step in range(10, n_steps + 1, 10):
        found.add(
            {"event": "step", "step": step, "epoch": step / 100, "perplexity": 5000 / step, "learning_rate": 0.004}
            | {"gradient_norm": 0.31, "tokens_per_second": 12_345.0, "elapsed_seconds": step / 10, "n_steps": 400}
            | {"memory_bytes": 512_000_000}
        )
    for step in (100, 200, 300):
        found.add(
            {"event": "validation", "step": step, "epoch": step / 100, "perplexity": 6000 / step, "elapsed_seconds": 31}
        )
    found.add({"event": "sample", "step": 300, "text": "Once upon\x1b[31m a time\n there was 我早上喝了 a king. " * 9})
    return found


def lines_of(screen: object, width: int, height: int) -> list[str]:
    console = Console(width=width, height=height, color_system=None, force_terminal=False)
    with console.capture() as captured:
        console.print(screen)
    return captured.get().splitlines()


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize(
    "screen", [Screen(history(), "runs/a"), Overlay([Screen(history(), f"runs/{i}") for i in "abc"])]
)
def test_nothing_is_longer_than_the_line_or_higher_than_the_terminal(screen: object, width: int, height: int) -> None:
    lines = lines_of(screen, width, height)
    assert len(lines) < height
    assert all(Console().render_str(line, markup=False).cell_len <= width for line in lines)
    assert "\x1b" not in "".join(lines)
    assert any("valid 20.00" in line for line in lines) or width < 40


def test_what_stands_there() -> None:
    text = "\n".join(lines_of(Screen(history(), "runs/a"), 80, 24))
    for part in ("runs/a · gutenberg-fairy-tales · 12,345,678 parameters · bfloat16", "75%", "step 300 of 400", "0:31"):
        assert part in text
    for part in ("valid 20.00", "best 20.00 in epoch 3.00", "train 16.67", "rate 0.004", "gradient 0.31", "512 MB"):
        assert part in text
    for part in ("12.3k tokens/s", "perplexity by step", "Once upon"):
        assert part in text
    assert "\\x1b[31m" in text
    assert "a time there" in text  # a line end of a sample is a blank here


def test_a_pipe_has_a_line_for_each_of_many_trainings() -> None:
    lines = lines_of(Overlay([Screen(history(), f"runs/{i}") for i in range(40)]), 80, 25)
    assert sum(line.startswith("━━ runs/") for line in lines) == 40


def test_before_the_first_report() -> None:
    assert lines_of(Screen(History(), "runs/a"), 80, 24) == ["runs/a", "starting"]


@pytest.mark.parametrize("kind", ["start", "step", "validation", "sample", "end"])
def test_an_event_that_lacks_figures_is_shown_without(kind: str) -> None:
    for event in ({"event": kind}, {"event": kind, "step": 1}, {"event": kind, "step": 1, "perplexity": 3.0}):
        found = History()
        found.add(event)
        shown = "\n".join(lines_of(Screen(found), 80, 24))
        assert ("3.00" in shown) == ("perplexity" in event and kind in ("step", "validation"))


def test_a_perplexity_beyond_a_float() -> None:
    found = history()
    found.add({"event": "validation", "step": 300, "epoch": 3.0, "perplexity": None})
    assert any("valid beyond a float" in line for line in lines_of(Screen(found), 80, 24))


def test_a_curve_by_hand() -> None:
    """A straight line on a logarithmic axis, from the upper left to the lower right corner."""
    lines = [line.plain for line in draw([Curve("", [(0, 100.0), (1, 10.0), (2, 1.0)], "red")], 18, 5, "x")]
    assert lines == [
        "    100 ⠑⠤⡀",
        "     10   ⠈⠑⢄",
        "             ⠑⠤⡀",
        "      1        ⠈⠢⢄",
        "        0   x    2",
    ]


def test_two_rows_have_the_ends_of_the_axis() -> None:
    first, last, _ = draw([Curve("", [(0, 100.0), (1, 1.0)], "red")], 18, 3)
    assert (first.plain.split()[0], last.plain.split()[0]) == ("100", "1")


@pytest.mark.parametrize("points", [[], [(1, 2.0)], [(1, 2.0), (1, 3.0)]])
def test_nothing_to_draw(points: Sequence[tuple[float, float]]) -> None:
    assert draw([Curve("", points, "red")], 60, 10) == []


def test_a_flat_curve() -> None:
    assert len(draw([Curve("", [(1, 2.0), (2, 2.0)], "red")], 60, 10)) == 10


@pytest.mark.parametrize(("width", "height"), [(60, 20), (80, 24), (200, 50)])
def test_on_a_pseudo_terminal(here: Path, width: int, height: int) -> None:
    """A terminal's emulator shows one screen, whole, with nothing of an earlier frame left over."""
    pyte = pytest.importorskip("pyte", reason="needs an emulator of terminals")
    screen = pyte.HistoryScreen(width, height, history=1000)
    stream = pyte.ByteStream(screen)
    train = ("train", "--config", "tiny.yaml", "--set", "training.log_every=1")
    with on_a_terminal(here, width, height, *train) as terminal:
        for content in terminal:
            stream.feed(content)
    above = ["".join(line[column].data for column in range(width)) for line in screen.history.top]
    shown = [line.rstrip() for line in [*above, *screen.display]]
    assert sum("ended by the last step" in line for line in shown) == 1
    assert any(line.startswith("valid ") for line in shown)
    assert any("runs/tiny is ready" in line for line in shown)


def test_a_run_that_goes_on_shows_what_it_has_behind_it(here: Path, add_run: Callable[..., None]) -> None:
    """Of events after the checkpoint, which are dropped, nothing is left; of one that is over the end is shown."""
    pyte = pytest.importorskip("pyte", reason="needs an emulator of terminals")
    train = ("train", "--config", "tiny.yaml", "--set", "training.log_every=1", "--resume")
    add_run("runs/tiny", "training.log_every=1")
    with (here / "runs/tiny/metrics.jsonl").open("a", encoding="utf-8") as file:
        event = {"event": "validation", "step": 9, "epoch": 0.01, "perplexity": 1.25, "elapsed_seconds": 1.0}
        file.write(f"{json.dumps(event)}\n")
    end = "ended by the last step at step 12"
    for first in ("step 6 of 12", end):
        screen = pyte.Screen(80, 24)
        stream, shown = pyte.ByteStream(screen), b""
        with on_a_terminal(here, 80, 24, *train, "--set", "training.n_steps=12") as terminal:
            for content in terminal:
                stream.feed(content)
                shown += content
        assert first in shown.decode()
        assert any(end in line for line in screen.display)
        assert not any("1.25" in line for line in screen.display)


def test_a_training_that_does_not_begin_leaves_its_message_alone(here: Path) -> None:
    pyte = pytest.importorskip("pyte", reason="needs an emulator of terminals")
    screen = pyte.Screen(80, 24)
    stream = pyte.ByteStream(screen)
    train = ("train", "--config", "tiny.yaml", "--set", "data.corpus=./no")
    with on_a_terminal(here, 80, 24, *train, status=3) as terminal:
        for content in terminal:
            stream.feed(content)
    shown = [line.rstrip() for line in screen.display if line.strip()]
    assert shown[0].startswith("no: ")
    assert not any("starting" in line for line in shown)


def test_a_terminal_that_goes_away_ends_no_training(here: Path) -> None:
    """As when a window is closed under nohup: nothing can be written any more."""
    command = [sys.executable, "-m", "lstmlm", "train", "--config", "tiny.yaml"]
    read_end, write_end = os.pipe()
    with subprocess.Popen(command, cwd=here, stdout=write_end, stderr=write_end) as process:
        os.close(read_end)
        os.close(write_end)
    assert (here / "runs/tiny/last").read_text("utf-8") == "6\n"
    assert process.returncode == 0


@pytest.mark.parametrize(("output", "status"), [("pipe", 0), ("/dev/full", 1)])
def test_a_reader_that_goes_away_ends_no_training(output: str, status: int, here: Path) -> None:
    """Nor does a full disk; that one is told of."""
    if output == "pipe":
        read_end, write_end = os.pipe()
        os.close(read_end)
    elif Path(output).exists():
        write_end = os.open(output, os.O_WRONLY)
    else:
        pytest.skip(f"needs {output}")
    command = [sys.executable, "-m", "lstmlm", "train", "--config", "tiny.yaml", "--json"]
    result = subprocess.run(command, cwd=here, stdout=write_end, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write_end)
    assert (here / "runs/tiny/last").read_text("utf-8") == "6\n"
    said = "cannot write the output: No space left on device.\n" if status else ""
    assert (result.returncode, result.stderr) == (status, said)


def test_no_control_codes_in_a_pipe(here: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "lstmlm", "train", "--config", "tiny.yaml"], cwd=here, capture_output=True, check=True
    )
    assert b"\x1b" not in result.stdout + result.stderr
    assert b"\r" not in result.stdout + result.stderr
