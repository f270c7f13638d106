"""`lstmlm config`: check and complete a YAML file without training."""

from pathlib import Path
from typing import Annotated

import typer

from lstmlm.cli.render import warn

config_app = typer.Typer(no_args_is_help=True, help="Check, complete or describe configuration files.")

ConfigFile = Annotated[Path, typer.Argument(metavar="FILE", help="YAML file.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key. Can be repeated.")
]


@config_app.command()
def check(config: ConfigFile, overrides: Overrides = None) -> None:
    """Say whether a file is a valid configuration; name every mistake with its line.

    Example: lstmlm config check configs/quickstart.yaml
    """
    from lstmlm.config import RunConfig
    from lstmlm.yaml.schema import load_yaml

    warn(load_yaml(config, RunConfig, overrides or []).warnings())
    print(f"{config}: ok")


@config_app.command()
def show(config: ConfigFile, overrides: Overrides = None) -> None:
    """Print the complete configuration, with everything that the file leaves open.

    Example: lstmlm config show configs/quickstart.yaml --set model.backbone.hidden_size=512
    """
    from lstmlm.config import RunConfig
    from lstmlm.yaml.schema import dump_yaml, load_yaml

    print(dump_yaml(load_yaml(config, RunConfig, overrides or [])), end="")


@config_app.command()
def schema() -> None:
    """Print the JSON Schema of a configuration file, for editors that complete and check YAML.

    Example: lstmlm config schema > configs/schema.json
    """
    from lstmlm.config import RunConfig
    from lstmlm.yaml.schema import json_schema

    print(json_schema(RunConfig), end="")
