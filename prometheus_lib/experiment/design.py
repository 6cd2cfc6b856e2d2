"""The design of an experiment: a TOML file with the point to start from, the knobs, the arms and the hypotheses.

It is written and committed before the first result. Every cell of the grid is the point with one knob turned.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from ..data.miniworld import ATTRIBUTES
from ..merging.spec import Merge
from ..records import DataError
from ..scale.typed import nearest, record

DESIGNS = Path(__file__).parent / "designs"
POINT = "paper"  # the name of the cell in which no knob is turned
MEASURES = {"exact": "exact score, %", "pair": "pair right, %", "list": "all points right, %"}
RUBRICS = ("full", "coarse", "none")
FORMATS = {"direct": "exact", "pairwise": "pair", "checklist": "list"}  # and the measure of each


def without_later(values: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """Return values without those that came `later` and stand at what they are where nobody sets them.

    So stamps, and with them results, stay as they were.

    >>> without_later({"seed": 1, "alpha": 0.5, "checklist": 1.0}, {"alpha": 0.5, "checklist": 0.0})
    {'seed': 1, 'checklist': 1.0}
    """
    return {key: value for key, value in values.items() if key not in later or value != later[key]}


@dataclass(frozen=True)
class Settings:
    """What the knobs turn; DataError for a value that cannot be meant.

    `examples` per expert; `own_criteria`: how many of the world's criteria only one format's data ask about;
    `conflict`: the share of pairwise instructions labelled against the truth; `width`: the hidden size; `schooling`:
    the share of the base model's schooling. What an expert learns and is shown: `feedback` before the score or none,
    a "coarse" `rubric` that names no criteria or "none" at all, a `reference` answer for scoring, and one for ranking
    (`pair_reference`); it is judged as it was trained.

    >>> Settings(examples=125, width=64).conflict
    0.0
    """

    examples: int
    own_criteria: int = 0
    conflict: float = 0.0
    width: int = 128
    learning_rate: float = 5e-4
    schooling: float = 1.0
    feedback: bool = True
    rubric: str = "full"
    reference: bool = True
    pair_reference: bool = False

    def __post_init__(self) -> None:
        most = len(ATTRIBUTES)
        _want(self.examples >= 2, f"examples is {self.examples}; give at least 2.")
        _want(0 <= self.own_criteria <= most and self.own_criteria % 2 == 0,
              f"own_criteria is {self.own_criteria}; give an even number up to {most}.")  # fmt: skip
        _want(0 <= self.conflict <= 1, f"conflict is {self.conflict}; give a share from 0 to 1.")
        _want(self.width >= 32 and self.width % 32 == 0, f"width is {self.width}; give a multiple of 32.")
        _want(self.learning_rate > 0, f"learning_rate is {self.learning_rate}; give a number above 0.")
        _want(self.rubric in RUBRICS, f"rubric is {self.rubric!r}; choose one of {list(RUBRICS)}.")
        _want(0 < self.schooling <= 1, f"schooling is {self.schooling}; give a share above 0 and up to 1.")


@dataclass(frozen=True)
class Arm:
    """A judge of the experiment: the base, trained on shares of the examples of each format, or merged from two.

    `alpha` is the weight of the first of the two, which may be a merge itself.

    >>> Arm("joint-half", direct=0.5, pairwise=0.5).trains
    {'direct': 0.5, 'pairwise': 0.5}
    """

    name: str
    direct: float = 0.0
    pairwise: float = 0.0
    checklist: float = 0.0
    seed: int = 0
    merges: tuple[str, ...] = ()
    method: str = ""
    density: float = 1.0
    alpha: float = 0.5

    def __post_init__(self) -> None:
        for format in FORMATS:
            _want(0 <= getattr(self, format) <= 1, f"{format} is {getattr(self, format)}; give a share from 0 to 1.")
        _want(not (self.trains and self.merges), "it is trained or merged, not both.")
        _want(bool(self.merges) == bool(self.method), "a merged arm needs `merges` and `method`.")
        _want(len(self.merges) in (0, 2), f"merges is {list(self.merges)}; name two trained arms.")
        if self.merges:
            self.merge(seed=0)  # complains about what no merge can be

    @property
    def trains(self) -> dict[str, float]:
        """Return the share of a cell's examples of each format that the arm learns; none where it is not trained."""
        return {format: getattr(self, format) for format in FORMATS if getattr(self, format)}

    def merge(self, seed: int) -> Merge:
        """Return the merge that this arm is; `seed` draws the masks of the methods that need some."""
        first, second = self.merges
        return Merge(self.name, self.method, first, second, alpha=self.alpha, density=self.density, seed=seed)

    def identity(self) -> dict[str, Any]:
        """Return what decides the judge, for stamps: without what came later and is not used."""
        return without_later(asdict(self), {"checklist": 0.0, "alpha": 0.5})


@dataclass(frozen=True)
class Hypothesis:
    """A difference between two arms in one cell, and the sign that is expected of it."""

    id: str
    says: str
    cell: str
    measure: str
    first: str
    second: str
    sign: str = "+"


