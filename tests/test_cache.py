"""Where what can be made again is kept."""

from pathlib import Path

import pytest

from lstmlm.cache import cache_directory
from lstmlm.errors import ConfigError


@pytest.fixture(autouse=True)
def _nothing_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("LSTMLM_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize(("platform", "inside"), [("linux", ".cache/lstmlm"), ("darwin", "Library/Caches/lstmlm")])
def test_the_platforms_own(platform: str, inside: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", platform)
    assert cache_directory() == tmp_path / inside


def test_the_platforms_own_on_windows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "AppData"))
    assert cache_directory() == tmp_path / "AppData" / "lstmlm"


def test_the_users_choice_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/shared")
    assert cache_directory() == Path("/shared/lstmlm")
    monkeypatch.setenv("LSTMLM_CACHE", "/mine")
    assert cache_directory() == Path("/mine")


def test_the_users_choice_may_be_relative(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A library in "." would be sought on the system's path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LSTMLM_CACHE", ".")
    assert cache_directory() == tmp_path


def test_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(ConfigError) as caught:
        cache_directory()
    assert str(caught.value) == "cache: you have no home directory. Set LSTMLM_CACHE to a directory of yours."
