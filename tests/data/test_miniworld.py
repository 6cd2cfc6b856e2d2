"""The miniature world: the rubric decides, the collections are balanced, the benchmarks stay apart from training."""

from __future__ import annotations

import random

import pytest

from prometheus_lib import data
from prometheus_lib.data import minibench, miniworld
from prometheus_lib.data.miniworld import SEEN, UNSEEN, Noise
from prometheus_lib.metrics import correlations
from prometheus_lib.records import DataError, item_from_row


def test_words_are_unambiguous():
    plain = [value for values in miniworld.VALUES.values() for value in values]
    everyday = [word for values in miniworld.VALUES.values() for words in values.values() for word in words]
    assert len(set(plain + everyday)) == len(plain + everyday)
    assert not set(miniworld.NOUNS) & set(miniworld.UNSEEN_NOUNS)


def test_the_rubric_decides_the_score():
    rng = random.Random(3)
    family = miniworld.draw_family(rng, SEEN)
    others = [a for a in family.task.facts if a not in family.details]
    answer = miniworld.draw_answer(rng, family.task, SEEN, right=others)
    assert miniworld.true_score(family.task, answer, family.details) == 1
    assert miniworld.true_score(family.task, answer, [*others, *family.details[:2]]) == 3


def test_graded_answers_earn_their_scores():
    for family in miniworld.families(5, 50):
        scores = [miniworld.true_score(family.task, answer, family.details) for answer in family.answers]
        assert scores == [1, 2, 3, 4, 5]


def test_counting_right_facts_without_reading_the_rubric_judges_badly():
    pairs = [
        (sum(answer.values[a] == family.task.facts[a] for a in family.task.facts), score)
        for family in miniworld.families(9, 400)
        for score, answer in enumerate(family.answers, start=1)
    ]
    blind = correlations([count for count, _ in pairs], [score for _, score in pairs]).pearson
    assert 0.6 < blind < 0.8  # by calculation 1 / sqrt(2)


def test_vague_words_fit_two_values_and_only_the_reference_tells():
    for attribute, by_word in miniworld.VAGUE.items():
        fitting = [value for values in by_word.values() for value in values]
        assert sorted(fitting) == sorted(miniworld.VALUES[attribute])
    families = list(miniworld.families(2, 300))
    vague = [(f, a) for f in families for a, word in f.task.words.items() if word in miniworld.VAGUE[a]]
    assert abs(len(vague) / (300 * miniworld.FACTS_PER_TASK) - miniworld.VAGUE_SHARE) < 0.04
    assert all(f.task.facts[a] in f.reference for f, a in vague)


def test_feedback_quotes_what_it_judges():
    rng = random.Random(0)
    family = miniworld.draw_family(rng, SEEN)
    answer = family.answers[2]
    feedback, score = miniworld.judge_direct(rng, family.task, answer, family.details, Noise())
    assert score == 3 and feedback.count("which is right") == 2
    for detail in family.details:
        assert f"The {detail} given is {answer.words[detail]} and the one asked for is {family.task.facts[detail]}" in (
            feedback
        )


def test_noise_makes_writers_slip():
    rng = random.Random(0)
    family = miniworld.draw_family(rng, SEEN)
    scores = [
        miniworld.judge_direct(rng, family.task, family.answers[4], family.details, Noise(0.0, 0.5))[1]
        for _ in range(400)
    ]
    assert 0.5 < scores.count(5) / 400 < 0.7  # one half, plus a fifth of the random half


def test_generation_depends_on_the_seed_only():
    assert data.feedback_rows(1, 6) == data.feedback_rows(1, 6)
    assert data.feedback_rows(1, 6)[:20] == data.feedback_rows(1, 4)[:20]
    assert data.feedback_rows(1, 6) != data.feedback_rows(2, 6)


