"""An exported directory is signed and verified as it is, by the lines of docs/export.md."""

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lstmlm.export.huggingface import export_huggingface

PAGE = Path(__file__).parents[2] / "docs" / "export.md"


@pytest.mark.peer
def test_the_lines_of_the_documentation_sign_and_verify(make_run: Callable[..., Any], tmp_path: Path) -> None:
    pytest.importorskip("model_signing", reason="needs model-signing: make check-peers")
    ec = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ec")
    from cryptography.hazmat.primitives import serialization as form

    key = ec.generate_private_key(ec.SECP256R1())
    pem, no_password = form.Encoding.PEM, form.NoEncryption()
    (tmp_path / "signing.key").write_bytes(key.private_bytes(pem, form.PrivateFormat.PKCS8, no_password))
    public = key.public_key().public_bytes(pem, form.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "signing.pub").write_bytes(public)
    model = {"backbone": {"name": "gru", "n_layers": 1, "hidden_size": 8}, "embedding_size": 8}
    trained = make_run(model)
    export_huggingface(trained.run, trained.model, trained.tokenizer, tmp_path / "exported")
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("model_signing ")]
    sign, verify = ([sys.executable, "-m", *shlex.split(line)] for line in lines)

    def status(command: list[str]) -> int:
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode

    assert [status(sign), status(verify)] == [0, 0]
    with (tmp_path / "exported" / "network.py").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert status(verify) != 0
