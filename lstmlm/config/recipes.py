"""The configurations that come with the package: where a YAML file is expected, a bare name stands for one of them."""

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from lstmlm.config import RunConfig
from lstmlm.errors import ConfigError, did_you_mean
from lstmlm.yaml.schema import load_yaml

_PACKAGE = Path(__file__).parent.parent


def load_config(given: str, overrides: Sequence[str] = (), flag: str = "--set") -> RunConfig:
    """Read a configuration by its name or path; see `load_yaml`, and `find_config` for which file is meant."""
    return load_yaml(find_config(given), RunConfig, overrides, flag)


def find_config(given: str) -> Path:
    """Return the file that is meant: a name without a suffix and without a folder is that of a shipped configuration.

    Raises:
        ConfigError: no shipped configuration has that name.
    """
    if "." in given or Path(given).name != given:
        return Path(given)
    recipes = all_recipes()
    if given in recipes:
        return recipes[given]
    here = (
        f"{given!r} lies here, but a file without a suffix is named ./{given}. "
        if given and Path(given).exists()
        else ""
    )
    raise ConfigError(
        f"{given or repr(given)}: no configuration of that name comes with lstmlm. {here}{did_you_mean(given, recipes)}"
        f"Choose one of: {', '.join(recipes)}; or name a YAML file."
    )


def all_recipes() -> dict[str, Path]:
    """Return the configurations that come with the package, by name."""
    return {path.stem: path for path in sorted(_folder().glob("*.yaml"))}


def header_of(recipe: Path) -> str:
    """Return what a configuration says of itself: the comment that it begins with, as running text."""
    lines = recipe.read_text("utf-8").splitlines()
    comment = [line.removeprefix("#").strip() for line in takewhile(lambda line: line.startswith("#"), lines)]
    return " ".join(line for line in comment if line and not line.startswith("yaml-language-server"))


def _folder() -> Path:
    """The folder of an installed package, or else that of the checkout, which is installed as it lies."""
    installed = _PACKAGE / "recipes"
    return installed if installed.is_dir() else _PACKAGE.parent / "configs"
