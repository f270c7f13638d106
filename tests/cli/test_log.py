"""What the package logs reaches the person at the terminal, while the command runs and no longer."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

LOGGER = logging.getLogger("lstmlm.models.kernels")


@pytest.fixture
def check_configuration(here: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], object]:
    """Return a function that runs `lstmlm config check` with something that happens meanwhile; it gives the status."""
    from lstmlm.cli import main
    from lstmlm.config import RunConfig

    def run(meanwhile: Callable[[], None]) -> object:
        def warnings(_: RunConfig) -> list[str]:
            meanwhile()
            return []

        monkeypatch.setattr(RunConfig, "warnings", warnings)
        monkeypatch.setattr(sys, "argv", ["lstmlm", "config", "check", "tiny.yaml"])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code

    return run


def test_log_lines_go_to_stderr(
    check_configuration: Callable[[Callable[[], None]], object], capsys: pytest.CaptureFixture[str]
) -> None:
    def meanwhile() -> None:
        LOGGER.debug("of no interest")
        LOGGER.info("Compiling the kernels for %s, once.", "this\x1b machine")
        LOGGER.warning("The slower way is taken.")
        logging.getLogger("another").info("of no interest either")

    assert check_configuration(meanwhile) == 0
    shown = capsys.readouterr()
    assert shown.out == "tiny.yaml: ok\n"
    assert shown.err == "Compiling the kernels for this\\x1b machine, once.\nwarning: The slower way is taken.\n"


def test_nothing_is_said_afterwards(
    check_configuration: Callable[[Callable[[], None]], object], capsys: pytest.CaptureFixture[str]
) -> None:
    package = logging.getLogger("lstmlm")
    before = (package.level, list(package.handlers))
    check_configuration(lambda: None)
    assert (package.level, package.handlers) == before
    LOGGER.info("nobody hears this")
    assert "nobody" not in capsys.readouterr().err
