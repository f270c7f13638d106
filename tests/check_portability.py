"""`make check-portability`: the tests that can depend on a condition, run under it, and a table of what passed.

python tests/check_portability.py                     all conditions
python tests/check_portability.py "no compiler"       some, by their names

A condition is made for the tests alone: by variables, by a command in front of pytest, and by mounts that nobody else
sees. Before the tests a line of Python shows that it holds; where it cannot be made, the table says so.
"""

import os
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from xml.etree import ElementTree as ET

from machine import MOUNTS

from lstmlm.benchmark.restriction import ISAS

PROJECT = Path(__file__).resolve().parent.parent
COMPILERS = ("c++", "g++", "clang++", "gcc", "cc", "clang")
NOBODY = "65534"


class Condition(NamedTuple):
    """What holds while the tests run, and which tests may care."""

    name: str
    holds: str
    """An expression of Python, of the modules `os`, `sys`, `shutil`, `signal`, `locale` and `torch`."""

    tests: str
    """For pytest. All else was seen to compute nothing, or to read and write nothing, that the condition touches."""

    variables: dict[str, str]
    before: str = ""
    """Lines of shell that make the condition, in a mount namespace of their own where they mount."""

    in_front: str = ""
    needs_mount: bool = False


class Outcome(NamedTuple):
    """How the tests went under a condition."""

    passed: int
    skipped: Counter[str]
    failed: list[str]
    seconds: float
    not_made: str = ""

    def row(self, name: str) -> str:
        """A line of the table."""
        if self.not_made:
            return f"| {name} | | not made here: {self.not_made} | |"
        why = "; ".join(f"{count} {reason}" for reason, count in self.skipped.most_common())
        failed = f", **{len(self.failed)} failed**" if self.failed else ""
        return f"| {name} | {self.passed:,}{failed} | {why} | {self.seconds:.0f} s |"


