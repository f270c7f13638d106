"""`lstmlm audit`: what is printed, and the exit status."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Cli = Callable[..., Any]

KEPT = ("training.keep=all", "training.save_every=1")


def test_an_honest_run(here: Path, add_run: Callable[..., None], lstmlm: Cli) -> None:
    add_run("runs/kept", *KEPT)
    result = lstmlm("audit", "runs/kept", "--seed", "1")
    assert result.exit_code == 0, result.stderr
    header, *rows = result.stdout.split("\n\n")[0].splitlines()
    assert header.split() == ["from_step", "to_step", "result", "seconds"]
    assert [row.split()[2:4] for row in rows] == [["the", "same"]] * 3
    assert "compared          every bit" in result.stdout
    assert "in 3 steps of 6 that were trained again." in result.stderr
    values = json.loads(lstmlm("audit", "runs/kept", "--seed", "1", "--json").stdout)
    assert (values["passed"], values["n_segments"], values["n_stretches"], values["seed"]) == (True, 3, 6, "1")
    assert [row["to_step"] - row["from_step"] for row in values["rows"]] == [1, 1, 1]


def test_one_that_was_edited(here: Path, add_run: Callable[..., None], lstmlm: Cli) -> None:
    add_run("runs/kept", *KEPT)
    path = Path("runs/kept/metrics.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"n_tokens": 168, "elapsed', b'"n_tokens": 268, "elapsed'))
    result = lstmlm("audit", "runs/kept")
    assert result.exit_code == 4
    assert "from_step" in result.stdout
    assert "runs/kept/metrics.jsonl: end: n_tokens is 268 there, 168 in the last checkpoint\n" in result.stderr


def test_too_few_checkpoints(trained: Path, lstmlm: Cli) -> None:
    assert lstmlm("audit", "runs/tiny").exit_code == 0
    result = lstmlm("audit", "runs/tiny", "--segments", "3")
    assert result.exit_code == 2
    assert "and 3 were asked for." in result.stderr
    assert "--set training.keep=all --set training.save_every=1 --run-dir runs/tiny-audited" in result.stderr
