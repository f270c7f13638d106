"""`lstmlm config check`, `show` and `schema`: a configuration file checked, completed and described to editors."""

from typing import Annotated

import typer

from lstmlm.cli.options import CONFIG_HELP, SetOption, name_or_path
from lstmlm.cli.render import warn

ConfigArgument = Annotated[str, typer.Argument(metavar="CONFIG", parser=name_or_path, help=CONFIG_HELP)]


def check(config: ConfigArgument, overrides: SetOption = None) -> None:
    """Say whether a configuration is valid; name every mistake with its line.

    Example: lstmlm config check quickstart
    """
    from lstmlm.config.recipes import load_config

    warn(load_config(config, overrides or []).warnings())
    print(f"{config}: ok")


def show(config: ConfigArgument, overrides: SetOption = None) -> None:
    """Print the complete configuration, with everything that it leaves open.

    Example: lstmlm config show quickstart --set optimizer.learning_rate=0.001
    """
    from lstmlm.config.recipes import load_config
    from lstmlm.yaml.schema import dump_yaml

    print(dump_yaml(load_config(config, overrides or [])), end="")


def schema() -> None:
    """Print the JSON Schema of a configuration file, for editors that complete and check YAML.

    Example: lstmlm config schema > configs/schema.json
    """
    from lstmlm.config import RunConfig
    from lstmlm.yaml.schema import json_schema

    print(json_schema(RunConfig), end="")