def conditions(folder: Path) -> Iterator[Condition]:
    """All conditions; `folder` is empty, anybody may read it, and what a condition needs is put there."""
    numbers = "tests/models tests/training/test_execution.py tests/test_scoring.py"
    commands = "tests/cli/test_train_generate_evaluate.py"
    kept = "tests/models/kernels/native tests/test_cache.py tests/corpus/store/test_token_cache.py tests/corpus/named"
    yield Condition(
        "AVX2 alone",
        "torch.backends.cpu.get_cpu_capability() == 'AVX2'",
        f"{numbers} tests/optim tests/benchmark tests/generation {commands}",
        {**ISAS["avx2"]},
    )
    yield Condition(
        "no vector instructions beyond SSE4",
        "torch.backends.cpu.get_cpu_capability() == 'DEFAULT'",
        "tests/models/kernels tests/models/cells tests/test_scoring.py",
        {**ISAS["sse4"]},
    )
    yield Condition(
        "one core",
        "len(os.sched_getaffinity(0)) == torch.get_num_threads() == 1",
        "tests/models/kernels tests/test_scoring.py tests/distributed tests/training tests/workflows/test_budget.py "
        "tests/corpus/tokenizers tests/cli/test_signals.py",
        {},
        in_front="taskset --cpu-list 0",
    )
    yield Condition(
        "no compiler",
        f"not any(map(shutil.which, {COMPILERS}))",
        f"{numbers} tests/optim tests/benchmark tests/generation {commands}",
        {"PATH": str(_path_without(COMPILERS, folder / "bin")), "TMPDIR": str(_made(folder / "tmp"))}
        | {"HOME": str(_made(folder / "home")), "CXX": ""},
    )
    yield Condition(
        "clang in place of g++",
        "shutil.which('clang++')",
        "tests/models/kernels tests/models/cells",
        {"CXX": "clang++"},
    )
    yield Condition(
        "an ordinary user, who may not write to the project",
        f"os.getuid() != 0 and not os.access({str(PROJECT)!r}, os.W_OK)",
        f"tests/checkpoint tests/test_files.py tests/corpus tests/cli/test_errors.py {commands} {kept}",
        {"HOME": str(_made(folder / "user")), "TMPDIR": str(_made(folder / "user-tmp"))},
        before=f"chown {NOBODY} {folder}/user {folder}/user-tmp\n{_way_for_others(folder)}",
        in_front=f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups --bounding-set=-all --inh-caps=-all",
        needs_mount=True,
    )
    yield Condition(
        "a home directory that cannot be written",
        "not os.access(os.path.expanduser('~'), os.W_OK)",
        f"tests/models/kernels tests/workflows/test_train.py {commands} {kept}",
        {"HOME": str(_made(folder / "read-only")), "TMPDIR": str(_made(folder / "tmp-of-homeless"))},
        before=f"mount -t tmpfs -o ro none {folder}/read-only" if MOUNTS else f"chmod 500 {folder}/read-only",
        needs_mount=MOUNTS,
    )
    yield Condition(
        "a cache on a file system that runs no programs",
        "os.statvfs(os.environ['LSTMLM_CACHE']).f_flag & os.ST_NOEXEC",
        f"tests/models/kernels {commands} {kept}",
        {"LSTMLM_CACHE": str(_made(folder / "noexec")), "TMPDIR": str(_made(folder / "tmp-beside"))},
        before=f"mount -t tmpfs -o noexec none {folder}/noexec",
        needs_mount=True,
    )
    yield Condition(
        "umask 002",
        "os.umask(0) == 0o002",
        f"tests/checkpoint tests/test_files.py {kept} {commands}",
        {"HOME": str(_made(folder / "group")), "TMPDIR": str(_made(folder / "tmp-of-group"))},
        before="umask 002",
    )
    yield Condition(
        "LANG=C, without Python's UTF-8 mode",
        "locale.getpreferredencoding(False).lower() == 'ansi_x3.4-1968'",
        "tests/cli tests/corpus tests/config tests/evaluation tests/checkpoint tests/test_docs.py",
        {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    )
    yield Condition(
        "a narrow terminal, another time zone",
        "shutil.get_terminal_size().columns == 40",
        "tests/cli tests/test_docs.py",
        {"COLUMNS": "40", "LINES": "10", "TERM": "dumb", "TZ": "Asia/Kathmandu"},
    )
    yield Condition(
        "in the background, by nohup",
        "signal.getsignal(signal.SIGINT) == signal.getsignal(signal.SIGHUP) == signal.SIG_IGN",
        "tests/training/test_interruption.py tests/cli/test_signals.py tests/cli/test_encode.py "
        "tests/workflows/test_resume.py tests/workflows/test_save_errors.py",
        {},
        before="trap '' INT HUP",
    )


def main() -> None:
    """Run the conditions that are named, or all; end with 1 if a test failed."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        chosen = [each for each in conditions(Path(name)) if each.name in sys.argv[1:] or not sys.argv[1:]]
        print("| condition | passed | skipped, and why | took |\n|---|---:|---|---:|", flush=True)
        failed = []
        for condition in chosen:
            outcome = _run(condition, Path(name))
            print(outcome.row(condition.name), flush=True)
            failed += [f"{condition.name}: {test}" for test in outcome.failed]
    print("\n".join(["", *failed]), end="")
    sys.exit(1 if failed or not chosen else 0)


def _run(condition: Condition, folder: Path) -> Outcome:
    if condition.needs_mount and not MOUNTS:
        return Outcome(0, Counter(), [], 0, "needs root")
    report = folder / "report.xml"
    report.write_bytes(b"")
    report.chmod(0o666)
    proof = f"import os, sys, shutil, signal, locale, torch; sys.exit(not ({condition.holds}))"
    if _start(condition, [sys.executable, "-c", proof]).returncode != 0:
        return Outcome(0, Counter(), [], 0, f"{condition.holds} does not hold")
    started = time.monotonic()
    options = ["-q", "-p", "no:cacheprovider", "--numprocesses=auto", "--dist=loadfile", f"--junitxml={report}"]
    ended = _start(condition, [sys.executable, "-m", "pytest", *options, *condition.tests.split()])
    if ended.returncode != 0:
        print(ended.stdout, file=sys.stderr)
    outcome = _outcome(report, time.monotonic() - started)
    if ended.returncode != 0 and not outcome.failed:
        outcome.failed.append(f"pytest, with status {ended.returncode},")
    return outcome


def _start(condition: Condition, command: list[str]) -> subprocess.CompletedProcess[str]:
    script = f'set -e\n{condition.before}\nexec {condition.in_front} "$@"'
    namespace = ["unshare", "--mount"] if condition.needs_mount else []
    variables = {key: value for key, value in os.environ.items() if key not in ("LSTMLM_CACHE", "XDG_CACHE_HOME")}
    return subprocess.run(
        [*namespace, "sh", "-c", script, "sh", *command],
        cwd=PROJECT,
        env=variables | condition.variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def _outcome(report: Path, seconds: float) -> Outcome:
    outcome = Outcome(0, Counter(), [], seconds)
    if not report.stat().st_size:
        return outcome
    n_passed = 0
    for case in ET.parse(report).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            outcome.failed.append(f"{case.get('classname')}::{case.get('name')}")
        elif (skipped := case.find("skipped")) is not None:
            reason = skipped.get("message", "")
            outcome.skipped["needs a corpus, see data/README.md" if "data/README.md" in reason else reason] += 1
        else:
            n_passed += 1
    return outcome._replace(passed=n_passed)


def _made(path: Path) -> Path:
    path.mkdir()
    return path


def _path_without(programs: tuple[str, ...], folder: Path) -> Path:
    """A folder of links to all that PATH finds but these programs."""
    folder.mkdir()
    for directory in map(Path, os.environ["PATH"].split(os.pathsep)):
        for program in directory.iterdir() if directory.is_dir() else ():
            link = folder / program.name
            if program.name not in programs and not link.is_symlink():
                link.symlink_to(program)
    return folder


def _way_for_others(folder: Path) -> str:
    """Lines of shell that let any user reach this project and this Python, where a folder above is closed."""
    lines = []
    needed = [PROJECT, Path(sys.base_prefix), *map(Path, filter(None, [os.environ.get("LSTMLM_TEST_DATA")]))]
    closed = {
        next((above for above in reversed(path.parents) if not above.stat().st_mode & 1), None) for path in needed
    }
    for number, above in enumerate(sorted(filter(None, closed))):
        hidden = folder / f"hidden-{number}"
        inside = [path for path in needed if above in path.parents]
        lines += [
            f"mkdir -p {shlex.quote(f'{hidden}{path}')}; mount --bind {shlex.quote(str(path))} "
            f"{shlex.quote(f'{hidden}{path}')}"
            for path in inside
        ]
        lines.append(f"mount -t tmpfs -o mode=755 none {shlex.quote(str(above))}")
        lines += [
            f"mkdir -p {shlex.quote(str(path))}; mount --move {shlex.quote(f'{hidden}{path}')} {shlex.quote(str(path))}"
            for path in inside
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
