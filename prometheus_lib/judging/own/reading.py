"""A user's rows become items to judge, beside the columns they came with and what people said."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ...data.files import Source, read_table
from ...data.own import DIRECT_COLUMNS, PAIR_COLUMNS, RATERS, RUBRIC_COLUMNS, SAID, Items, read_own_items
from ...data.rubrics.reading import PLAIN, Criterion, read_rubric
from ...data.rubrics.scales import OrderedScale, read_scale
from ...data.table import Table, canonical
from ...data.values import is_blank
from ...records import DataError, Rubric

NOT_READ = "columns that are not read"
OWN_RUBRICS = Criterion("score", Rubric("each row's own", PLAIN), read_scale())  # where the rows bring them


@dataclass(frozen=True)
class Own:
    """Items in the order of their rows, the rows' own columns, what is asked of them, and labels by rater."""

    items: Items
    columns: pd.DataFrame
    criteria: tuple[Criterion, ...]
    labels: Mapping[str, np.ndarray]

    def items_for(self, criterion: Criterion) -> Items:
        """Return the items as they are judged by one criterion."""
        if criterion is OWN_RUBRICS:
            return self.items
        if self.items and hasattr(self.items[0], "response"):
            return [replace(item, rubric=criterion.rubric) for item in self.items]
        return [replace(item, rubric=criterion.rubric, criteria=criterion.rubric.criteria) for item in self.items]

    @property
    def clusters(self) -> list[str]:
        """Return the instruction of each item, whose items intervals resample together."""
        return [item.cluster or item.id for item in self.items]


def read_own(source: Source, rubric: Any, scale: Any, columns: Mapping[str, str] | None, pairs: bool) -> Own:
    """Return what is to be judged; DataError for rows of the other kind and everything `read_own_items` refuses."""
    table = read_table(_kept(source), {*DIRECT_COLUMNS, *PAIR_COLUMNS, *(columns or {})})
    names = {raw: (columns or {}).get(raw) or canonical(raw) for raw in table.columns}
    brings = [raw for raw, name in names.items() if name in RUBRIC_COLUMNS]
    criteria = read_rubric(rubric, scale) if rubric is not None else (OWN_RUBRICS,)
    if brings and rubric is not None:
        raise DataError(f"{table.name}: the rows bring rubrics ({brings[0]}), and one is given; keep one of both.")
    if rubric is None and scale is not None:
        raise DataError("a scale goes with a rubric; rows that bring their own are judged from 1 to 5.")
    said = [raw for raw, name in names.items() if not pairs and (name in SAID or re.fullmatch(RATERS, name))]
    read = _with_plain_rubrics(_without(table, said), names) if not pairs else table
    renamed = {raw: name for raw, name in (columns or {}).items() if raw not in said}
    items = items_of(read, criteria[0].rubric if rubric is not None else None, renamed)
    if items and hasattr(items[0], "response") == pairs:
        wanted = "response_a and response_b" if pairs else "response"
        raise DataError(
            f"{table.name}: needs the columns {wanted}; {'score' if pairs else 'compare'} judges these rows."
        )
    labels = {names[raw]: _labels(table, raw, names[raw], criteria) for raw in said}
    if len(twice := [name for name in labels if name in SAID]) > 1:
        raise DataError(f"{table.name}: {' and '.join(twice)} mean the same; keep one.")
    labels = {("human" if name in SAID else name): values for name, values in labels.items()}
    labels = {name: values for name, values in labels.items() if not pd.isna(values).all()}  # some may be empty yet
    if pairs and any(item.label for item in items):
        labels = {"label": np.array([item.label or None for item in items], dtype=object)}
    return Own(items, pd.DataFrame(table.rows, columns=list(table.columns)), criteria, labels)


def _kept(source: Source) -> Any:
    """An iterator can be read once, and is read once: as a list."""
    plain = isinstance(source, (str, pd.DataFrame, Table, Mapping)) or hasattr(source, "__fspath__")
    return source if plain or not isinstance(source, Iterable) else list(source)


def _without(table: Table, names: list[str]) -> Table:
    rows = [{name: value for name, value in row.items() if name not in names} for row in table.rows]
    return replace(table, rows=rows, columns=tuple(name for name in table.columns if name not in names))


def _with_plain_rubrics(table: Table, names: Mapping[str, str]) -> Table:
    """Criteria without descriptions get the plain ones."""
    own = {name: raw for raw, name in names.items() if name in RUBRIC_COLUMNS}
    if set(own) != {"criteria"}:
        return table
    raw = own["criteria"]
    rows = [
        {("rubric" if n == raw else n): _plain_rubric(v) if n == raw else v for n, v in row.items()}
        for row in table.rows
    ]
    return replace(table, rows=rows, columns=tuple("rubric" if name == raw else name for name in table.columns))


def _plain_rubric(criteria: Any) -> Any:
    return None if is_blank(criteria) else {"criteria": str(criteria), "descriptions": list(PLAIN)}


def items_of(table: Table, rubric: Rubric | None, columns: Mapping[str, str]) -> Items:
    """The items; further columns are kept beside the result, so nothing is said of them."""
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        items = read_own_items(table, rubric, columns)
    for note in notes:
        if NOT_READ not in str(note.message):
            warnings.warn(str(note.message), stacklevel=5)
    return items


def _labels(table: Table, raw: str, name: str, criteria: tuple[Criterion, ...]) -> np.ndarray:
    """One rater's labels as values of the scale, (items,), NaN where there are none; a list of draws is averaged."""
    scale = _scale_of(name, criteria)
    return np.array([_label(scale, row.get(raw), f"{place}: {raw}") for place, row in zip(table.places, table.rows)])


def _scale_of(name: str, criteria: tuple[Criterion, ...]) -> OrderedScale:
    for criterion in criteria:
        if name == f"human_{canonical(criterion.name)}":
            return criterion.scale
    return total_scale(criteria)


def total_scale(criteria: tuple[Criterion, ...]) -> OrderedScale:
    """Return the scale of a total: that of all criteria, or 1 to 5 where they differ."""
    scales = {criterion.scale for criterion in criteria}
    return scales.pop() if len(scales) == 1 else read_scale()


def _label(scale: OrderedScale, value: Any, where: str) -> float:
    values = [scale.read(each, where) for each in (value if isinstance(value, list) else [value])]
    found = [each for each in values if each is not None]
    return float(np.mean(found)) if found else np.nan


def warn_of_scales(criteria: Iterable[Criterion]) -> None:
    """Warn once where a criterion has another scale than the one judges are trained on, and say the rule."""
    others = [f"{each.name} ({each.scale.name})" for each in criteria if not each.scale.plain]
    if others:
        warnings.warn(
            f"judges of this kind are trained on 1 to 5, and are asked for 1 to 5; for {', '.join(others)} their "
            "scores are put on a straight line from the worst level to the best. Give some human labels "
            "to see what that does (result.trust()).",
            stacklevel=3,
        )
