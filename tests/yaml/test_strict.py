"""How texts become values, and which texts are refused."""

import itertools
import math

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lstmlm.yaml.strict import MAX_DEPTH, MAX_VALUES, UnreadableError, Value, dump, kind_of, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-1", -1),
        ("+1", 1),
        ("0", 0),
        ("1_000", 1000),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e-3", 0.001),
        ("1e5", 100000.0),
        ("-2.5E+3", -2500.0),
        ("-.inf", -math.inf),
        ("yes", True),
        ("Off", False),
        ("TRUE", True),
        ("~", None),
        ("null", None),
        ("", None),
        ("'1'", "1"),
        ('"no"', "no"),
        ("''", ""),
        ("12:30", "12:30"),
        ("010", "010"),
        ("0x10", "0x10"),
        ("1.2.3", "1.2.3"),
        ("1__0", "1__0"),
        ("e3", "e3"),
        ("2026-01-31", "2026-01-31"),
        ("nope", "nope"),
        ("=", "="),
        ("data/ptb", "data/ptb"),
        ("[1, [x]]", (1, ("x",))),
        ("[]", ()),
        ("{}", {}),
        ("|\n a\n b\n", "a\nb\n"),
    ],
)
def test_value(text: str, value: object) -> None:
    document = parse(f"key: {text}")
    assert document.value == {"key": value}
    assert type(document.value["key"]) is type(value)
    assert not document.problems


def test_nan_is_read_as_such() -> None:
    value = parse("key: .nan").value
    assert isinstance(value, dict)
    assert isinstance(value["key"], float)
    assert math.isnan(value["key"])


def test_every_key_knows_its_line() -> None:
    document = parse("# comment\na: 1\nb:\n  c: {d: 1,\n    e: 2}\n  f:\n  - x\n  - y\n")
    assert document.lines == {
        (): 2,
        ("a",): 2,
        ("b",): 3,
        ("b", "c"): 4,
        ("b", "c", "d"): 4,
        ("b", "c", "e"): 5,
        ("b", "f"): 6,
        ("b", "f", 0): 7,
        ("b", "f", 1): 8,
    }


def test_an_alias_is_a_copy() -> None:
    value = parse("a: &x {k: 1}\nb: *x").value
    assert isinstance(value, dict)
    assert value == {"a": {"k": 1}, "b": {"k": 1}}
    assert value["a"] is not value["b"]


def test_the_first_of_duplicate_keys_counts() -> None:
    document = parse("a: 1\nb: {c: 2, c: 3}\na: 4\n")
    assert document.value == {"a": 1, "b": {"c": 2}}
    assert [(problem.path, problem.line) for problem in document.problems] == [(("b", "c"), 2), (("a",), 3)]


@pytest.mark.parametrize(
    "text", ["!!str x", "!x y", "! x", "!!python/name:os.system x", "!!map {a: 1}", "!!set {a, b}"]
)
def test_tagged_values_are_not_read(text: str) -> None:
    document = parse(f"key: {text}")
    assert document.value == {"key": None}
    (problem,) = document.problems
    assert problem.text.endswith("is not allowed. Remove it.")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x [*x]", f"nested more than {MAX_DEPTH} levels deep. Flatten it."),
        ("a: " + "[" * 100_000, f"nested more than {MAX_DEPTH} levels deep. Flatten it."),
        (f"[{'x,' * MAX_VALUES}]", f"more than {MAX_VALUES} values, each alias (*) counted. Write less."),
        ("a: *x", "not YAML: found undefined alias 'x'."),
        ("a: \x00", r"not YAML: character '\x00' is not allowed."),
        ('a: "\\Uffffffff"', "not YAML: a number or an escape here is too large."),
        (f"%YAML 1.{'1' * 5000}\n---\na", "not YAML: a number or an escape here is too large."),
    ],
)
def test_a_text_that_is_refused_as_a_whole(text: str, message: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        parse(text)
    assert caught.value.text == message
    assert caught.value.line == 1


def test_aliases_cannot_explode() -> None:
    names = "abcdefghi"
    rows = ["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    rows += [f"{name}: &{name} [{', '.join([f'*{last}'] * 9)}]" for last, name in itertools.pairwise(names)]
    with pytest.raises(UnreadableError, match=r"each alias \(\*\) counted"):
        parse("\n".join(rows))


def test_a_text_of_too_many_values_is_not_read_to_its_end() -> None:
    with pytest.raises(UnreadableError, match="values"):
        parse(f"[{'x,' * 3 * MAX_VALUES}")


def test_the_deepest_and_largest_texts_that_are_read() -> None:
    assert parse("[" * MAX_DEPTH + "]" * MAX_DEPTH).value
    assert parse(f"[{'x,' * (MAX_VALUES - 1)}]").value


@pytest.mark.parametrize("text", ['"\\ud800"', "9" * 5000, "1." + "9" * 5000])
def test_a_scalar_that_cannot_be_taken_is_told_at_its_key(text: str) -> None:
    document = parse(f"a: 1\nb: {text}")
    (problem,) = document.problems
    assert (problem.path, problem.line) == (("b",), 2)


@pytest.mark.parametrize(
    ("text", "kind"), [("5", "int"), ("1e5", "float"), ("no", "bool"), ("", "null"), ("12:30", "str")]
)
def test_kind_of_an_unquoted_scalar(text: str, kind: str) -> None:
    assert kind_of(text) == kind


patient = settings(suppress_health_check=[HealthCheck.too_slow])

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.from_regex(r"[-+.0-9eE_:]{1,8}", fullmatch=True)
    | st.sampled_from(
        [
            "\x85",
            " a ",
            "a\n b",
            "no",
            "1e5",
            "~",
            "12:30",
            "<<",
            "0x1",
            "!x",
            "&a",
            "*a",
            "- 1",
            "a: b",
            "# x",
            "---",
            "\ufeff",
        ]
    )
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.text("abz", min_size=1), inner, max_size=3)
    ),
    max_leaves=10,
)


@patient
@given(st.dictionaries(st.text("abcxyz", min_size=1), values, max_size=3))
def test_what_is_written_is_read_again(written: dict[str, Value]) -> None:
    document = parse(dump(dict(written)))
    assert document.value == written
    assert repr(document.value) == repr(written)  # 1 and 1.0 and True are equal, but not the same
    assert not document.problems


@patient
@given(st.text() | st.text("ab:-[]{}!&*<?|>'\"%#\n 01,"))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse(text)
    except UnreadableError as error:
        problem = error
    else:
        return
    assert 1 <= problem.line <= len(text) + 1
    assert problem.text.isprintable()


@patient
@given(st.text("ab:-[]{}'\"#\n 1,"))
def test_texts_of_plain_words_are_read_as_pyyaml_reads_them(text: str) -> None:
    """The same structure and the same texts; only what becomes a number is our own rule, and duplicates are refused."""
    try:
        expected = yaml.load(text, yaml.BaseLoader)  # noqa: S506
        document = parse(text)
    except (yaml.YAMLError, UnreadableError, TypeError):  # PyYAML's unhashable keys are a TypeError
        return
    if not document.problems:
        assert texts_of(document.value) == texts_of(expected)


def texts_of(value: object) -> object:
    match value:
        case dict():
            return {key: texts_of(item) for key, item in value.items()}
        case list() | tuple():
            return [texts_of(item) for item in value]
        case str() if kind_of(value) == "str":
            return value
    return None
