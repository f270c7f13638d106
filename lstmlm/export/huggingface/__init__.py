"""A directory that transformers loads, and what is built on it: minicons, lm-eval.

`directory` writes and verifies it, `tokenizer` says the run's tokenizer in terms of its library alone, `card` describes
it for people. The code in it is that of `lstmlm/huggingface/`, as it is. `reading` takes a directory for
the run that was exported.
"""

from lstmlm.export.huggingface.directory import export_huggingface
from lstmlm.export.huggingface.reading import open_run

__all__ = ["export_huggingface", "open_run"]
