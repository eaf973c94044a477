"""What YAML text means here, which line everything stands on, and that bad text gives ConfigError and nothing else."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jenga_core.errors import ConfigError
from jenga_core.reading import read_config
from jenga_core.reading.yaml_lines import MOST_BYTES, parse, read_text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2e-4", 2e-4),
        ("3.0e-4", 3e-4),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("12", 12),
        ("-0", 0),
        ("0x1F", 31),
        ("0o17", 15),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("on", "on"),
        ("Off", "Off"),
        ("yes", "yes"),
        ("n", "n"),
        ("007", "007"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2026-01-31", "2026-01-31"),
        ("=", "="),
        ("'2e-4'", "2e-4"),
        ("!!str 5", "5"),
        ('"a\\tb"', "a\tb"),
        ("2e", "2e"),
        ("1.2.3", "1.2.3"),
    ],
)
def test_plain_values(text: str, value: Any) -> None:
    """Trap 21 of the original: `2e-4` was read as text."""
    found = parse(f"key: {text}\n", "f").value["key"]
    assert found == value
    assert type(found) is type(value)


def test_keys_are_text_as_written() -> None:
    assert parse("{on: 1, 1: 2, 1.50: 3, true: 4, 2026-01-31: 5}", "f").value == {
        "on": 1,
        "1": 2,
        "1.50": 3,
        "true": 4,
        "2026-01-31": 5,
    }


def test_lines_of_keys_and_items() -> None:
    document = parse("a:\n  b:\n    - x\n    - y: 1\n      z:\n        2\nc: [1,\n 2]\n", "f")
    assert document.lines[("a",)] == 1
    assert document.lines[("a", "b")] == 2
    assert document.lines[("a", "b", 0)] == 3
    assert document.lines[("a", "b", 1, "z")] == 5
    assert document.lines[("c", 1)] == 8


def test_merged_keys_give_way_to_own_ones_and_keep_their_line() -> None:
    text = "base: &b\n  x: 1\n  y: 2\nmore: &m {y: 9, z: 3}\nuse:\n  <<: [*b, *m]\n  x: 7\n"
    document = parse(text, "f")
    assert document.value["use"] == {"x": 7, "y": 2, "z": 3}
    assert document.lines[("use", "y")] == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "f:3, a: key 'a' is given twice, first on line 1"),
        ("x: {a: 1, 'a': 2}\n", "f:1, x.a: key 'a' is given twice"),
        ("? [1, 2]\n: 3\n", "f:1: a key must be text"),
        ("~: 3\n", "f:1: a key is empty"),
        ("a: !!binary aGk=\n", "f:1, a: tag !!binary is not allowed"),
        ("a: !mine {b: 1}\n", "f:1, a: tag !mine is not allowed"),
        ("a: !!set {x}\n", "f:1, a: tag !!set is not allowed"),
        ("a: !!int x\n", "f:1, a: 'x' cannot be read as int"),
        ("a: !!bool maybe\n", "f:1, a: 'maybe' cannot be read as bool"),
        ("a: &x {<<: *x, b: 1}\n", "refers to the mapping that it stands in"),
        ("a: {<<: 3}\n", "f:1, a: `<<` takes a mapping"),
        ("a: *nowhere\n", "f:1: found undefined alias"),
        ("%YAML 1.2\n", "f:"),
        ("a: 'open\n", "f:"),
        ("a: \ud800\n", "f:1: character"),
        ("a:\n  b\n c: 1\n", "f:3: "),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "f")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbfseed: 1\r\nproject: soc\r\n")
    assert parse(read_text(path), "f").value == {"seed": 1, "project": "soc"}


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    big = tmp_path / "big.yaml"
    big.write_bytes(b"#" * (MOST_BYTES + 1))
    for path, message in [
        (tmp_path / "none.yaml", "there is no such file"),
        (tmp_path, "is a folder"),
        (big, "too large for a configuration"),
    ]:
        with pytest.raises(ConfigError, match=message) as caught:
            read_text(path)
        assert str(caught.value).startswith(str(path))


PIECES = st.sampled_from(
    ["a", "b", ": ", "- ", "\n", "  ", "[", "]", "{", "}", "&x ", "*x", "<<", "!!int ", "|", "'", "\t", "1", ","]
)


@settings(max_examples=300, deadline=None)
@given(text=st.text() | st.lists(PIECES, max_size=30).map("".join))
def test_any_text_is_a_document_or_a_config_error(text: str) -> None:
    with suppress(ConfigError):
        assert isinstance(parse(text, "f").lines, dict)


SECTIONS = ["data", "backbones", "inputs", "tasks", "train", "hooks", "fusion", "seed"]
INNER = ["kind", "path", "split", "columns", "processor", "source", "target", "monitor", "sampling", "schedule", "x"]
WORDS = ["core/csv", "security/table", "security/tabular-mlp", "core/classification", "a", "loss", "temperature", ""]
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.sampled_from(WORDS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(INNER), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(source=st.dictionaries(st.sampled_from(SECTIONS), VALUES, max_size=8))
def test_any_mapping_is_read_or_refused_with_a_config_error(source: dict[str, Any], kinds: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(source, registry=kinds)
    assert caught.value.problems
    assert all(problem.what and problem.where for problem in caught.value.problems)


PLACES = [
    "data.flows",
    "data.flows.path",
    "data.flows.split",
    "inputs.flow",
    "inputs.flow.columns",
    "inputs.flow.processor",
]
PLACES += [
    "backbones.table",
    "tasks.threat",
    "tasks.threat.target",
    "train",
    "train.sampling",
    "fusion",
    "hooks",
    "seed",
]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PLACES), value=VALUES)
def test_any_value_at_any_place_is_read_or_refused_there(path: str, value: Any, smallest: Any, kinds: Any) -> None:
    *way, last = path.split(".")
    source = {key: {name: _copy(part) for name, part in section.items()} for key, section in smallest.items()}
    holder: Any = source
    for key in way:
        holder = holder.setdefault(key, {})
    holder[last] = value
    with suppress(ConfigError):
        assert read_config(source, registry=kinds).data


def _copy(part: Any) -> Any:
    return {**part} if isinstance(part, dict) else part
