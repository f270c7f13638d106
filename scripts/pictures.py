"""The pictures in docs/images/, of the runs that docs/tutorial.md trains: `python scripts/pictures.py` where they are.

It needs chromium for the one of a report.
"""

import json
import re
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

from rich.console import Console

from lstmlm.cli.display.screen import Screen
from lstmlm.history.history import History
from lstmlm.history.summary import read_run

IMAGES = Path(__file__).parent.parent / "docs" / "images"
CHROMIUM = (
    "chromium --headless --no-sandbox --disable-gpu --no-first-run --hide-scrollbars --force-device-scale-factor=1"
)
SHOWN = 0.8
"""Which part of a training has passed in its picture."""


def training(run: Path) -> str:
    """Return what a terminal showed of a training when most of it had passed."""
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    history = History(read_run(run).history.start)
    last = events[-1]["step"]
    for event in events:
        if event.get("step", 0) <= SHOWN * last:
            history.add(event)
    console = Console(record=True, width=96, height=24, force_terminal=True, file=StringIO())
    console.print(Screen(history, str(run)))
    picture = console.export_svg(title=f"lstmlm watch {run.name}", unique_id="training")
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)  # nothing is loaded from elsewhere


def report(runs: list[str], picture: Path) -> None:
    """Draw the beginning of a report."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        subprocess.run([sys.executable, "-m", "lstmlm", "report", *runs, "--output", str(page)], check=True)
        options = [f"--user-data-dir={folder}/browser", f"--screenshot={picture}", "--window-size=1000,1300"]
        subprocess.run([*CHROMIUM.split(), *options, page.as_uri()], check=True)


if __name__ == "__main__":
    (IMAGES / "training.svg").write_text(training(Path("runs/lstm")), "utf-8")
    report(["rnn", "lstm"], IMAGES / "report.png")
