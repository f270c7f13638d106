"""A run from weights that PyTorch's layers were trained with: every question can then be asked of it."""

from pathlib import Path

from lstmlm.checkpoint.environment import describe_environment
from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.checkpoint.storage import Checkpoint
from lstmlm.config import RunConfig
from lstmlm.config.data import NO_CORPUS
from lstmlm.corpus.tokenizers import Tokenizer, load_tokenizer, read_tokenizer
from lstmlm.errors import RunExistsError, RunMismatchError
from lstmlm.export.comparison import require_same_log_probabilities
from lstmlm.export.huggingface.reading import TOKENIZER, open_run
from lstmlm.export.torch_weights import from_torch, options_of, read_tensors, torch_model
from lstmlm.models.language_model import build_language_model, load_weights, weights_of


def import_torch(path: Path, tokenizer_path: Path, run_dir: Path, nonlinearity: str | None = None) -> None:
    """Make a run of a safetensors file and a tokenizer.

    Args:
        path: Weights under the names of `torch_weights`.
        tokenizer_path: What `read_tokenizer` reads; its ids are the rows of the embedding. A run or an exported one
            also says what ends with the token that ends lines.
        run_dir: Where the run goes; there must be none yet.
        nonlinearity: Of an `nn.RNN`, whose weights do not tell: "tanh", unless "relu" is given.

    Raises:
        CheckpointError: the weights are not those of such a model or of such a vocabulary, or `run_dir` is not free.
        DataError: the tokenizer cannot be read.
        ConfigError: a nonlinearity is given, and the weights are not those of an nn.RNN.
    """
    if RunDirectory.exists(run_dir):
        raise RunExistsError(f"{run_dir}: holds a run already. Choose another --run-dir.")
    RunDirectory.require_free(run_dir)
    tensors = {name: tensor.float() for name, tensor in read_tensors(path).items()}
    options = options_of(path, tensors, nonlinearity)
    data, tokenizer = _reading_of(tokenizer_path)
    n_rows = len(tensors["encoder.weight"])
    if tokenizer.vocab_size != n_rows:
        raise RunMismatchError(
            f"{path}: encoder.weight has {n_rows:,} rows, {tokenizer_path} {tokenizer.vocab_size:,} tokens. "
            "Give the tokenizer that the weights were trained with."
        )
    config = RunConfig.model_validate({"data": data, "model": options.model_dump(), "training": {"n_steps": 1}})
    model = build_language_model(options, tokenizer.vocab_size, config.seed)
    load_weights(model, from_torch(options, tensors))
    require_same_log_probabilities(torch_model(options.backbone, tensors), model, path)
    environment = describe_environment({}, {})
    with RunDirectory.create(run_dir, config, tokenizer.to_json(), environment) as run:
        run.save(0, Checkpoint(weights_of(model), {}, {}), is_best=True)


def _reading_of(place: Path) -> tuple[dict[str, object], Tokenizer]:
    """The `data` section that says how texts are read, as far as it is known, and the tokenizer."""
    if RunDirectory.exists(place) or (place / TOKENIZER).is_file():
        run = open_run(place)
        told = run.config.data
        data = {"tokenizer": told.tokenizer.model_dump(), "eos": told.eos}
        tokenizer = load_tokenizer(told.tokenizer, run.tokenizer_json)
    else:
        options, tokenizer = read_tokenizer(place)
        data = {"tokenizer": options.model_dump()}
    return {"corpus": NO_CORPUS, **data}, tokenizer
