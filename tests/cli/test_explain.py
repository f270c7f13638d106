"""Every code of an error and every exit status is what a command ends with; the pages' examples are real."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from documented import STAND_INS, Shell, furnish
from run_facts import flip_last_byte
from terminal import on_a_terminal

from lstmlm import errors
from lstmlm.cli.explain import error_pages
from lstmlm.files import locked

Cli = Callable[..., Any]

PAGES = error_pages()

EXAMPLE = re.compile(r"```console\n\$ (.+)\n((?:.+\n)+)```")


def classes(of: type[errors.LstmlmError] = errors.LstmlmError) -> list[type[errors.LstmlmError]]:
    """Return a class of errors and those below it, of the package alone."""
    below = [found for kind in of.__subclasses__() if kind.__module__.startswith("lstmlm") for found in classes(kind)]
    return [of, *below]


def test_every_kind_of_error_has_a_page_with_its_status() -> None:
    import_module("lstmlm.corpus.store.shards")  # has a kind of its own
    found = {kind.code: str(kind.exit_status) for kind in classes()}
    assert found == {code: PAGES[code].exit_status for code in found}
    others = {"usage", "out-of-memory", "installation", "proof-failed", "output-closed", "interrupted"}
    assert set(PAGES) == {*found, *others}


def test_every_page_says_what_happened_why_and_what_to_do_with_an_example() -> None:
    for page in PAGES.values():
        assert page.text.count("\n\n**Why.** ") == page.text.count("\n\n**What to do.** ") == 1
        assert EXAMPLE.search(page.text), page.code


def forge(path: Path) -> None:
    path.write_text(re.sub(r'("n_tokens": )(\d+)(?=[^\n]*\n\Z)', r"\g<1>9\2", path.read_text("utf-8")), "utf-8")


PREPARED: dict[str, Callable[[], object]] = {
    "data": lambda: Path("texts/answers.csv").write_text("name;age\nAda;36\n", "utf-8"),
    "text-encoding": lambda: Path("texts/latin.txt").write_bytes(b"one line\n" * 400 + b"caf\xe9\n"),
    "text-too-short": lambda: Path("texts/short/train.txt").write_text("a b c\n", "utf-8"),
    "text-changed": lambda: Path("data/tiny/test.txt").write_text("The farmer sleeps.\n" * 9, "utf-8"),
    "token-store": lambda: Shell().run("lstmlm data encode texts/novel.txt --output texts/store"),
    "run-damaged": lambda: flip_last_byte(next(Path("runs/quickstart").glob("checkpoints/*/model.safetensors"))),
    "run-altered": lambda: forge(Path("runs/quickstart/metrics.jsonl")),
}
"""What has to be so for the example of a page to be true."""

TRAINS_ANEW = {"diverged", "storage", "text-encoding", "text-missing", "text-too-short"}

IN_A_PROCESS = {"installation", "output-closed", "process-lost", "bug", "interrupted", "proof-failed", "out-of-memory"}
"""Their tests are below: what they need is no file. That of a failed proof is in test_prove.py."""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_runs: Path) -> Path:
    """Work in a folder with what the examples name, a run among it."""
    monkeypatch.chdir(tmp_path)
    furnish(tmp_path)
    shutil.copytree(tiny_runs / "quickstart", "runs/quickstart", copy_function=shutil.copy)
    return tmp_path


@pytest.fixture
def _held(desk: Path) -> Any:
    """Hold the lock of the run, as a training does."""
    with locked(Path("runs/quickstart/lock")):
        yield


@pytest.mark.parametrize("code", sorted(set(PAGES) - IN_A_PROCESS))
def test_the_example_of_a_page(
    code: str, desk: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = PAGES[code]
    if code in TRAINS_ANEW:
        shutil.rmtree("runs")
    if code == "run-in-use":
        request.getfixturevalue("_held")
    if code == "extra-missing":
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    PREPARED.get(code, lambda: None)()
    line, shown = EXAMPLE.search(page.text).groups()  # type: ignore[union-attr]
    shell = Shell(stand_ins=[*STAND_INS, "training.n_steps=50"] if code in ("diverged", "storage") else [])
    result = shell.run(line, int(page.exit_status))
    assert matches(shown, result.stderr)
    if code in ("configuration", "diverged", "run-altered", "run-damaged", "run-in-use", "text-changed"):
        if code in TRAINS_ANEW:
            shutil.rmtree("runs")
        with_json = shell.run(f"{line} --json", int(page.exit_status))
        error = json.loads(with_json.stdout.splitlines()[-1])["error"]
        assert (error["code"], error["exit_status"]) == (code, int(page.exit_status))
        assert error["message"] in with_json.stderr


def matches(shown: str, said: str) -> bool:
    """Whether what a page shows stands there, where … is anything."""
    pattern = ".*".join(map(re.escape, shown.strip().split("…")))
    return re.search(pattern, said, re.DOTALL) is not None


def process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lstmlm", *arguments]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, **options)


def shown_by(code: str) -> str:
    return EXAMPLE.search(PAGES[code].text)[2]  # type: ignore[index]


def test_installation(desk: Path) -> None:
    (desk / "broken" / "yaml").mkdir(parents=True)
    (desk / "broken" / "yaml" / "__init__.py").write_text("raise ImportError('not for this machine')\n", "utf-8")
    project = str(Path(__file__).parent.parent.parent)
    environment = {**os.environ, "PYTHONPATH": f"{desk / 'broken'}{os.pathsep}{project}"}
    result = process("config", "show", "quickstart", env=environment, stdout=subprocess.PIPE)
    assert (result.returncode, matches(shown_by("installation"), result.stderr)) == (6, True), result.stderr
    assert result.stdout == ""
    result = process("runs", "list", "--json", env=environment, stdout=subprocess.PIPE)
    error = {"code": "installation", "message": result.stderr.rstrip("\n"), "exit_status": 6}
    assert (result.returncode, json.loads(result.stdout)) == (6, {"error": error})


@pytest.mark.parametrize("unbuffered", ["1", ""])
@pytest.mark.parametrize("arguments", [("config", "show", "quickstart"), ("--version",), ("runs", "--help")])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_closed(arguments: tuple[str, ...], unbuffered: str) -> None:
    """However much of what is printed Python holds back; a reader that is gone is no error."""
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        result = process(*arguments, stdout=full, env=environment)
    assert (result.returncode, result.stderr) == (1, shown_by("output-closed"))
    read_end, write_end = os.pipe()
    os.close(read_end)
    result = process(*arguments, stdout=write_end, env=environment)
    os.close(write_end)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        (["data.bptt=5"], 0),
        (["training.accumulate=4"], 0),
        (["model.backbone.hidden_size=9", "model.embedding_size=9"], 4),
    ],
)
def test_what_is_advised_where_memory_ran_out(changes: list[str], status: int, desk: Path) -> None:
    advice = PAGES["out-of-memory"].text
    assert ("`training.initialize_from`" in advice, "--resume" in advice) == (True, False)
    shell = Shell(stand_ins=[*STAND_INS, *changes])
    shell.run("lstmlm train --resume --run-dir runs/quickstart", 4)
    of_it = "--config runs/quickstart/config.yaml --set training.initialize_from=runs/quickstart"
    shell.run(f"lstmlm train {of_it} --run-dir runs/smaller", status)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("closing", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_may_be_closed_from_the_start(closing: str) -> None:
    for arguments in ("runs --help", "config check quickstart", "explain data"):
        command = ["sh", "-c", f"{shlex.quote(sys.executable)} -m lstmlm {arguments} {closing}"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (result.returncode, result.stderr) == (0, ""), arguments
        assert (result.stdout == "") == (" >&-" in f" {closing}")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_error_keeps_its_status_where_the_output_is_closed() -> None:
    with Path("/dev/full").open("w") as full:
        result = process("generate", "The", "--run", "runs/none", "--json", stdout=full)
    assert (result.returncode, "runs/none: no such run." in result.stderr) == (4, True)


def test_interrupted(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lstmlm.checkpoint import storage

    publish = storage.publish_checkpoint

    def interrupted(*arguments: Any, **options: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return publish(*arguments, **options)

    shutil.rmtree("runs/quickstart")
    monkeypatch.setattr(storage, "publish_checkpoint", interrupted)
    result = Shell().run("lstmlm train --config quickstart", 143)
    assert matches("Interrupted. Step … is saved; continue: lstmlm train --config quickstart …", result.stderr)
    page = Shell().run("lstmlm explain 143").stdout
    assert page == Shell().run("lstmlm explain interrupted").stdout


def test_out_of_memory(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lstmlm import workflows

    def hungry(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    monkeypatch.setattr(workflows, "train", hungry)
    # A valid configuration: nothing else would be hungry.
    command = EXAMPLE.search(PAGES["out-of-memory"].text)[1]  # type: ignore[index]
    result = Shell(stand_ins=()).run(f"{command} --json", 5)
    assert matches(shown_by("out-of-memory"), result.stderr)
    assert json.loads(result.stdout)["error"]["code"] == "out-of-memory"


def test_process_lost(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lstmlm import workflows
    from lstmlm.distributed import ALONE

    def alone(*_: object, **__: object) -> None:
        with ALONE._explained():
            raise RuntimeError("gloo: Connection closed by peer")

    monkeypatch.setattr(workflows, "train", alone)
    result = Shell().run("torchrun --nproc-per-node 2 -m lstmlm train --config quickstart", 7)
    assert matches(shown_by("process-lost"), result.stderr)


def test_bug(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lstmlm import workflows

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(workflows, "load", broken)
    assert isinstance(Shell().run("lstmlm eval perplexity", 1).exception, ZeroDivisionError)


def test_usage_as_json(lstmlm: Cli) -> None:
    result = lstmlm("next", "The", "--topp", "3", "--json")
    assert (result.exit_code, json.loads(result.stdout)["error"]["code"]) == (2, "usage")


def test_the_list_has_each_code_and_status(lstmlm: Cli) -> None:
    listed = lstmlm("explain").stdout
    assert [line.split()[0] for line in listed.splitlines()[1:]] == list(PAGES)
    rows = json.loads(lstmlm("explain", "--json").stdout)["errors"]
    assert {row["code"]: row["exit_status"] for row in rows} == {page.code: page.number for page in PAGES.values()}
    assert PAGES["data"].number == 3
    assert PAGES["interrupted"].number is None
    assert lstmlm("explain", "3").stdout.count("text-") == 4
    assert lstmlm("explain", "0").stdout == "All is well.\n"
    assert json.loads(lstmlm("explain", "0", "--json").stdout) == {"errors": []}
    assert lstmlm("explain", "192").stdout.startswith("## interrupted")
    assert [lstmlm("explain", code).exit_code for code in ("128", "193", "300", "9" * 5000)] == [2] * 4
    unknown = lstmlm("explain", "run-mising")
    assert (unknown.exit_code, "Did you mean 'run-missing'?" in unknown.stderr) == (2, True)


def test_on_a_terminal_the_code_stands_under_the_message(tmp_path: Path) -> None:
    with on_a_terminal(tmp_path, 100, 24, "generate", "The", "--run", "runs/none", status=4) as terminal:
        said = b"".join(terminal)
    assert said.decode().splitlines() == [
        "runs/none: no such run. Train one: lstmlm train --config quickstart --run-dir runs/none",
        "More: lstmlm explain run-missing",
    ]
