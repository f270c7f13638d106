"""What a test may need of the machine, found without asking lstmlm; each need is a mark that skips by its name."""

import os
import shutil

import pytest
import torch

COMPILES = any(map(shutil.which, ("c++", "g++", "clang++")))

MULTIPLIES_BFLOAT16 = torch.cpu._is_avx512_bf16_supported() and not {"LSTMLM_MARCH", "ONEDNN_MAX_CPU_ISA"} & set(
    os.environ
)
"""Whether kernels for bfloat16 are expected: the processor has the instructions, and may use them."""

needs_compiler = pytest.mark.skipif(not COMPILES, reason="needs a C++ compiler")
needs_bfloat16 = pytest.mark.skipif(not MULTIPLIES_BFLOAT16, reason="needs a processor that multiplies bfloat16")
