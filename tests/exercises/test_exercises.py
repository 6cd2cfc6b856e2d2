"""The exercises: every solution passes its checker, likely mistakes are told, and no notebook shows an answer."""

from __future__ import annotations

import ast
import json
import math
import runpy

import numpy as np
import pytest

from prometheus_lib import exercises
from prometheus_lib.artifacts import project_folder

NOTEBOOKS = project_folder() / "notebooks"
SOLUTIONS = {path.stem: path for path in sorted((NOTEBOOKS / "solutions").glob("*.py"))}
TOPICS = {stem: stem[3:] for stem, path in SOLUTIONS.items() if "\nwarm_up = " in path.read_text()}


@pytest.mark.parametrize("stem", TOPICS)
@pytest.mark.parametrize("kind", ["warm_up", "build", "project"])
def test_a_solution_passes(stem, kind, capsys):
    found = exercises.attempt(f"{TOPICS[stem]}.{kind}", runpy.run_path(str(SOLUTIONS[stem]))[kind])
    assert found is True, capsys.readouterr().out


@pytest.mark.parametrize("stem", TOPICS)
def test_a_notebook_has_the_three_kinds_and_shows_no_answer(stem):
    cells = json.loads((NOTEBOOKS / f"{stem}.ipynb").read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    for kind in ("warm_up", "build", "project"):
        assert f'attempt("{TOPICS[stem]}.{kind}", ' in code
    assigned = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Assign)]
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    tried = [call.args[1].id for call in calls if isinstance(call.func, ast.Name) and call.func.id == "attempt"]
    given = [
        node.value for node in assigned for name in node.targets if isinstance(name, ast.Name) and name.id in tried
    ]
    assert len(given) >= 3 and all(isinstance(value, ast.Constant) and value.value is None for value in given)


def keeps_ties(scores):
    return [(w, b) for w in range(len(scores)) for b in range(len(scores)) if w != b and scores[w] <= scores[b]]


def in_order(scores):
    return [(w, b) for w in range(len(scores)) for b in range(w + 1, len(scores)) if scores[w] != scores[b]]


def average(models, weights):
    return {name: sum(w * m[name] for w, m in zip(weights, models, strict=False)) for name in models[0]}


def in_place(models, weights):
    for name in models[0]:
        models[0][name] *= 0.5
        models[0][name] += 0.5 * models[1][name]
    return models[0]


def careless(text):
    digits = [int(each) for each in text if each in "12345"]
    return digits[0] if digits else None


def split_rows(rows, share):
    return rows[int(share * len(rows)) :], rows[: int(share * len(rows))]


def prompt_too(prompt, answer, end, limit):
    return [*prompt, *answer, end], [*prompt, *answer, end]


def cut(prompt, answer, end, limit):
    ids = [*prompt, *answer, end]
    return ids[:limit], ([-100] * len(prompt) + ids[len(prompt) :])[:limit]


def every_line(wanted, text):
    there = [json.loads(line)["key"] for line in text.splitlines()]
    return [key for key in wanted if key not in there]


def substring(wanted, text):
    return [key for key in wanted if f'"{key}"' not in text]


def all_pairs(x, y):
    known = [(a, b) for a, b in zip(x, y, strict=True) if a is not None and b is not None]
    pairs = [(p, q) for n, p in enumerate(known) for q in known[n + 1 :]]
    signs = [np.sign(p[0] - q[0]) * np.sign(p[1] - q[1]) for p, q in pairs]
    return float(sum(signs) / len(signs)) if signs else math.nan


def single_responses(x, y, prompts):
    rng, x, y = np.random.default_rng(0), np.array(x), np.array(y)
    drawn = rng.integers(len(x), size=(2000, len(x)))
    return tuple(np.quantile([np.corrcoef(x[row], y[row])[0, 1] for row in drawn], [0.025, 0.975]))


def unmapped(first, second):
    alike = [a == b for a, b in zip(first, second, strict=True)]
    return sum(alike) / len(alike), 0.5


def bonferroni(p_values):
    return [min(1.0, p * len(p_values)) for p in p_values]


def every_combination(point, knobs):
    cells = [dict(point)]
    for knob, values in knobs.items():
        cells += [{**cell, knob: value} for cell in cells for value in values if value != point[knob]]
    return cells


