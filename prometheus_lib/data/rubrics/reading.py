"""Rubrics from texts, dictionaries, YAML files and the library become criteria that a judge can be asked for."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ...records import SCORES, DataError, MissingFile, Rubric
from .scales import OrderedScale, read_scale

LIBRARY = Path(__file__).parent / "library"
FIELDS = ("name", "criteria", "descriptions", "scale", "weight", "source", "reference")
# What stands for descriptions where a rubric has none.
PLAIN = (
    "The response does not meet the criterion at all.",
    "The response meets the criterion in small part only.",
    "The response meets the criterion about half.",
    "The response meets the criterion for the most part.",
    "The response meets the criterion in full.",
)


@dataclass(frozen=True)
class Criterion:
    """One thing to judge: the rubric as the judge is shown it (1 to 5), the scale it is told on, and its weight.

    >>> read_rubric("Is the reply polite?", scale="0-4")[0].scale.value_of(5)
    4.0
    """

    name: str
    rubric: Rubric
    scale: OrderedScale
    weight: float = 1.0


def rubric_library() -> dict[str, str]:
    """Return the rubrics that come with the package: each one's name and its criteria, or where it is to be found.

    >>> sorted(rubric_library())[:3]
    ['autoj_eval', 'code_review', 'factuality']
    """
    return {file.stem: _told(_load(file)) for file in sorted(LIBRARY.glob("*.yaml"))}


def _told(given: Any) -> str:
    if isinstance(given, list):
        return " ".join(_told(each) for each in given)
    return " ".join(str(given.get("criteria") or given["reference"]).split())


def read_rubric(given: Any, scale: Any = None) -> tuple[Criterion, ...]:
    """Return the criteria of a rubric, each to be judged by itself.

    given: the criteria as a text; the name of a rubric of the library (`rubric_library`); a YAML or JSON file; a
    `records.Rubric`; a dictionary with `criteria` and, where there are any, `descriptions`, `scale`, `weight`, `name`;
    or several: a list of these, or a dictionary from names to these. `scale` is that of all criteria without one of
    their own (`scales.read_scale`: "1-10", "pass/fail", ...; default 1 to 5).

    `descriptions` say what levels mean: a list with one text per level, the worst first, or a dictionary from levels to
    texts, in which some may be missing. The judge is always shown five scores. A score that falls on a described level
    is shown its text; one between two is said to lie between them; without any description the five texts `PLAIN` (or
    the names of the levels) are shown.

    DataError names the rubric and what to do.

    >>> (tone,) = read_rubric({"criteria": "Is it kind?", "scale": "pass/fail", "descriptions": {"pass": "It is."}})
    >>> tone.rubric.descriptions[4], tone.rubric.descriptions[0], tone.scale.levels
    ('It is.', 'fail', ('fail', 'pass'))
    >>> [(each.name, each.weight) for each in read_rubric({"tone": "Is it kind?", "facts": "Is it right?"})]
    [('tone', 1.0), ('facts', 1.0)]
    """
    criteria = tuple(_criteria(given, scale, ""))
    names = [each.name for each in criteria]
    if not criteria:
        raise DataError("the rubric holds no criteria; write at least one.")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"the rubric has two criteria named {twice[0]!r}; give each a name of its own.")
    return criteria


def _criteria(given: Any, scale: Any, name: str) -> list[Criterion]:
    if isinstance(given, Criterion):
        return [given]
    if isinstance(given, Rubric):
        return [Criterion(name or "score", given, read_scale(scale))]
    if isinstance(given, os.PathLike) or (
        isinstance(given, str) and given.lower().endswith((".yaml", ".yml", ".json"))
    ):
        return _of_definition(_load(Path(given).expanduser()), scale, name or Path(given).stem)
    if isinstance(given, str):
        return _of_text(given.strip(), scale, name)
    if isinstance(given, Mapping):
        return _of_definition(given, scale, name)
    if isinstance(given, Sequence):
        parts = [_criteria(each, scale, f"criterion {number}") for number, each in enumerate(given, start=1)]
        return [criterion for part in parts for criterion in part]
    raise DataError(f"a rubric is a text, a name, a file, a dictionary or a list of these, not {given!r}.")


def _of_text(text: str, scale: Any, name: str) -> list[Criterion]:
    library = {file.stem: file for file in LIBRARY.glob("*.yaml")}
    if found := library.get(text.replace("-", "_")):
        return _of_definition(_load(found), scale, text if name.startswith("criterion ") else name or text)
    if len(text.split()) < 2:
        near = difflib.get_close_matches(text, library, 1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        raise DataError(f"rubric {text!r}: no text and no rubric of the library ({', '.join(sorted(library))}).{meant}")
    return [_criterion({"criteria": text}, scale, name or "score")]


def _of_definition(given: Any, scale: Any, name: str) -> list[Criterion]:
    if isinstance(given, (list, str)):
        return _criteria(given, scale, name)
    if "reference" in given:
        raise DataError(f"rubric {given.get('name', name)!r} is not in the package: {given['reference']}")
    inner, scale = given.get("criteria"), given.get("scale", scale)
    if isinstance(inner, (list, Mapping)):
        return _criteria(inner, scale, "")
    if inner is not None:
        return [_criterion(given, scale, str(given.get("name") or name or "score"))]
    if unknown := [key for key, value in given.items() if not isinstance(value, (str, Mapping, Rubric))]:
        raise DataError(f"rubric: {unknown[0]!r} is no criterion; write criteria, or names with a text each.")
    if not given or set(given) <= set(FIELDS):
        raise DataError(f"rubric {name!r}: criteria is missing; it is the question that the judge answers.")
    return [criterion for key, value in given.items() for criterion in _criteria(value, scale, str(key))]


def _criterion(given: Mapping[str, Any], scale: Any, name: str) -> Criterion:
    if unknown := [key for key in given if key not in FIELDS]:
        raise DataError(f"rubric {name!r}: {unknown[0]!r} is not read; it may hold {', '.join(FIELDS)}.")
    text, weight = given["criteria"], given.get("weight", 1)
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"rubric {name!r}: criteria is {text!r}; write the question that the judge answers.")
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 < weight < float("inf"):
        raise DataError(f"rubric {name!r}: weight is {weight!r}; write a number above 0.")
    levels = read_scale(given.get("scale", scale))
    told = _described(name, given.get("descriptions"), levels)
    return Criterion(name, Rubric(" ".join(text.split()), _shown(levels, told)), levels, float(weight))


def _described(name: str, given: Any, scale: OrderedScale) -> dict[int, str]:
    """The text of each described level, by the level's place from the worst."""
    if not given:
        return {}
    if isinstance(given, Mapping):
        places = {scale.read(level, f"rubric {name!r}, descriptions"): str(text) for level, text in given.items()}
        found = {list(scale.values).index(value): text for value, text in places.items() if value in scale.values}
        if len(found) < len(given):
            raise DataError(f"rubric {name!r}: a description stands at no level of the scale {scale.name}.")
        return found
    if isinstance(given, Sequence) and not isinstance(given, str) and len(given) == len(scale.levels):
        return dict(enumerate(map(str, given)))
    raise DataError(
        f"rubric {name!r}: descriptions is {given!r}; write one for each of {', '.join(scale.levels)}, or a dictionary."
    )


