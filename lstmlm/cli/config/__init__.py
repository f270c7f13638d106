"""`lstmlm config`: configurations without a training: checked, completed, explained and compared.

`files` has what is done with one file, `teaching` what tells people which options there are; `init` is
`lstmlm init`, which writes one.
"""

import typer

from lstmlm.cli.config.files import check, schema, show
from lstmlm.cli.config.teaching import diff, explain, list_recipes

config_app = typer.Typer(no_args_is_help=True, help="Check, complete, explain or compare configurations.")
config_app.command()(check)
config_app.command()(show)
config_app.command()(explain)
config_app.command()(diff)
config_app.command("list")(list_recipes)
config_app.command()(schema)