LIKELY = [
    ("direct_assessment.warm_up", 0.4, "turned round"),
    ("direct_assessment.build", all_pairs, "geometric"),
    ("direct_assessment.project", single_responses, "Draw prompts"),
    ("pairwise_ranking.warm_up", 62.5, "half a point"),
    ("pairwise_ranking.build", lambda said, labels, ties: sum(map(str.__eq__, said, labels)) / len(said), "raises"),
    ("pairwise_ranking.project", unmapped, "without a lean"),
    ("consistency.warm_up", 0.75, "equal by chance"),
    ("consistency.build", lambda decisions: int(len(decisions) == 3), "order is no circle"),
    ("consistency.project", lambda draws: 1.0, "the square of what lies between"),
    ("merging_analyses.warm_up", 0.3, "direct expert's"),
    ("merging_analyses.build", bonferroni, "the other once"),
    ("merging_analyses.project", lambda runs: float(np.ptp([v for each in runs.values() for v in each])), "t is 12.7"),
    ("paper_report.warm_up", 76.47, "groups add up"),
    (
        "paper_report.build",
        lambda printed, least, most: [n for n in range(least, most + 1) if n % 3 == 0],
        "even number",
    ),
    ("paper_report.project", lambda table, decimals: list(table.index), "0.57 is not"),
    ("when_does_merging_help.warm_up", 0.98, "four degrees"),
    ("when_does_merging_help.build", lambda results, one, other: (2.0, 0.0, 4.0), "4.303"),
    ("when_does_merging_help.project", every_combination, "not every combination"),
    ("judge_your_own.warm_up", 8, "it begins at 1"),
    ("judge_your_own.build", lambda said: said.count("B") / len(said), "divide by what was read"),
    ("judge_your_own.project", lambda ids, k, seed: ids[:k], "not the first five"),
    ("judge_your_own.project", lambda ids, k, seed: ids[len(ids) - k :], "raise"),
    ("start_here.warm_up", 0.992, "share that has a decision"),
    ("start_here.build", careless, "A number in the feedback is no decision"),
    ("start_here.build", lambda text: int(text.split("[RESULT]")[1]), "last marker"),
    ("start_here.build", lambda text: int(text.rpartition("[RESULT]")[2].split("/")[0]), "Another scale"),
    ("start_here.project", lambda criteria, reference, response: 3, "begins at 1"),
    ("feedback_collection.warm_up", 3, "begins at 1"),
    ("feedback_collection.build", split_rows, "never stand on both sides"),
    ("feedback_collection.build", lambda rows, share: (rows, []), "none gets lost"),
    ("feedback_collection.project", lambda rows: set(), "fives are gone"),
    ("feedback_collection.project", lambda rows: {"scores"}, "too strict"),
    ("preference_collection.warm_up", 0.4, "neighbours"),
    ("preference_collection.build", keeps_ties, "Equal scores are no pair"),
    ("preference_collection.build", in_order, "worse comes first"),
    ("preference_collection.build", lambda scores: [], "Each pair once"),
    ("preference_collection.project", lambda pairs, seed: ["AB"[n % 2] for n in range(len(pairs))], "each gap"),
    ("preference_collection.project", lambda pairs, seed: ["A"] * len(pairs), "equally frequent"),
    ("train_experts.warm_up", 50_000, "all eight"),
    ("train_experts.build", prompt_too, "the prompt carries -100"),
    ("train_experts.build", cut, "lose its decision"),
    ("train_experts.project", lambda steps, peak: [peak * min(1, 10 * n / steps) for n in range(steps)], "Half way"),
    ("merge_experts.warm_up", 2, "other way round"),
    ("merge_experts.build", average, "divide by their sum"),
    ("merge_experts.build", in_place, "work on a copy"),
    ("merge_experts.project", lambda models, loss: min(models, key=loss), "take both"),
    ("merge_experts.project", lambda models, loss: float(np.mean(models)), "leave out what harms"),
    ("collect_judgments.warm_up", "A", "Which response of the item"),
    ("collect_judgments.build", every_line, "half a line"),
    ("collect_judgments.build", substring, "judged once"),
    ("collect_judgments.project", lambda rows: {"x": (2 / 3, 0.2, 0.9)}, "First attempts only"),
]


@pytest.mark.parametrize(("name", "answer", "telling"), LIKELY)
def test_a_likely_mistake_is_told(name, answer, telling, capsys):
    assert exercises.attempt(name, answer) is False
    assert telling in capsys.readouterr().out


def test_nothing_given_is_not_wrong_and_a_call_is_not_a_function(capsys):
    assert exercises.attempt("start_here.build", None) is None
    assert exercises.attempt("start_here.build", 4) is False
    assert "without calling it" in capsys.readouterr().out
    with pytest.raises(ValueError, match="no exercise"):
        exercises.attempt("start_here.nothing", 1)


def test_values_are_compared_part_by_part():
    assert exercises.same({"a": np.array([1.0, math.nan])}, {"a": [1, math.nan]})
    assert not exercises.same([1, 2], [1, 2, 3]) and not exercises.same("4", 4) and not exercises.same(None, 0)
    assert not exercises.same({"a": 1}, {"b": 1}) and exercises.same((1, "x"), [1, "x"])