def _shown(scale: OrderedScale, told: Mapping[int, str]) -> list[str]:
    """What the judge reads for each score from 1 to 5."""
    ends = (0, len(scale.levels) - 1)
    names_tell = not all(level.lstrip("-").replace(".", "").isdigit() for level in scale.levels)
    if not told and not names_tell:
        return list(PLAIN)
    # A level without a description is told by its name, an end of the scale by the plain text.
    texts = {place: scale.levels[place] if names_tell else PLAIN[-1 if place else 0] for place in ends} | dict(told)
    if names_tell:
        texts = dict(enumerate(scale.levels)) | texts
    return [_between(texts, (score - 1) / (len(SCORES) - 1) * ends[1]) for score in SCORES]


def _between(texts: Mapping[int, str], place: float) -> str:
    low = max(each for each in texts if each <= place + 1e-9)
    high = min(each for each in texts if each >= place - 1e-9)
    if low == high:
        return texts[low]
    share = (place - low) / (high - low)
    nearer = "half-way" if abs(share - 0.5) < 1e-9 else f"nearer to the {'first' if share < 0.5 else 'second'}"
    return f'Between "{texts[low]}" and "{texts[high]}", {nearer}.'


def _load(path: Path) -> Any:
    """The content of a YAML or JSON file; DataError names file and line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        found = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except FileNotFoundError as error:
        raise MissingFile(f"{path}: file not found; check its name and folder.") from error
    except (OSError, UnicodeDecodeError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"{path}: not a rubric ({' '.join(str(error).split())}); write YAML with criteria.") from error
    if not isinstance(found, (dict, list)) or not found:
        raise DataError(f"{path}: holds no rubric; write at least `criteria: ...`.")
    return found
