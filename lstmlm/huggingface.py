"""`import lstmlm.huggingface`: transformers knows exported directories from here on, without code of theirs.

Raises:
    MissingExtraError: transformers is not installed.
"""

from lstmlm.errors import MissingExtraError

try:
    from transformers import AutoConfig, AutoModelForCausalLM
except ImportError as error:
    raise MissingExtraError("transformers: is not installed. Install it: pip install 'lstmlm[huggingface]'") from error

from lstmlm.export.huggingface.modeling_lstmlm import LstmlmConfig, LstmlmForCausalLM

__all__ = ["LstmlmConfig", "LstmlmForCausalLM"]

AutoConfig.register(LstmlmConfig.model_type, LstmlmConfig, exist_ok=True)
AutoModelForCausalLM.register(LstmlmConfig, LstmlmForCausalLM, exist_ok=True)
