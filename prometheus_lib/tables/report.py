"""The report of a run as Markdown: two pages with what came out, and the wide tables in a file of their own.

Everything is written from the ledger of claims and the run's tables, so no sentence can say what the numbers do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..metrics import FEWEST_CLUSTERS, TOO_FEW, Interval
from ..paper import MEASURES, claim_named
from ..paper.claims import CLAIM, CLAIMS, NOT_HERE
from ..paper.findings import audit_findings
from .claim_evidence import average_measure, judge_over_runs, rests_on_truth
from .claims import HOLDS, NOT_MEASURED, NOT_TESTED, ONE_RUN, OPEN, OUTCOMES, UNDECIDED, lacking, verdict_of
from .files import plain
from .limits import UNSEEN, against_blind, limit_average, told_blind, told_rubric
from .measures import RESEARCH_DIRECT, RESEARCH_PAIR
from .registry import ENTRIES, file_name
from .rows import BLIND, CEILINGS
from .run import Run

QUESTIONS = {  # the claims behind each finding
    "Merging against joint training": ("C03", "C04"),
    "Merging against the experts": ("C05", "C06"),
    "Merging within one format": ("C10", "C11", "C12", "C13"),
    "One format's data for the other": ("C28", "C29", "C30"),
    "Which way to merge": ("C17", "C32", "C20"),
}
AROUND = {"reads all, ignores the rubric": (BLIND,), "oracle: the most that can be known": CEILINGS}
LIMITS = (
    "Numbers of this run and of the paper are different measurements: other judges, other items, other raters. A claim "
    "that fails here is not refuted; it is no law of merging.",
    "An interval over instructions knows nothing of the luck of training. Three seeds know their own spread badly: "
    "in simulations the two-way intervals hold the true value in 93 to 97 of 100 cases (notebook 10).",
    "Claims with one training run, such as those on merge methods and alpha, speak of these experts alone.",
    "Reasons for failures are guesses that were written before the results.",
)


# --- what came out ---------------------------------------------------------------------------------------------------


def verdict_counts(ledger: pd.DataFrame) -> pd.Series:
    """Return how many claims (no checks, no controls) got each verdict.

    >>> from prometheus_lib.tables import claims, example_run
    >>> int(verdict_counts(claims.ledger(example_run()))["reproduced"])
    0
    """
    return ledger.loc[ledger["kind"] == CLAIM, "verdict"].value_counts().reindex(list(OUTCOMES), fill_value=0)


def findings(ledger: pd.DataFrame) -> dict[str, str]:
    """Return the five findings of a ledger as {question: sentences}.

    >>> from prometheus_lib.tables import claims, example_run
    >>> found = findings(claims.ledger(example_run()))
    >>> list(found)[0], found["Merging within one format"]
    ('Merging against joint training', 'Not measured in this run.')
    """
    found = {title: [ledger.loc[id] for id in ids] for title, ids in QUESTIONS.items()}
    kept = {title: [_sentence(row) for row in rows if row["this run"] != NOT_MEASURED] for title, rows in found.items()}
    return {title: " ".join(sentences) or "Not measured in this run." for title, sentences in kept.items()}


def claim_text(row: pd.Series) -> str:
    """Return a claim of the ledger as a sentence begins: "Merging scores better than joint training"."""
    return row["claim"][0].upper() + row["claim"][1:]


def _sentence(row: pd.Series) -> str:
    """One claim in words: "Merging scores better than joint training: **not reproduced** (-11.6 [-19.0, -4.3])."."""
    seeds = "" if row["over training runs"] == ONE_RUN else f"; over training runs: {row['over training runs']}"
    unit = " in alpha" if MEASURES[claim_named(row.name).measure].unit == "alpha" else ""
    return f"{claim_text(row)}: **{row['verdict']}** ({row['this run']}{unit}{seeds})."


def summary(run: Run, ledger: pd.DataFrame, evidence: pd.DataFrame, worlds: Sequence[str] = ()) -> str:
    """Return what came out as Markdown: the main judges, the five findings, the verdicts counted, and other worlds.

    worlds: what `worlds.agreements` says.

    >>> from prometheus_lib.tables import claims, example_run
    >>> text = summary(example_run(), claims.ledger(example_run()), claims.evidence_table(example_run()))
    >>> text.splitlines()[0]
    '| judge | exact scores, % | pairs right, % |'
    """
    lines = [f"- **{title}.** {text}" for title, text in findings(ledger).items()]
    if rubric := " ".join(filter(None, (*(told_blind(against_blind(run), f) for f in UNSEEN), told_rubric(run)))):
        lines.append(f"- **Do judges read the rubric?** {rubric}")
    others = [f"- **In other worlds.** {' '.join(worlds)}"] if worlds else []
    return "\n".join([judges_table(run), "", *lines, f"- {counted(ledger, evidence)}", *others])


def in_short(run: Run, ledger: pd.DataFrame, evidence: pd.DataFrame) -> str:
    """Return what the main judges reach and how the claims came out, without the findings, as Markdown.

    >>> from prometheus_lib.tables import claims, example_run
    >>> text = in_short(example_run(), claims.ledger(example_run()), claims.evidence_table(example_run()))
    >>> text.splitlines()[-1].split(":")[0]
    'Of 24 claims 0 could be put to a test'
    """
    return f"{judges_table(run)}\n\n{counted(ledger, evidence)}"


def counted(ledger: pd.DataFrame, evidence: pd.DataFrame) -> str:
    """Return how the claims came out, over training runs too, and how they would by the raters alone."""
    claimed = ledger[ledger["kind"] == CLAIM]
    why = untested(claimed, evidence)
    counts = ", ".join(f"{count} {name}" for name, count in verdict_counts(ledger).items() if name != NOT_TESTED)
    seeds = claimed.loc[claimed["over training runs"] != ONE_RUN, "over training runs"]
    rated = evidence.groupby("claim")["rated shown"].agg("".join)
    by_raters = [verdict_of(claim_named(id), rated[id]) for id in claimed.index]
    open_ = (UNDECIDED, NOT_TESTED)
    decided = [sum(verdict not in open_ for verdict in verdicts) for verdicts in (claimed["verdict"], by_raters)]
    could = f"{len(claimed) - len(why)} could be put" if len(why) else "put"
    text = f"Of {len(claimed)} claims {could} to a test: {counts}."
    if len(why):
        text += f" The others: {', '.join(f'{count} {reason}' for reason, count in why.value_counts().items())}."
    if len(seeds):
        text += f" {len(seeds)} were tested over training runs: {(seeds == HOLDS).sum()} verdicts hold, "
        text += f"{(seeds == OPEN).sum()} stay open."
    if (evidence["rated"].dropna() != evidence.loc[evidence["rated"].notna(), "difference"]).any():
        text += f" The truth decides {decided[0]} of them; the raters' noisy labels alone would decide {decided[1]}."
    return text


def untested(claimed: pd.DataFrame, evidence: pd.DataFrame) -> pd.Series:
    """Return why claims of a ledger are not tested, by their ids: what the run lacks for them.

    >>> claimed = pd.DataFrame({"verdict": ["not tested", "undecided"]}, index=["C01", "C02"])
    >>> parts = pd.DataFrame({"claim": ["C01", "C02"], "difference": [3.0, 3.0], "clusters": [3, 80]})
    >>> untested(claimed, parts).to_dict()
    {'C01': 'on fewer than 10 instructions'}
    """
    left = claimed.index[claimed["verdict"] == NOT_TESTED]
    reasons = pd.Series({id: lacking(evidence[evidence["claim"] == id]) for id in left}, dtype=object)
    return reasons.replace(TOO_FEW, f"on fewer than {FEWEST_CLUSTERS} instructions")


def judges_table(run: Run) -> str:
    """Return what the main judges reach on the unseen benchmarks of each format, with 95 % intervals, as Markdown.

    Where a kind of judge was trained several times the means over its training runs, as in the claims. Where the truth
    is known, what stands around them: whoever reads everything but the rubric, and the oracle.
    """
    heads = [average_measure(run, format) for format in UNSEEN]
    lines = [f"| judge | {heads[0]} | {heads[1]} |", "|---|---|---|"]
    for judge in run.scale.main_judges:
        cells = [
            _reached(run, judge, names, places)
            for names, places in ((RESEARCH_DIRECT, 1 if rests_on_truth(run) else 3), (RESEARCH_PAIR, 1))
        ]
        lines.append(f"| {judge}{' (**merged**)' if judge == run.scale.merged_judge else ''} | {' | '.join(cells)} |")
    for title, rows in AROUND.items():
        found = [limit_average(run, rows, names) for names in UNSEEN.values()]
        if rests_on_truth(run) and None not in found:
            lines.append(f"| *{title}* | {' | '.join(_shown(each, 1) for each in found)} |")
    return "\n".join(lines)


def _reached(run: Run, judge: str, names: Sequence[str], places: int) -> str:
    """What a judge reaches on average, over its training runs, in words where there is nothing to count."""
    found = judge_over_runs(run, judge, names)
    if found is None:
        return "-"
    return "no answer readable" if _unreadable(run, judge, names) else _shown(found, places)


def _shown(found: Interval, places: int) -> str:
    if np.isnan(found.estimate):
        return "too few readable"
    if found.n_clusters < FEWEST_CLUSTERS:
        return f"{found.estimate:.{places}f}, from {found.n_clusters} instructions up"
    return f"{found.estimate:.{places}f} [{found.low:.{places}f}, {found.high:.{places}f}]"


def _unreadable(run: Run, judge: str, names: Sequence[str]) -> bool:
    known = [run.scale.benchmark_name(name) for name in names]
    answers = run.judgments[(run.judgments["judge"] == judge) & run.judgments["benchmark"].isin(known)]
    formats = answers["format"] == ("direct" if names == RESEARCH_DIRECT else "pairwise")
    return answers.loc[formats, "decision"].isna().all()


# --- two pages -------------------------------------------------------------------------------------------------------


def report(
    run: Run,
    ledger: pd.DataFrame,
    evidence: pd.DataFrame,
    left_out: Iterable[str] = (),
    worlds: Sequence[str] = (),
) -> str:
    """Return the report of a run: five findings, the ledger as a picture and in lines, the audit, limits and links.

    worlds: what `worlds.agreements` says; the table itself stands with the wide ones.

    >>> from prometheus_lib.tables import claims, example_run
    >>> text = report(example_run(), claims.ledger(example_run()), claims.evidence_table(example_run()))
    >>> [line for line in text.splitlines() if line.startswith("## ")][0], len(text.splitlines()) < 130
    ('## Contents', True)
    """
    tested = ledger[ledger["kind"] == CLAIM]
    others = ledger[ledger["kind"] != CLAIM]
    missing = [f"- {line}" for line in left_out]
    sections = {
        "What came out": summary(run, ledger, evidence, worlds),
        "The ledger as a picture": "![ledger of claims](figures/10_ledger.png)",
        "One line for each claim": as_markdown(claim_lines(tested)),
        "Checks, controls, settled by construction": as_markdown(claim_lines(others)),
        "The audit: what arithmetic finds in the paper's own tables": "\n".join(
            f"{number}. **{title}.** {text}" for number, (title, text) in enumerate(audit_findings().items(), 1)
        ),
        "Limits": "\n".join(f"- {line}" for line in (*LIMITS, *_not_here())),
        "Where the rest is": "\n".join((*_LINKS, *(["", "Left out:", "", *missing] if missing else []))),
    }
    return _document(f"Prometheus 2, scale {run.scale.name}: ours beside the paper's", sections)


_LINKS = (
    "- [all tables](tables/README.md), their numbers with n and intervals in [tables](tables/)",
    "- [figures](figures/), [numbers of each notebook](metrics/), [executed notebooks](notebooks/)",
)


def claim_lines(ledger: pd.DataFrame) -> pd.DataFrame:
    """Return one short row per claim: claim, paper, ours, verdict, why.

    >>> from prometheus_lib.tables import claims, example_run
    >>> claim_lines(claims.ledger(example_run())).loc["C03", "paper"]
    '+13.9'
    """
    rows = {
        id: {
            "claim": f"{row['claim']} ({row['where']})" if row["where"] else row["claim"],
            "paper": "-" if pd.isna(row["printed"]) else f"{row['printed']:+.1f}",
            "ours": row["this run"],
            "verdict": row["verdict"],
            "over runs": row["over training runs"],
            "why": row["likely reason"] or row["note"] or _more(row),
        }
        for id, row in ledger.iterrows()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("id")


def _more(row: pd.Series) -> str:
    if row["over training runs"] == OPEN:
        return "more training runs are needed"
    if pd.isna(row["more needed"]):
        return ""
    return f"were the difference as large as it looks, about {row['more needed']:,} more judgments of each would tell"


def _not_here() -> list[str]:
    count = sum(claim.kind == NOT_HERE for claim in CLAIMS)
    return [f"{count} more claims of the paper need judges, raters or people that are not here (notebook's list)."]


def _document(title: str, sections: Mapping[str, str]) -> str:
    contents = "\n".join(f"- [{name}](#{_anchor(name)})" for name in sections)
    body = "".join(f"\n## {name}\n\n{text}\n" for name, text in sections.items())
    return f"# {title}\n\n## Contents\n\n{contents}\n{body}"


def _anchor(name: str) -> str:
    """A heading's anchor on a code host."""
    return "".join(c for c in name.lower().replace(" ", "-") if c.isalnum() or c == "-")


