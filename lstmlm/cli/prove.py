"""`lstmlm prove`: put other people's models under proof, behind a completions server or in a directory."""

from pathlib import Path
from typing import Annotated

import typer

from lstmlm.cli.options import JsonOption, name_or_path
from lstmlm.cli.render import print_proof, print_report
from lstmlm.errors import ConfigError, as_command

VocabOption = Annotated[
    int | None,
    typer.Option("--vocab-size", min=2, help="Number of tokens of the model.", show_default="what the server says"),
]


def prove(
    target: Annotated[
        str,
        typer.Argument(metavar="URL|DIR", parser=name_or_path, help="http://HOST:PORT or a Hugging Face directory."),
    ],
    model: Annotated[str | None, typer.Option(help="What the server calls it.", show_default="the first one")] = None,
    vocab_size: VocabOption = None,
    n_tokens: Annotated[int, typer.Option("--tokens", min=2, help="Length of the text.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Draws the text, and the positions of the proof.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Check that a model predicts as it should: one distribution a token, fixed before the token is seen.

    The text is tokens drawn by the seed: what is checked holds of any. Of a completions server that echoes prompts of
    token ids, distributions are found by having every token come in turn. The exit status is 1 where a check fails.

    Examples:

    lstmlm prove http://127.0.0.1:8000

    lstmlm prove http://127.0.0.1:8080 --model gpt2 --vocab-size 50257 --tokens 16

    lstmlm prove exported/ --tokens 512 --json
    """
    from lstmlm.checkpoint.run_directory import RunDirectory
    from lstmlm.evaluation.proof.others import prove_directory, prove_server

    is_server = target.startswith(("http://", "https://"))
    if not is_server and (model is not None or vocab_size is not None):
        raise ConfigError(f"--model and --vocab-size: are for servers, and {target} is none. Leave them out.")
    if RunDirectory.exists(Path(target)):
        command = as_command(["lstmlm", "eval", "perplexity", "--prove", "--run", target])
        raise ConfigError(f"{target}: is a run, which lstmlm reads itself. Check it: {command}")
    if is_server:
        report, proof = prove_server(target, model, vocab_size, n_tokens, seed)
    else:
        import lstmlm.huggingface  # noqa: F401  # transformers knows what `lstmlm export huggingface` writes

        report, proof = prove_directory(target, n_tokens, seed)
    if as_json:
        print_report(report, as_json=True)
    print_proof(proof, on_stderr=as_json)
