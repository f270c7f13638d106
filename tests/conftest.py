"""What holds for every test: shapes are checked, no network, one thread, results that repeat.

Nothing here imports lstmlm at module level: it would be loaded before the hook that checks shapes is in place.
"""

import os
import re
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

PROJECT = Path(__file__).parent.parent

HAS_SHAPES = re.compile(r"^\s*from (jaxtyping|lstmlm\.models\.(backbone|cells|output_layers)\S*) import", re.MULTILINE)


def _modules_with_shapes() -> list[str]:
    """Return the modules whose annotations say shapes, by jaxtyping's names or those that `lstmlm.models` gives them.

    In all others mypy has seen what a check could find, and checks would be most of what a small training takes.
    """
    paths = (path for path in (PROJECT / "lstmlm").rglob("*.py") if HAS_SHAPES.search(path.read_text("utf-8")))
    parts = (path.relative_to(PROJECT).with_suffix("").parts for path in paths)
    return [".".join(names).removesuffix(".__init__") for names in parts]


install_import_hook(_modules_with_shapes(), "typechecker.check")


@pytest.fixture(scope="session")
def corpus_path() -> Callable[[str], Path]:
    """Return the path of a corpus such as "ptb", or skip the test where the user has not put it there.

    Corpora are looked for in the folder that LSTMLM_TEST_DATA names, by default in `data/`.
    """
    folder = Path(os.environ.get("LSTMLM_TEST_DATA") or PROJECT / "data")

    def find(name: str) -> Path:
        path = folder / name
        if not path.exists():
            pytest.skip(f"needs {path}, see data/README.md; LSTMLM_TEST_DATA names another folder")
        return path

    return find


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("network"):
        return
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: Any) -> None:
        is_own_server = request.node.get_closest_marker("loopback") and address[0] == "127.0.0.1"
        if self.family != getattr(socket, "AF_UNIX", None) and not is_own_server:
            raise RuntimeError(f"a test tried to connect to {address!r}: only tests marked `network` may")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="session", autouse=True)
def _repeatable_torch() -> None:
    import torch

    torch.set_num_threads(1)
    # Without it a GPU's matrix products refuse to work under the next line.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)


@pytest.fixture
def tiny_benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let `lstmlm bench` measure shapes that take no time, without other processes; return its plan."""
    from lstmlm.benchmark import plan
    from lstmlm.benchmark.sections import loss

    monkeypatch.setattr(loss, "peak_extra_bytes", lambda *_: 1_000_000)
    effort, model = plan.Effort(0.0, 2, 2), plan.ModelShape(hidden_size=16, vocab_size=40, batch_size=3)
    tiny = plan.Plan(
        effort=effort,
        layers=(plan.LayerShape(16, 3, 5), plan.LayerShape(24, 3, 5)),
        losses=(plan.LossShape(n_tokens=15, hidden_size=16, vocab_size=40),),
        training_steps=(model,),
        bptt=5,
        busy_steps=(model,),
        busy_effort=effort,
        generation=model,
        n_generated_tokens=3,
        evaluation=model,
        n_scored_tokens=70,
        evaluation_effort=effort,
        gemm_size=32,
        bandwidth_bytes=1 << 12,
    )
    for name in plan.PLANS:
        monkeypatch.setitem(plan.PLANS, name, tiny)
    return tiny


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `lstmlm serve` end where it would begin to wait for requests, with its models loaded, on any free port."""
    import uvicorn

    from lstmlm.serving import server

    listener = server._listener
    monkeypatch.setattr(server, "_listener", lambda *_: listener("127.0.0.1", 0))
    monkeypatch.setattr(uvicorn.Server, "run", lambda *_, **__: None)


@pytest.fixture(scope="session")
def tiny_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train the runs that documentation takes for granted, for two steps each; they are to be copied."""
    from documented import RUNS, STAND_INS, TINY
    from typer.testing import CliRunner

    from lstmlm.cli import app

    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copytree(TINY, folder / "data" / "tiny")
        for name, changes in RUNS.items():
            # As every export takes it.
            plain = ["model.output.name=softmax", "model.ngram_order=null", "model.backbone={name: lstm}"]
            given = [*plain, *STAND_INS, "data.corpus=data/tiny", "training.keep=all", *changes]
            sets = [part for change in given for part in ("--set", change)]
            result = CliRunner().invoke(app, ["train", "--config", "quickstart", "--run-dir", name, *sets])
            assert result.exit_code == 0, result.output
    return folder


def pytest_configure() -> None:
    """Keep no examples, as the project may be read only, let no test be about the clock, and listen to signals.

    `nohup`, and shells in the background, have what they start ignore some.
    """
    settings.register_profile("lstmlm", database=None, deadline=None)
    settings.load_profile("lstmlm")
    for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests of a GPU where there is none."""
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not on_gpu:
        return
    import torch

    if not torch.cuda.is_available():
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