@dataclass(frozen=True)
class Design:
    """A whole experiment; `cells` are its grid.

    >>> design = read_design("map")
    >>> list(design.cells)[:3], len(design.cells) * len(design.seeds)
    (['paper', 'examples=125', 'examples=500'], 80)
    """

    name: str
    title: str
    seeds: tuple[int, ...]
    instructions: int
    margin: float
    point: Settings
    knobs: Mapping[str, tuple[Any, ...]]
    arms: Mapping[str, Arm]
    hypotheses: tuple[Hypothesis, ...] = ()

    @property
    def measures(self) -> tuple[str, ...]:
        """Return what every arm is measured by: both formats of the paper, and a third where an arm learns it.

        >>> read_design("map").measures
        ('exact', 'pair')
        """
        third = any(arm.checklist for arm in self.arms.values())
        return tuple(measure for format, measure in FORMATS.items() if format != "checklist" or third)

    @property
    def cells(self) -> dict[str, Settings]:
        """Return the settings of every cell by its name."""
        point = asdict(self.point)
        return {POINT: self.point} | {name: Settings(**point | turned) for name, turned in self.turned().items()}

    def turned(self) -> dict[str, dict[str, Any]]:
        """Return for every cell but the point the knob that is turned in it, and to what.

        >>> read_design("map").turned()["width=32"]
        {'width': 32}
        """
        return {f"{knob}={value}": {knob: value} for knob, values in self.knobs.items() for value in values}

    def levels(self, knob: str) -> dict[Any, str]:
        """Return the cells along one knob, in ascending order of its value, the point among them.

        >>> read_design("map").levels("conflict")
        {0.0: 'paper', 0.25: 'conflict=0.25', 0.5: 'conflict=0.5'}
        """
        named = {value: f"{knob}={value}" for value in self.knobs[knob]} | {getattr(self.point, knob): POINT}
        return dict(sorted(named.items()))

    def shortened(self, share: float) -> Design:
        """Return the same grid with a share of the examples and instructions: for a look at how it runs.

        >>> read_design("map").shortened(0.1).point.examples
        200
        """
        if share >= 1:
            return self
        examples = tuple(dict.fromkeys(max(64, round(share * each)) for each in self.knobs.get("examples", ())))
        return replace(
            self, instructions=max(10, round(share * self.instructions)),
            point=replace(self.point, examples=max(64, round(share * self.point.examples))),
            knobs={**self.knobs, **({"examples": examples} if examples else {})}, hypotheses=(),
        )  # fmt: skip


# --- reading ---------------------------------------------------------------------------------------------------------


def read_design(name: str | Path) -> Design:
    """Read a design by its name (one of the library's) or from a TOML file; DataError names what is wrong and where.

    >>> read_design("map").point.examples
    2000
    >>> read_design("mop")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    prometheus_lib.records.DataError: mop: no such design; give a TOML file or one of ['ablations', ...].
    """
    file = Path(name) if Path(name).suffix == ".toml" else DESIGNS / f"{name}.toml"
    if not file.is_file():
        known = sorted(path.stem for path in DESIGNS.glob("*.toml"))
        raise DataError(f"{name}: no such design; give a TOML file or one of {known}.")
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{file}: not valid TOML ({error}).") from error
    design = _design(file, table)
    _check(design, file)
    return design


def _design(file: Path, table: dict[str, Any]) -> Design:
    point = _made(Settings, table.pop("point", {}), f"{file}, [point]")
    arms = {
        name: _made(Arm, values, f"{file}, [arms.{name}]", name=name) for name, values in table.pop("arms", {}).items()
    }
    hypotheses = tuple(
        record(Hypothesis, each, f"{file}, [[hypotheses]] {number}")
        for number, each in enumerate(table.pop("hypotheses", []), start=1)
    )
    knobs = {knob: tuple(values) for knob, values in table.pop("knobs", {}).items()}
    return record(Design, table, str(file), name=file.stem, point=point, knobs=knobs, arms=arms, hypotheses=hypotheses)


def _made(kind: type, table: dict[str, Any], where: str, **given: Any) -> Any:
    """Make a record that looks at its values itself, and say where the values stand that it refuses."""
    try:
        return record(kind, table, where, **given)
    except DataError as error:
        raise error if where in str(error) else DataError(f"{where}: {error}") from error


def _check(design: Design, file: Path) -> None:
    """Raise DataError for names that nothing stands behind."""
    _known(design.knobs, [each.name for each in fields(Settings)], f"{file}, [knobs]: unknown knob")
    for cell, turned in design.turned().items():
        _made(Settings, asdict(design.point) | turned, f"{file}, [knobs] {cell}")
    mergeable = []
    for arm in design.arms.values():
        _known(
            arm.merges,
            mergeable,
            f"{file}, [arms.{arm.name}]: it merges an arm that is not trained or merged before it,",
        )
        mergeable += [arm.name] if arm.trains or arm.merges else []
    for each in design.hypotheses:
        where = f"{file}, hypothesis {each.id}:"
        _known([each.cell], design.cells, f"{where} unknown cell")
        _known([each.first, each.second], design.arms, f"{where} unknown arm")
        _known([each.measure], design.measures, f"{where} unknown measure")
        _known([each.sign], "+-", f"{where} unknown sign")
    _want(len(set(design.seeds)) == len(design.seeds) >= 1, f"{file}: give at least one seed, none of them twice.")
    _want(design.margin > 0, f"{file}: margin is {design.margin}; give points above 0.")
    _want(design.instructions >= 10, f"{file}: instructions is {design.instructions}; give at least 10.")


def _known(names: Iterable[str], known: Collection[str], what: str) -> None:
    for name in names:
        _want(name in known, f"{what} {name!r}; {nearest(name, known)}")


def _want(right: bool, message: str) -> None:
    if not right:
        raise DataError(message)


def level_text(level: Any) -> str:
    """Return a knob's value as figures and sentences show it.

    >>> [level_text(level) for level in (0.0005, 2000, False, "coarse")]
    ['0.0005', '2000', 'no', 'coarse']
    """
    if isinstance(level, bool):
        return "yes" if level else "no"
    return level if isinstance(level, str) else f"{level:g}"
