"""`lstmlm serve` as a command: what keeps it from starting, and how it stops."""

import importlib.util
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from drawn_run import make_run
from processes import environment
from run_facts import flip_last_byte
from served import Server, model_options

pytestmark = pytest.mark.loopback


@pytest.fixture
def run(tmp_path: Path) -> Path:
    make_run(tmp_path / "run", model_options("lstm"))
    return tmp_path / "run"


def refused(*arguments: object) -> tuple[int, str]:
    """Run the command, which does not start; return its status and what it says."""
    from typer.testing import CliRunner

    from lstmlm.cli import app

    result = CliRunner().invoke(app, ["serve", *map(str, arguments)])
    assert result.exit_code > 1, result
    [line] = result.stderr.splitlines()
    return result.exit_code, line


def test_a_port_in_use(run: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, line = refused(run, "--port", port)
    assert (status, line) == (
        2,
        f"--port: 127.0.0.1:{port} cannot be had (Address already in use). Choose another, or 0 for any.",
    )


@pytest.mark.parametrize("host", ["no host", "a" * 64, "192.0.2.1"])
def test_a_host_that_is_none_of_this_machine(run: Path, host: str) -> None:
    status, line = refused(run, "--host", host, "--port", 0, "--api-key", "secret")
    assert status == 2 and line.startswith(f"--host: {host} is no address of this machine (")
    assert line.endswith("). Name one, or 0.0.0.0 for all.")


@pytest.mark.parametrize("key", ["", " "])
def test_an_empty_key(run: Path, key: str) -> None:
    wanted = (2, "--api-key: is empty. Give one, or leave it out and let everybody ask.")
    assert refused(run, "--port", 0, "--api-key", key) == wanted


def test_a_key_that_clients_send_in_different_ways(run: Path) -> None:
    wanted = (2, "--api-key: has characters that are not ASCII, which clients send in different ways. Use others.")
    assert refused(run, "--port", 0, "--api-key", "schlüssel") == wanted


def test_a_run_that_is_missing_damaged_or_untrained(run: Path, tmp_path: Path) -> None:
    assert refused(tmp_path / "none", "--port", 0)[0] == 4
    [weights] = run.glob("checkpoints/*/model.safetensors")
    flip_last_byte(weights)
    status, line = refused(run, "--port", 0)
    assert status == 4 and "model.safetensors" in line
    shutil.rmtree(run / "checkpoints")
    for name in ("best", "last"):
        (run / name).unlink()
    status, line = refused(run, "--port", 0)
    assert status == 4 and "has no checkpoint yet. Train it: lstmlm train --resume" in line


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "uvicorn" else find_spec(name))
    assert refused() == (6, "uvicorn: is not installed. Install it: pip install 'lstmlm[serve]'")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_answers_come_to_their_end(run: Path, number: int) -> None:
    command = [sys.executable, "-m", "lstmlm", "serve", str(run), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment(LSTMLM_API_KEY="")) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("run: http://127.0.0.1:")
        server = Server(int(line.rpartition("127.0.0.1:")[2].split()[0]), None)
        found: list[Any] = []
        asking = threading.Thread(target=lambda: found.append(server.choice(prompt="the", max_tokens=2000, seed=1)))
        asking.start()
        server.wait_until(lambda health: health["n_running"] > 0)
        process.send_signal(number)
        asking.join()
        rest = process.stderr.read()
    assert found[0]["finish_reason"] == "length"
    assert (process.returncode, rest) == (128 + number, "")


def test_the_page_and_what_lies_beside_it(server: Any) -> None:
    answer = server.send("GET", "/v1/models")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert json.loads(answer.content)
    for path in ("/../app.py", "/%2e%2e/app.py", "/..%2fapp.py", "/page/../../app.py"):
        assert server.send("GET", path).status == 404


def test_a_path_that_there_is_not_and_a_method_that_it_has_not(server: Any) -> None:
    chat = server.post_any("/v1/chat/completions", {"model": "word"})
    assert (chat.status, chat.json["error"]["code"]) == (404, "not_found")
    for path in ("/v1/completions", "/v1/next", "/v1/sessions"):
        answer = server.send("GET", path)
        assert (answer.status, answer.json["error"]["code"]) == (405, "method_not_allowed")


def test_two_runs_of_one_name_are_called_by_their_paths(tmp_path: Path) -> None:
    from lstmlm.serving.models import ServedModels

    folders = [tmp_path / name / "run" for name in ("a", "b")]
    for folder in folders:
        make_run(folder, model_options("rnn"))
    assert list(ServedModels.load(folders).by_name) == [str(folder) for folder in folders]
