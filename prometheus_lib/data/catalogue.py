"""The paper's benchmarks by name: what tables call them, and in which part of the paper each one takes part.

The order of `CATALOGUE` is the order of columns in tables. How a benchmark's rows are read from files is in
`benchmarks`, its counterpart in the miniature world in `minibench`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Benchmark:
    """One benchmark: the name of its file, its title, its format and what it is used for.

    `main` marks the eight of Tables 3 and 4, `released` those whose real items can be had without a login, `runs`
    those on which second runs of the merging experiments are judged (judging costs most).
    """

    name: str
    title: str
    format: str
    main: bool = True
    ties: bool = False
    consistency: bool = False
    released: bool = False
    runs: bool = True


CATALOGUE = (
    Benchmark("vicuna_bench", "Vicuna Bench", "direct", released=True),
    Benchmark("mt_bench", "MT Bench", "direct", released=True),
    Benchmark("flask", "FLASK", "direct", runs=False),
    Benchmark("feedback_bench", "Feedback Bench", "direct", runs=False),
    Benchmark("hhh_alignment", "HHH Alignment", "pairwise", consistency=True, released=True),
    Benchmark("mt_bench_human", "MT Bench Human", "pairwise", ties=True, consistency=True),
    Benchmark("autoj_eval", "Auto-J Eval", "pairwise", ties=True, consistency=True, released=True),
    Benchmark("preference_bench", "Preference Bench", "pairwise", runs=False),
    Benchmark("biggen_bench", "BiGGen Bench", "direct", main=False, runs=False),
)
TITLES = {benchmark.name: benchmark.title for benchmark in CATALOGUE}
BENCHMARKS = tuple(TITLES)
DIRECT_BENCHMARKS = tuple(b.name for b in CATALOGUE if b.main and b.format == "direct")  # Table 3
PAIR_BENCHMARKS = tuple(b.name for b in CATALOGUE if b.main and b.format == "pairwise")  # Table 4
UNSEEN_BENCHMARKS = (*DIRECT_BENCHMARKS[:3], *PAIR_BENCHMARKS[:3])  # Tables 5 and 6 leave the training domain out
TIE_BENCHMARKS = tuple(b.name for b in CATALOGUE if b.ties)
CONSISTENCY_BENCHMARKS = tuple(b.name for b in CATALOGUE if b.consistency)  # Table 13
REAL_NAMES = tuple(b.name for b in CATALOGUE if b.released)
SEED_BENCHMARKS = tuple(b.name for b in CATALOGUE if b.runs)
REFERENCE_BENCHMARKS = ("biggen_bench", "flask")  # with and without a reference answer, in Table 16's order