def test_collections_have_the_published_shape():
    feedback, preference = data.feedback_rows(1, 40), data.preference_rows(1, 40)
    assert len(feedback) == 5 * 40 and len(preference) == 10 * 40
    assert [sum(row["orig_score"] == str(s) for row in feedback) for s in range(1, 6)] == [40] * 5
    assert sum(row["orig_preference"] == "A" for row in preference) == 200
    assert set(feedback[0]) == set(data.FEEDBACK_FIELDS)
    assert set(preference[0]) == set(data.PREFERENCE_FIELDS)
    shared = {row["orig_instruction"] for row in feedback}
    assert shared == {row["orig_instruction"] for row in preference}


def test_field_names_are_those_of_the_real_collections(data_dir):
    import json

    rows = json.loads((data_dir / "feedback_collection_samples" / "readme_rows.json").read_text(encoding="utf-8"))
    training = [entry["row"] for entry in rows if entry["kind"] == "train"]
    assert [set(row) for row in training] == [set(data.FEEDBACK_FIELDS), set(data.PREFERENCE_FIELDS)]
    assert all(isinstance(value, str) for row in training for value in row.values())
    data.check_rows(training[:1], data.FEEDBACK_FIELDS, "sample")


def test_missing_fields_name_file_and_row():
    rows = data.feedback_rows(1, 1)
    del rows[3]["orig_criteria"]
    with pytest.raises(DataError, match=r"some\.jsonl, row 4.*orig_criteria"):
        data.check_rows(rows, data.FEEDBACK_FIELDS, "some.jsonl")


@pytest.mark.parametrize("name", list(minibench.MINIATURES))
def test_benchmarks_rebuild_and_keep_their_domain(name):
    items = minibench.build(name, 42)
    assert items == minibench.build(name, 42)
    assert len({item.id for item in items}) == len(items)
    benchmark = minibench.MINIATURES[name]
    assert len(items) == benchmark.instructions * benchmark.per_instruction
    combinations = {frozenset(c) for c in UNSEEN.combinations}
    in_domain = benchmark.domain is SEEN
    for item in items:
        details = miniworld.details_of(item.rubric)
        assert (frozenset(details) in combinations) != in_domain
        noun = item.instruction.split(":")[0].rsplit(" ", 1)[1]
        assert noun in (miniworld.NOUNS if in_domain else miniworld.UNSEEN_NOUNS)


def test_benchmark_instructions_never_occur_in_training():
    trained = {row["orig_instruction"] for row in data.feedback_rows(42, 800)}
    for name in minibench.MINIATURES:
        assert not trained & {item.instruction for item in minibench.build(name, 42)}


@pytest.mark.parametrize("name", [n for n, b in minibench.MINIATURES.items() if b.format == "pairwise"])
def test_pairs_are_balanced_and_tied_where_the_paper_has_ties(name):
    items = minibench.build(name, 42)
    labels = [item.label for item in items]
    assert ("tie" in labels) == minibench.MINIATURES[name].ties
    if not minibench.MINIATURES[name].ties:
        assert abs(labels.count("A") - labels.count("B")) <= 1
    assert 0.75 < minibench.ceiling(items)["accuracy"] <= 1.0


def test_hhh_has_groups_of_the_papers_sizes_and_a_part_of_it_has_all():
    groups = [item.group for item in minibench.build("mini_hhh_alignment", 42)]
    assert {group: groups.count(group) for group in minibench.HHH_GROUPS} == minibench.HHH_SIZES
    assert {item.group for item in minibench.build("mini_hhh_alignment", 42, 0.1)} == set(minibench.HHH_GROUPS)


def test_items_survive_their_file(tmp_path):
    from prometheus_lib.records import read_items, write_items

    for name in minibench.MINIATURES:
        items = minibench.build(name, 42, 0.2)
        assert read_items(write_items(tmp_path / f"{name}.jsonl", items)) == items


def test_unknown_item_fields_are_refused():
    with pytest.raises(DataError, match="line 3.*unknown fields.*colour"):
        item_from_row({"id": "1", "colour": "red"}, "file, line 3")
