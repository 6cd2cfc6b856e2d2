"""The paper's claims as hypotheses: what is said, where, how it is measured, and which difference counts as none.

This list is written before its results are computed, and every notebook reads it. A claim is one or more differences
(`Part`), each put so that above zero means *as the paper says*. How they are tested stands in `tables.claims`; here is
only what was fixed beforehand: measure, direction, margin, and which claims are primary.

Where the items carry their truth, as in the miniature world, it is the yardstick: exact scores instead of a correlation
with a noisy rater, pairs right instead of agreement with noisy labels, both in percent. Real items carry none, and the
paper's own measures decide. Every measure says both (`Measure.text`, `Measure.truth`).

Margins say which difference counts as none, by either yardstick. Two points, for percent and correlations x 100 alike:
the paper concludes from differences of 2.2 points and more on scoring (Table 6, two direct experts against one) and
calls the spread of its merging methods on ranking, 1.5 points, "a minimal difference" (appendix G). The 20.7 points
that training and merging bring in Table 5 are ten times as much.

Primary are the answers to the research questions of section 6, one number each; their p-values and intervals are
corrected together, and those of the secondary claims among themselves; sanity checks and controls stand by themselves.
Claims that are settled by construction get no verdict.

Names of judges are those of this project; "merged" stands for the merge that a scale names as its merged judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CLAIM, SANITY, CONSTRUCTION, CONTROL, NOT_HERE = (
    "claim", "sanity check", "settled by construction", "control", "not testable here",
)  # fmt: skip
CLAIM_KINDS = (CLAIM, SANITY, CONSTRUCTION, CONTROL, NOT_HERE)
PRIMARY, SECONDARY = "primary", "secondary"
MERGED = "merged"
WEAK = "the miniature's base model was schooled to judge weakly, so what training adds to it is our choice"
ALPHAS = tuple(round(step / 10, 1) for step in range(11))
METHODS = ("linear", "slerp", "task-arithmetic", "ties", "dare-ties", "dare-linear")
PLAIN_SUMS = ("linear", "slerp", "task-arithmetic-default", "ties", "dare-ties-default", "dare-linear-default")


@dataclass(frozen=True)
class Measure:
    """What a difference is measured in; a difference within +-`margin` counts as none.

    `text` is the paper's measure, `truth` the one that takes its place where the items carry their truth ("" where no
    label is used). `table` is where the paper prints the measure (None where it does not), `format` the format it
    belongs to ("direct", "pairwise" or "both").

    >>> measure = Measure("accuracy without ties", "points", 2, "pairwise", table=4, truth="pairs right")
    >>> measure.margin, measure.said(truth=True)
    (2, 'pairs right')
    """

    text: str
    unit: str
    margin: float
    format: str
    table: int | None = None
    truth: str = ""

    def said(self, truth: bool) -> str:
        """Return what is measured, by the truth or (also where no label is used) as the paper does."""
        return self.truth if truth and self.truth else self.text


_EXACT, _RIGHT = "exact scores in percent", "pairs right in percent"
MEASURES = {
    "scoring": Measure("Pearson with the strongest rater x 100, average of the three unseen benchmarks", "points", 2,
                       "direct", 5, f"{_EXACT}, average of the three unseen benchmarks"),
    "ranking": Measure("accuracy without ties, average of the three unseen benchmarks", "points", 2, "pairwise", 5,
                       f"{_RIGHT}, average of the three unseen benchmarks"),
    "scoring, same format": Measure("as scoring, printed in Table 6", "points", 2, "direct", 6, "as scoring"),
    "ranking, same format": Measure("as ranking, printed in Table 6", "points", 2, "pairwise", 6, "as ranking"),
    "gain": Measure("merged minus direct expert in scoring, less merged minus pairwise expert in ranking", "points", 2,
                    "both", 5, "the same in exact scores and pairs right"),
    "scoring, figure 3": Measure("Pearson x 100, average of all four benchmarks", "points", 2, "direct", None,
                                 f"{_EXACT}, average of all four benchmarks"),
    "ranking, figure 3": Measure("accuracy without ties, average of all four benchmarks", "points", 2, "pairwise", None,
                                 f"{_RIGHT}, average of all four benchmarks"),
    "best alpha": Measure("best alpha in scoring minus best alpha in ranking", "alpha", 0.1, "both", None,
                          "the same by exact scores and pairs right"),
    "best alpha, two runs": Measure("the same over two pairs of experts", "alpha", 0.1, "both", None,
                                    "the same by exact scores and pairs right, over two pairs of experts"),
    "scoring, table 17": Measure("Pearson x 100, average of all four benchmarks, FLASK with the humans' rater",
                                 "points", 2, "direct", 17, f"{_EXACT}, average of all four benchmarks"),
    "ranking, table 17": Measure("accuracy without ties, average of all four benchmarks", "points", 2, "pairwise", 17,
                                 f"{_RIGHT}, average of all four benchmarks"),
    "overall, table 17": Measure("mean of both averages of Table 17", "points", 2, "both", None,
                                 "mean of exact scores and pairs right, each over four benchmarks"),
    "readable": Measure("pairwise decisions that can be read, four benchmarks", "points", 2, "pairwise"),
    "reference answer": Measure("Pearson x 100 with the rater in the humans' place", "points", 2, "direct", 16,
                                _EXACT),
    "agreement of draws": Measure("Krippendorff's alpha (ordinal) of three draws x 100", "points", 2, "direct", 14),
    "transitivity": Measure("chains of decisions that close as they should", "points", 2, "pairwise", 15),
    "format gap": Measure("accuracy by decision minus accuracy by direct scores, equal scores wrong", "points", 2,
                          "both", 13, "the same in pairs right"),
    "size of the format gap": Measure("size of that gap, mean of three benchmarks", "points", 2, "both", None,
                                      "the same in pairs right"),
    "order of the judges": Measure("Spearman's rho with the order in Table 3", "rho", 0.1, "direct"),
}  # fmt: skip


@dataclass(frozen=True)
class Part:
    """One difference, first minus second, that a claim says is above zero; `on` names a benchmark where it is one's.

    >>> Part("linear", "joint").label
    'linear - joint'
    """

    first: str
    second: str
    on: str = ""

    @property
    def label(self) -> str:
        """Return the difference in words: "linear - joint", "merged - base, flask".

        >>> Part("merged", "base", "flask").label
        'merged - base, flask'
        """
        return f"{self.first} - {self.second}" + (f", {self.on}" if self.on else "")


@dataclass(frozen=True)
class Claim:
    """A hypothesis: one sentence, its place in the paper, and the differences that all have to be above zero.

    `why` explains a kind other than "claim"; `schooled` explains why it is a sanity check at most where the base model
    was schooled to judge; `caution` says how its test misleads. A control says nothing about the paper: its difference
    has no direction beforehand. Why a claim may fail stands in `paper.reasons`.

    >>> claim = Claim("X1", "merging", "Merging beats joint.", "Table 5", "scoring", (Part("linear", "joint"),))
    >>> claim.margin, claim.role, [part.label for part in claim.parts]
    (2, 'secondary', ['linear - joint'])
    """

    id: str
    topic: str
    text: str
    where: str
    measure: str = ""
    parts: tuple[Part, ...] = ()
    role: str = SECONDARY
    kind: str = CLAIM
    why: str = ""
    schooled: str = ""
    caution: str = ""

    @property
    def margin(self) -> float:
        """Return the difference up to which there counts as none, in the unit of the measure."""
        return MEASURES[self.measure].margin

    def kind_at(self, schooled: bool) -> str:
        """Return what kind of hypothesis this is with a base model that was schooled to judge, or with another.

        >>> claim_named("C01").kind_at(schooled=True), claim_named("C01").kind_at(schooled=False)
        ('sanity check', 'claim')
        """
        return SANITY if schooled and self.schooled and self.kind == CLAIM else self.kind


def _against(first: str, others: Iterable[str]) -> tuple[Part, ...]:
    return tuple(Part(first, other) for other in others if other != first)


def _on_each(first: str, second: str, names: Sequence[str]) -> tuple[Part, ...]:
    return tuple(Part(first, second, name) for name in names)


def _alphas(best: float) -> tuple[Part, ...]:
    return _against(f"alpha {best}", [f"alpha {alpha}" for alpha in ALPHAS])


_UNSEEN = ("vicuna_bench", "mt_bench", "flask")
_PAIRS = ("hhh_alignment", "mt_bench_human", "autoj_eval")
_WITH, _WITHOUT = "with reference", "without reference"
_REFERENCE = tuple(
    Part(f"{judge}, {_WITH}", f"{judge}, {_WITHOUT}", name)
    for name in ("biggen_bench", "flask")
    for judge in ("base", MERGED)
)
_FLAT = (
    "neighbours on the line differ by less than such a test can show, so only a failure is likely to be shown; at an "
    "end of the line the best alpha cannot lie beyond it"
)
_CUT_OFF = (
    "the best of eleven jumps where a curve is flat, and at an end of the line its interval is cut off; it also holds "
    "where neither format's data helps the other"
)
_UNITS = "by the paper's measures it compares points of correlation with points of accuracy, which are different units"
_ONE = "one difference of its {} is zero by algebra: with weights alpha and 1 - alpha equation 5 is equation 3"

CLAIMS: tuple[Claim, ...] = (
    Claim("C01", "main results", "the merged judge scores better than the base model", "5.1, Table 5",
          "scoring", (Part(MERGED, "base"),), schooled=WEAK),
    Claim("C02", "main results", "the merged judge ranks better than the base model", "5.2, Table 5",
          "ranking", (Part(MERGED, "base"),), schooled=WEAK),
    Claim("C03", "joint training", "merging scores better than joint training", "6.1, Table 5",
          "scoring", (Part(MERGED, "joint"),), PRIMARY),
    Claim("C04", "joint training", "merging ranks better than joint training", "6.1, Table 5",
          "ranking", (Part(MERGED, "joint"),), PRIMARY),
    Claim("C05", "joint training", "the merged judge scores better than the direct expert alone", "6.1, Table 5",
          "scoring", (Part(MERGED, "direct"),), PRIMARY),
    Claim("C06", "joint training", "the merged judge ranks better than the pairwise expert alone", "6.1, Table 5",
          "ranking", (Part(MERGED, "pairwise"),), PRIMARY),
    Claim("C07", "joint training", "the merged judge ranks better than the direct expert", "6.1, Table 5",
          "ranking", (Part(MERGED, "direct"),), kind=CONSTRUCTION,
          why="the direct expert was never taught to rank; any judge that was beats it"),
    Claim("C08", "joint training", "joint training scores worse than training on scores alone", "6.1, Table 5",
          "scoring", (Part("direct", "joint"),), PRIMARY),
    Claim("C09", "joint training", "joint training ranks worse than training on rankings alone", "6.1, Table 5",
          "ranking", (Part("pairwise", "joint"),), PRIMARY),
    Claim("C10", "ensembling", "merging two direct experts makes scoring worse than one", "6.2, Table 6",
          "scoring, same format", (Part("direct", "direct+direct"),), PRIMARY),
    Claim("C11", "ensembling", "merging two pairwise experts makes ranking worse than one", "6.2, Table 6",
          "ranking, same format", (Part("pairwise", "pairwise+pairwise"),), PRIMARY),
    Claim("C12", "ensembling", "merging across formats scores better than merging direct experts", "6.2, Table 6",
          "scoring, same format", (Part(MERGED, "direct+direct"),), PRIMARY),
    Claim("C13", "ensembling", "merging across formats ranks better than merging pairwise experts", "6.2, Table 6",
          "ranking, same format", (Part(MERGED, "pairwise+pairwise"),), PRIMARY),
    Claim("C14", "transfer", "merging helps scoring more than it helps ranking", "6.1, 6.3",
          "gain", (Part("gain in scoring", "gain in ranking"),), PRIMARY, caution=_UNITS),
    Claim("C15", "transfer", "on the line between the experts, scoring is best at alpha 0.5", "6.3, Figure 3",
          "scoring, figure 3", _alphas(0.5), caution=_FLAT),
    Claim("C16", "transfer", "on the line between the experts, ranking is best at alpha 0.3", "6.3, Figure 3",
          "ranking, figure 3", _alphas(0.3), caution=_FLAT),
    Claim("C17", "methods", "DARE-linear scores best of six merges", "G, Table 17",
          "scoring, table 17", _against("dare-linear", METHODS)),
    Claim("C18", "methods", "task arithmetic as in equation 5 ranks best of six merges", "G, Table 17",
          "ranking, table 17", _against("task-arithmetic", METHODS), kind=CONSTRUCTION, why=_ONE.format("five")),
    Claim("C19", "methods", "task arithmetic with weights 1 and 1 ranks best of six merges", "G, Table 17",
          "ranking, table 17", _against("task-arithmetic-default", PLAIN_SUMS)),
    Claim("C20", "methods", "task arithmetic (1 and 1) leaves more pairwise decisions unreadable than linear merging",
          "G", "readable", (Part("linear", "task-arithmetic-default"),)),
    Claim("C21", "reference answer", "base and merged judge score better with the reference answer", "F, Table 16",
          "reference answer", _REFERENCE, caution="Table 16 has more judges; these two are those that are here"),
    Claim("C22", "reference answer", "the merged judge without reference beats the base model with it", "F, Table 16",
          "reference answer", _on_each(f"{MERGED}, {_WITHOUT}", f"base, {_WITH}", ("biggen_bench", "flask")),
          schooled=WEAK),
    Claim("C23", "consistency", "training makes repeated scores more consistent", "E, Table 14",
          "agreement of draws", _on_each(MERGED, "base", _UNSEEN), schooled=WEAK),
    Claim("C24", "consistency", "training makes pairwise decisions more transitive", "E, Table 15",
          "transitivity", (Part(MERGED, "base"),), schooled=WEAK),
    Claim("C25", "consistency", "the merged judge ranks better by decision than by its scores", "E, Table 13",
          "format gap", _on_each(f"{MERGED} by decision", f"{MERGED} by scores", _PAIRS)),
    Claim("C26", "coefficients", "judges keep their order under Kendall's tau", "C, Table 11",
          "order of the judges", (Part("Table 11", "no order"),), kind=CONSTRUCTION,
          why="the same judges, scores and raters: another coefficient of the same numbers hardly reorders them"),
    Claim("C27", "coefficients", "judges keep their order under Spearman's rho", "C, Table 12",
          "order of the judges", (Part("Table 12", "no order"),), kind=CONSTRUCTION,
          why="the same judges, scores and raters: another coefficient of the same numbers hardly reorders them"),
    Claim("C28", "transfer", "data of pairwise ranking helps scoring: alpha 0.5 beats the direct expert",
          "6.3, Figure 3", "scoring, figure 3", (Part("alpha 0.5", "alpha 1.0"),), PRIMARY),
    Claim("C29", "transfer", "data of direct assessment helps ranking: alpha 0.3 beats the pairwise expert",
          "6.3, Figure 3", "ranking, figure 3", (Part("alpha 0.3", "alpha 0.0"),), PRIMARY),
    Claim("C30", "transfer", "the best alpha is higher for scoring than for ranking", "6.3, Figure 3",
          "best alpha", (Part("best in scoring", "best in ranking"),), caution=_CUT_OFF),
    Claim("C31", "transfer", "the same over two pairs of experts: the best alpha is higher for scoring",
          "6.3, Figure 3", "best alpha, two runs", (Part("best in scoring", "best in ranking"),), caution=_CUT_OFF),
    Claim("C32", "methods", "DARE-linear is best of six merges on the average of both formats", "G, Table 17",
          "overall, table 17", _against("dare-linear", METHODS)),
    Claim("C33", "methods", "DARE-linear is best on both formats where sums have weights 1 and 1", "G, Table 17",
          "overall, table 17", _against("dare-linear-default", PLAIN_SUMS)),
    Claim("C34", "consistency", "the merged judge's formats differ less than the base model's", "E, Table 13",
          "size of the format gap", (Part("base", MERGED),), schooled=WEAK),
    Claim("C35", "main results", "the direct expert scores better than the base model", "6.1, Table 5",
          "scoring", (Part("direct", "base"),), schooled=WEAK),
    Claim("C36", "main results", "the pairwise expert ranks better than the base model", "6.1, Table 5",
          "ranking", (Part("pairwise", "base"),), schooled=WEAK),
    Claim("K01", "joint training", "merging against joint training on half of the examples, in scoring", "",
          "scoring", (Part(MERGED, "joint-half"),), kind=CONTROL, why="is it the length of joint training that hurts?"),
    Claim("K02", "joint training", "merging against joint training on half of the examples, in ranking", "",
          "ranking", (Part(MERGED, "joint-half"),), kind=CONTROL, why="is it the length of joint training that hurts?"),
    Claim("K03", "ensembling", "the direct expert against the same with another seed", "",
          "scoring", (Part("direct", "direct-seed2"),), kind=CONTROL, why="the luck of one training run"),
    Claim("K04", "ensembling", "the pairwise expert against the same with another seed", "",
          "ranking", (Part("pairwise", "pairwise-seed2"),), kind=CONTROL, why="the luck of one training run"),
    Claim("N01", "main results", "higher correlations than every other open judge, by 0.2", "abstract, 5.1",
          kind=NOT_HERE, why="needs Llama-2, Prometheus and Auto-J as judges on the paper's items"),
    Claim("N02", "main results", "the gap to GPT-4 is halved", "1, 5.1, 5.2", kind=NOT_HERE,
          why="needs GPT-4's own judgments as a competitor"),
    Claim("N03", "consistency", "smaller gaps between the formats than other judges", "E, Table 13", kind=NOT_HERE,
          why="needs those judges; against the base model it is C34"),
    Claim("N04", "consistency", "larger base models are more consistent", "E, Table 14", kind=NOT_HERE,
          why="one size of base model per scale"),
    Claim("N05", "consistency", "transitivity is on a par with GPT-4", "E, Table 15", kind=NOT_HERE,
          why="needs GPT-4's decisions, and a margin, which the paper does not state"),
    Claim("N06", "main results", "models that were not trained often give no readable decision", "3.4", kind=NOT_HERE,
          why="the miniature's base model knows the form of both answers; of a real one notebook 05 counts them"),
    Claim("N07", "main results", "strong raters agree with each other, weak judges do not agree with them",
          "5.1, Figure 1", kind=NOT_HERE, why="in the miniature the raters agree because they were made so"),
    Claim("N08", "data", "people find the new feedback coherent, suitable and critical", "A, Table 7", kind=NOT_HERE,
          why="a study with five annotators"),
)  # fmt: skip


def claim_named(id: str) -> Claim:
    """Return the claim with this id; KeyError names the ids there are.

    >>> claim_named("C03").text
    'merging scores better than joint training'
    """
    known = {claim.id: claim for claim in CLAIMS}
    if id not in known:
        raise KeyError(f"no claim {id!r}; there are {', '.join(known)}")
    return known[id]


def claims_about(topic: str = "", format: str = "") -> list[Claim]:
    """Return the claims that can be tested, of one topic and of one format ("direct", "pairwise", "both").

    >>> [claim.id for claim in claims_about("ensembling", "direct")]
    ['C10', 'C12', 'K03']
    """
    tested = [claim for claim in CLAIMS if claim.parts]
    chosen = [claim for claim in tested if topic in ("", claim.topic)]
    return [claim for claim in chosen if format in ("", MEASURES[claim.measure].format)]