# --- the wide tables -------------------------------------------------------------------------------------------------


def tables_page(folder: str | Path, more: Mapping[str, pd.DataFrame]) -> str:
    """Return all stored tables of a folder in one page, then further frames by their title.

    >>> tables_page("no such folder", {"Orders": pd.DataFrame({"rho": [1.0]})}).splitlines()[0]
    '# All tables'
    """
    sections = {name: as_markdown(frame) for name, frame in more.items()}
    for number in ENTRIES:
        path = Path(folder) / f"{file_name(number)}.md"
        if path.is_file():
            title, _, text = path.read_text(encoding="utf-8").strip().partition("\n")
            sections[title.removeprefix("# ")] = f"{text.strip()}\n\nNumbers: [{path.stem}.csv]({path.stem}.csv)"
    return _document("All tables", sections)


def as_markdown(frame: pd.DataFrame) -> str:
    """Return a frame as a Markdown table, "-" where there is nothing; bars in names are escaped.

    >>> as_markdown(pd.DataFrame({"a|b": [None]}, index=pd.Index(["x"], name="row"))).splitlines()[0]
    '| row   | a\\\\|b   |'
    """
    flat = plain(frame.reset_index(), 2).map(lambda text: text.replace("|", r"\|") or "-")
    flat.columns = [str(name).replace("|", r"\|") for name in flat.columns]
    return flat.to_markdown(index=False, disable_numparse=True)
