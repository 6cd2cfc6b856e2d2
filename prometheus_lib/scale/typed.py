"""From a TOML file's tables to dataclasses: unknown and missing keys and wrong types are named with their place."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from ..records import DataError

Record = TypeVar("Record")
_WORDS = {str: "a text in quotes", int: "a whole number", float: "a number", bool: "true or false"}


def record(kind: type[Record], table: Mapping[str, Any], where: str, **given: Any) -> Record:
    """Make a dataclass of `kind` from a table whose keys are its fields; `given` are values that no table holds.

    `where` names the file and, within it, the table. DataError names the key and says what to do.

    >>> from ..judging.tasks import Decoding
    >>> record(Decoding, {"top_p": 1}, "mine.toml, [decoding]").top_p
    1.0
    >>> record(Decoding, {"topp": 1}, "mine.toml, [decoding]")
    Traceback (most recent call last):
    prometheus_lib.records.DataError: mine.toml, [decoding]: unknown key 'topp'; did you mean 'top_p'?
    """
    hints = get_type_hints(kind)
    known = {field.name: field for field in fields(kind) if field.name not in given}
    for key in table:
        if key not in known:
            raise DataError(f"{where}: unknown key {key!r}; {nearest(key, known)}")
    for key, field in known.items():
        if key not in table and field.default is MISSING and field.default_factory is MISSING:
            raise DataError(f"{where}: the key {key!r} is missing; add it, or take it over from a scale with `like`.")
    return kind(**given, **{key: _value(hints[key], value, where, key) for key, value in table.items()})


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the one that was probably meant, else all.

    >>> nearest("liner", ["linear", "slerp"])
    "did you mean 'linear'?"
    """
    names = list(known)
    found = difflib.get_close_matches(name, names, 1)
    return f"did you mean {found[0]!r}?" if found else f"choose from {', '.join(names)}."


def _value(kind: Any, value: Any, where: str, key: str) -> Any:
    """Return a value as a field of this type takes it."""
    choices = get_args(kind) if get_origin(kind) is types.UnionType else (kind,)
    for choice in choices:
        if is_dataclass(choice) and isinstance(value, Mapping):
            return record(choice, value, f"{where}, [{key}]")
        if get_origin(choice) is tuple and isinstance(value, list):
            return tuple(_value(get_args(choice)[0], each, where, f"{key}[{n}]") for n, each in enumerate(value))
        if choice in _WORDS and type(value) is choice:
            return value
        if choice is float and type(value) is int:
            return float(value)
        if choice is types.NoneType and value is None:
            return None
    raise DataError(f"{where}: {key} is {value!r}; give {' or '.join(filter(None, map(_in_words, choices)))}.")


def _in_words(kind: Any) -> str:
    if get_origin(kind) is tuple:
        return "a list in brackets"
    return "a table" if is_dataclass(kind) else _WORDS.get(kind, "")
