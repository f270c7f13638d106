"""`import lstmlm.huggingface`: transformers knows exported directories from here on, without code of theirs.

`network` is the network in plain PyTorch, `modeling_lstmlm` the classes of transformers around it: the code that
`lstmlm export huggingface` puts into a directory, which is why neither imports anything else from here.

Raises:
    MissingExtraError: transformers is not installed.
"""

from lstmlm.errors import MissingExtraError

try:
    from transformers import AutoConfig, AutoModelForCausalLM
except ImportError as error:
    raise MissingExtraError("transformers: is not installed. Install it: pip install 'lstmlm[huggingface]'") from error

from lstmlm.huggingface.modeling_lstmlm import LstmlmConfig, LstmlmForCausalLM

__all__ = ["LstmlmConfig", "LstmlmForCausalLM"]

AutoConfig.register(LstmlmConfig.model_type, LstmlmConfig, exist_ok=True)
AutoModelForCausalLM.register(LstmlmConfig, LstmlmForCausalLM, exist_ok=True)
