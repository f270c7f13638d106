"""Inputs that are wrong in ways that a parser may not expect: a tree with a wrong leaf, bytes out of place, bombs."""

import json
import random
import zlib
from collections.abc import Callable
from typing import Any

import yaml

DEEP = 100_000
PAYLOADS: tuple[bytes, ...] = (
    b"cos\nsystem\n(S'touch unpickled'\ntR.",
    b"\x80\x04\x95\x1b\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.",
    b"PK\x03\x04" + bytes(26) + b"archive/data.pkl",
    b"PK\x05\x06" + bytes(18),
    b"\x1f\x8b" + zlib.compress(bytes(10**7), 9),
    zlib.compress(bytes(10**7), 9),
    b"[" * DEEP,
    b'{"a":' * DEEP,
    b"9" * DEEP,
    b"{" + b"&a " * 1000,
    b"a: &a [x]\n" + b"".join(b"%c: &%c [%s]\n" % (i + 1, i + 1, b", ".join([b"*%c" % i] * 9)) for i in range(97, 121)),
    b"\xff\xfe" * 100,
    b"\x00" * 1000,
    b"\n" * DEEP,
    b"- " * DEEP,
    b"!!python/object/apply:os.system ['id']",
    (2**63).to_bytes(8, "little") + b"{}",
    (1000).to_bytes(8, "little") + b"{}",
    b"",
)
JUNK: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, -(10**400), 0.5, -0.0, 1e308, float("inf"), float("nan")),
    *(
        "",
        "x",
        "../../../../etc/passwd",
        "\x00",
        "\x1b[31m[bold]",
        "\u2028",
        "é" * 1000,
        "F32",
        "BF16",
        "F8_E8M0",
        "I64",
    ),
    *([], {}, [[]], [0, 0], [2**62, 2**62], [-1, 5], [0, 2**63], [1.5], ["a"], {"a": {"b": []}}),
)

Mutate = Callable[[random.Random, bytes], bytes]


def mutated_bytes(randomness: random.Random, content: bytes) -> bytes:
    """Return `content` with some bytes changed, missing, repeated or in other places."""
    changed = bytearray(content)
    for _ in range(randomness.choice([1, 1, 2, 5])):
        start = randomness.randrange(len(changed) + 1)
        stop = min(len(changed), start + randomness.choice([1, 1, 2, 8, 100]))
        match randomness.randrange(7):
            case 0 if start < len(changed):
                changed[start] ^= 1 << randomness.randrange(8)
            case 1:
                changed[start:stop] = b""
            case 2:
                changed[start:start] = randomness.randbytes(stop - start)
            case 3:
                changed[start:start] = changed[start:stop] * randomness.choice([1, 10, 100])
            case 4:
                changed[start:start] = randomness.choice(PAYLOADS)[:1000]
            case 5:
                del changed[start:]
            case _:
                return randomness.choice(PAYLOADS)
    return bytes(changed)


def mutated_json(randomness: random.Random, content: bytes) -> bytes:
    """Return JSON with some values replaced, missing, added or moved; or mutated bytes."""
    if randomness.random() < 0.2:
        return mutated_bytes(randomness, content)
    tree = json.loads(content)
    for _ in range(randomness.choice([1, 1, 1, 2, 4])):
        tree = _mutated_tree(randomness, tree)
    return json.dumps(tree).encode()


def mutated_safetensors(randomness: random.Random, content: bytes) -> bytes:
    """Return a safetensors file with another header, another length of it, or other bytes."""
    size = int.from_bytes(content[:8], "little")
    header, data = content[8 : 8 + size], content[8 + size :]
    if randomness.random() < 0.8:
        header = mutated_json(randomness, header)
    if randomness.random() < 0.2:
        data = mutated_bytes(randomness, data)
    size = len(header) if randomness.random() < 0.9 else randomness.choice([0, 1, 2**20, 2**31, 2**63])
    return size.to_bytes(8, "little") + header + data


def mutated_yaml(randomness: random.Random, content: bytes) -> bytes:
    """Return YAML with some values replaced, missing, added or moved; or mutated bytes."""
    if randomness.random() < 0.5:
        return mutated_bytes(randomness, content)
    tree = yaml.safe_load(content)
    for _ in range(randomness.choice([1, 1, 1, 2, 4])):
        tree = _mutated_tree(randomness, tree)
    return yaml.dump(tree, allow_unicode=randomness.random() < 0.5, default_flow_style=None).encode()


def _mutated_tree(randomness: random.Random, tree: Any) -> Any:
    if not isinstance(tree, dict | list) or not tree or randomness.random() < 0.1:
        return randomness.choice(JUNK)
    if isinstance(tree, list):
        index = randomness.randrange(len(tree))
        return [*tree[:index], _mutated_tree(randomness, tree[index]), *tree[index + 1 :]]
    key = randomness.choice(list(tree))
    match randomness.randrange(8):
        case 0:
            return {name: value for name, value in tree.items() if name != key}
        case 1:
            return {**tree, str(randomness.choice(JUNK)): tree[key]}
        case 2:
            return {**tree, key: tree[randomness.choice(list(tree))]}
    return {**tree, key: _mutated_tree(randomness, tree[key])}
