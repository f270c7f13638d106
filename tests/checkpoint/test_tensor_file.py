"""Files of tensors are those of the safetensors library, byte for byte, and are read as carefully."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file

from lstmlm.checkpoint.tensor_file import TensorFile
from lstmlm.files import BLOCK_BYTES

PATH = Path("model.safetensors")

TENSORS = {
    "embedding.weight": torch.arange(12.0).reshape(4, 3),
    "embedding.weight/step": torch.tensor(400.0),
    "Embedding": torch.tensor([0.1, -0.0]),
    "double": torch.tensor([0.1], dtype=torch.float64),
    "double ": torch.tensor([0.1, 0.2], dtype=torch.float64),
    "brain": torch.tensor([0.1, torch.nan], dtype=torch.bfloat16),
    "half": torch.tensor([0.1], dtype=torch.float16),
    "step": torch.tensor(2**62),
    "ids": torch.tensor([[1, 2]], dtype=torch.int32),
    "short": torch.tensor([-1], dtype=torch.int16),
    "tiny": torch.tensor([-1, 1], dtype=torch.int8),
    "bytes": torch.tensor([1, 255, 0], dtype=torch.uint8),
    "mask": torch.tensor([True, False]),
    "no rows": torch.zeros(0, 3),
    "no columns": torch.zeros(3, 0, dtype=torch.uint8),
    'a "name"\n\\/\x01\x7fé\u2028': torch.zeros(1),
}


def content_of(tensors: dict[str, torch.Tensor]) -> bytes:
    return b"".join(TensorFile.of(tensors))


def read(content: bytes) -> TensorFile:
    PATH.write_bytes(content)
    with PATH.open("rb") as file:
        return TensorFile.read(file, len(content))


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert (found[name].dtype, found[name].shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(found[name].nan_to_num(), tensor.nan_to_num())


@pytest.mark.parametrize(
    "tensors",
    [TENSORS, {}, *({name: tensor} for name, tensor in TENSORS.items())],
    ids=["all", "none", *map(repr, TENSORS)],
)
def test_the_bytes_are_those_of_the_library(tensors: dict[str, torch.Tensor]) -> None:
    assert content_of(tensors) == save(tensors)


def test_the_library_reads_what_we_write() -> None:
    PATH.write_bytes(content_of(TENSORS))
    assert_same(load_file(PATH), TENSORS)
    with safe_open(PATH, framework="pt") as file:
        assert torch.equal(file.get_tensor("embedding.weight"), TENSORS["embedding.weight"])


def test_we_read_what_the_library_writes() -> None:
    save_file(TENSORS, PATH)
    assert_same(read(PATH.read_bytes()).tensors, TENSORS)


def test_a_file_that_was_read_holds_the_bytes_that_it_was_read_from() -> None:
    content = content_of(TENSORS)
    assert b"".join(read(content)) == content


def test_tensors_are_written_from_their_own_memory_a_block_at_a_time() -> None:
    n_blocks = 3
    tensor = torch.zeros(n_blocks * BLOCK_BYTES // 4)
    header, *blocks = TensorFile.of({"a": tensor})
    tensor.fill_(1)
    assert [len(block) for block in blocks] == [BLOCK_BYTES] * n_blocks
    assert header + b"".join(blocks) == save({"a": tensor})


def test_tensors_that_were_read_are_independent() -> None:
    tensors = read(content_of({"a": torch.zeros(2), "b": torch.zeros(2)})).tensors
    tensors["a"].add_(1)
    assert tensors["b"].tolist() == [0, 0]


def file_of(header: object, n_bytes: int = 8) -> bytes:
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(content).to_bytes(8, "little") + content + bytes(n_bytes)


def entry(**changes: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}


def test_a_header_of_any_layout_is_read() -> None:
    file = read(file_of({"b": entry(shape=[1], data_offsets=[0, 4]), "a": entry(shape=[], data_offsets=[4, 8])}))
    assert {name: tensor.shape for name, tensor in file.tensors.items()} == {"b": (1,), "a": ()}


def test_a_tensor_without_elements_may_be_long() -> None:
    long = 2**62
    file = read(file_of({"a": entry(shape=[0, long, long], data_offsets=[0, 0])}, 0))
    assert file.tensors["a"].shape == (0, long, long)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "header: Invalid JSON: "),
        (b"\x02\x00\x00", "header: Invalid JSON: "),
        ((2**63).to_bytes(8, "little") + b"{}", "a header of more than 1048576 bytes"),
        (file_of(b"{"), "header: Invalid JSON: "),
        (file_of([]), "header: Input should be "),
        (file_of({"a": entry(more=1)}), "header: Extra inputs"),
        (file_of({"a": entry(shape=[-2])}), "header: Input should be "),
        (file_of({"a": entry(shape=[1] * 9)}), "header: List should have at most 8 items"),
        (file_of({"a": entry(dtype="F8")}), "header: 'a' has the unknown number format 'F8'"),
        (file_of({"a": entry(shape=[3])}), "header: 'a' has 8 bytes, its shape and number format say others"),
        (file_of({"a": entry(shape=[2**62, 8])}), "header: 'a' has 8 bytes, its shape and number format say others"),
        (
            file_of({"a": entry(data_offsets=[8, 0])}),
            "header: 'a' has -8 bytes, its shape and number format say others",
        ),
        (file_of({"a": entry(), "b": entry()}), "header: 'b' begins at byte 0, the one before it ends at 8"),
        (file_of({"a": entry(data_offsets=[4, 12])}, 12), "header: 'a' begins at byte 4, the one before it ends at 0"),
        (file_of({"a": entry()}, 9), "header: of 8 bytes, 9 follow"),
        (file_of({"a": entry()}, 7), "header: of 8 bytes, 7 follow"),
    ],
)
def test_what_is_no_such_file_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}"):
        read(content)
