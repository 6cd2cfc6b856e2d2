"""What a merge is: which two experts, by which method, with which numbers (paper, sections 3.4 and 6, appendix G).

`alpha` is the share of the first expert (the direct expert in the paper's equation 3). A plain `Merge` is "matched":
its weights are (alpha, 1 - alpha), equations 3 to 5 as printed, and with them task arithmetic *is* linear merging. The
paper leaves the numbers of some merges open; each way to fill them in has a constructor of its own:

- `Merge.mergekit_default` gives (1, 1), the plain choice where none is stated (mergekit 0.1.5 itself has no default and
  asks for a weight): both changes are added in full. Linear, SLERP and TIES normalise, so for them it is alpha 0.5.
- `Merge.paper_8x7b` is Table 10 (p 0.1, lambda 1.95) for the two DARE methods, as published: a tenth of each change is
  dropped, as the DARE paper does, with matched weights.
- `Merge.paper_8x7b_script` is Table 10 as the script credited for the 8x7B model reads it: it *keeps* a tenth, divides
  by 1 - p all the same, and adds one expert after the other, each change taken from the result so far, without weights.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..records import DataError

# Our name -> mergekit's name. All but linear and slerp work on the changes from the base model.
METHODS = {
    "linear": "linear",
    "slerp": "slerp",
    "task-arithmetic": "task_arithmetic",
    "ties": "ties",
    "dare-ties": "dare_ties",
    "dare-linear": "dare_linear",
}
SPARSE = ("ties", "dare-ties", "dare-linear")
NEEDS_BASE = ("task-arithmetic", *SPARSE)
DARE = ("dare-ties", "dare-linear")
PAPER_P, PAPER_LAMBDA = 0.1, 1.95  # Table 10
# The two constructors for Table 10: the share that DARE keeps, and what stamps and judgments call the reading.
TABLE_10 = {"paper-8x7b": (1 - PAPER_P, "published"), "paper-8x7b-script": (PAPER_P, "supermario-script")}
VARIANTS = ("matched", "mergekit-default", *TABLE_10)
EXPERTS = ("direct", "pairwise")


@dataclass(frozen=True)
class Merge:
    """One merge: `density` is the share of each change that TIES or DARE keeps, `scaling` the paper's lambda.

    `variant` is the constructor that made it: "matched" for a plain one. Raises DataError for numbers out of range.

    >>> Merge("linear-0.3", "linear", alpha=0.3).weights
    (0.3, 0.7)
    >>> Merge.mergekit_default("task-arithmetic-default", "task-arithmetic").weights
    (1.0, 1.0)
    >>> merge = Merge.paper_8x7b("dare-linear-8x7b")
    >>> merge.method, merge.density, merge.scaling
    ('dare-linear', 0.9, 1.95)
    """

    name: str
    method: str
    first: str = EXPERTS[0]
    second: str = EXPERTS[1]
    alpha: float = 0.5
    variant: str = "matched"
    density: float = 1.0
    scaling: float = 1.0
    seed: int = 42

    @classmethod
    def mergekit_default(cls, name: str, method: str, **settings: Any) -> Merge:
        """Return a merge in which both experts have the weight 1; `settings` as for a plain merge.

        >>> Merge.mergekit_default("ties-default", "ties", density=0.2).variant
        'mergekit-default'
        """
        return cls(name, method, **settings, variant="mergekit-default")

    @classmethod
    def paper_8x7b(cls, name: str, method: str = "dare-linear", **settings: Any) -> Merge:
        """Return Table 10's merge as published; `settings` are the experts, alpha and the seed.

        >>> Merge.paper_8x7b("m", "dare-ties", alpha=0.3).weights
        (0.3, 0.7)
        """
        return cls._table_10("paper-8x7b", name, method, **settings)

    @classmethod
    def paper_8x7b_script(cls, name: str, **settings: Any) -> Merge:
        """Return Table 10's merge as the credited script does it; `settings` are the experts and the seed.

        >>> Merge.paper_8x7b_script("m").in_turn
        True
        """
        return cls._table_10("paper-8x7b-script", name, "dare-linear", **settings)

    @classmethod
    def _table_10(cls, variant: str, name: str, method: str, **settings: Any) -> Merge:
        return cls(name, method, **settings, variant=variant, density=TABLE_10[variant][0], scaling=PAPER_LAMBDA)

    def __post_init__(self) -> None:
        for field, known in (("method", tuple(METHODS)), ("variant", VARIANTS)):
            value = getattr(self, field)
            self._want(value in known, f"unknown {field} {value!r}; choose one of {list(known)}.")
        self._want(self.first != self.second, f"{self.first!r} is given twice; name two different experts.")
        self._want(0 <= self.alpha <= 1, f"alpha is {self.alpha}; it must lie between 0 and 1.")
        self._want(0 < self.density <= 1, f"density is {self.density}; it must be above 0 and at most 1.")
        self._want(abs(self.scaling) < float("inf"), f"scaling is {self.scaling}; it must be a finite number.")
        if self.variant in TABLE_10:
            self._check_table_10()

    def _want(self, right: bool, message: str) -> None:
        if not right:
            raise DataError(f"merge {self.name!r}: {message}")

    def _check_table_10(self) -> None:
        self._want(self.method in DARE, f"Table 10 is for {' and '.join(DARE)}, not {self.method!r}.")
        numbers = (self.density, self.scaling) == (TABLE_10[self.variant][0], PAPER_LAMBDA)
        made = f"Merge.{self.variant.replace('-', '_')}"
        self._want(numbers, f"{self.variant!r} brings density and scaling along; make it with {made}.")
        if self.in_turn:
            self._want(self.method == "dare-linear" and self.alpha == 0.5, "the script knows no signs and no alpha.")

    @property
    def in_turn(self) -> bool:
        """Tell whether the experts are added one after the other, as the script of the 8x7B model does."""
        return self.variant == "paper-8x7b-script"

    @property
    def weights(self) -> tuple[float, float]:
        """Return the weights of the two experts; for `paper_8x7b_script` those that give its merge on average.

        There one expert arrives with c = lambda p / (1 - p), and what stood there before is multiplied by 1 - c.

        >>> Merge("m", "ties", alpha=0.25, density=0.2).weights
        (0.25, 0.75)
        """
        if self.in_turn:
            share = self.density * self.rescale
            return share * (1 - self.scaling * share), share
        return (1.0, 1.0) if self.variant == "mergekit-default" else (self.alpha, 1 - self.alpha)

    @property
    def rescale(self) -> float:
        """Return the factor by which DARE multiplies what it keeps: 1/(1 - p), whatever p means.

        >>> Merge("m", "dare-linear", density=0.5).rescale
        2.0
        """
        return 1 / (1 - self.density) if self.in_turn else 1 / self.density

    def settings(self) -> dict[str, Any]:
        """Return what decides the result, as stamps, recipes and fingerprints of judgments hold it.

        Its text must not change: a merge whose settings read otherwise counts as another one. So both of Table 10's
        merges still say "paper-8x7b", with the reading beside it.

        >>> Merge.paper_8x7b_script("m").settings()["reading"]
        'supermario-script'
        """
        settings = asdict(self)
        if self.variant in TABLE_10:
            settings |= {"variant": "paper-8x7b", "reading": TABLE_10[self.variant][1]}
        return settings
