"""A scale is a short file: ours are whole, one's own works like ours, and each mistake is named with its place."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from prometheus_lib import pipeline
from prometheus_lib.records import DataError
from prometheus_lib.scale import SCALES, load_scale, reading, scale_file, stored_scale
from prometheus_lib.tables import claim_numbers

MINE = 'like = "mini"\nrows = 50\n'


def write(folder: Path, text: str, name: str = "mine") -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_every_file_is_a_scale_and_every_scale_a_short_file():
    files = {file.stem: file for file in reading.HERE.glob("*.toml")}
    assert set(files) == set(SCALES)
    for name, file in files.items():
        assert load_scale(name).name == name and len(file.read_text().splitlines()) <= 60


def test_numbers_that_runs_were_made_with_are_kept():
    """Stamps of experts hold them: another number trains again."""
    mini, paper, mixtral = map(load_scale, ("mini", "7b", "8x7b"))
    assert mini.training.deciding() == {
        "learning_rate": 5e-4, "batch_size": 32, "max_length": 512, "epochs": 1.0, "warmup": 0.1, "schedule": "cosine",
        "bf16": False, "gradient_checkpointing": False, "use_cpu": True, "weight_decay": 0.0, "adam_beta2": 0.98,
        "lora": None,
    }  # fmt: skip
    assert [expert.examples for expert in paper.experts] == [None] * 5 + [0.5]
    assert (paper.training.learning_rate, paper.decoding.max_new_tokens, paper.scaling) == (1e-5, 1024, 1.0)
    assert (mixtral.training.lora.rank, mixtral.training.rows_at_once, mixtral.training.bf16) == (256, 8, True)
    assert paper.training.shared_by(8) == (4, 1) and mixtral.training.shared_by(2) == (8, 2)
    assert mixtral.experts == paper.experts and not mixtral.in_place and mixtral.scaling == 1.95


def test_a_file_of_ones_own_has_its_own_run_and_inherits_the_rest(tmp_path):
    file = write(tmp_path, MINE + "draws = 2\n[training]\nlearning_rate = 1\n")
    mine, mini = load_scale(file, tmp_path), load_scale("mini")
    assert mine.paths.root == tmp_path / "mine" and mine.name == "mine"
    assert [expert.examples for expert in mine.experts] == [50] * 9
    assert mine.draws == 2 and mine.base_model == mini.base_model
    assert asdict(mine.training) == asdict(mini.training) | {"learning_rate": 1.0}
    assert type(mine.training.learning_rate) is float
    assert [job.name for job in pipeline.expert_jobs(mine)] == [job.name for job in pipeline.expert_jobs(mini)]
    assert stored_scale(file).paths.root.parent.name == reading.OWN_OUTPUTS


def test_a_file_may_stand_on_another_beside_it_and_lie_in_the_working_folder(tmp_path, monkeypatch):
    write(tmp_path, MINE, "below")
    write(tmp_path, 'like = "below.toml"\nresamples = 7\n')
    monkeypatch.chdir(tmp_path)
    assert scale_file("mine.toml") == tmp_path / "mine.toml"
    assert (load_scale("mine.toml").resamples, load_scale("mine.toml").experts[0].examples) == (7, 50)


WRONG = {
    'like = "mini"\nrowz = 5': r"mine\.toml: unknown key 'rowz'",
    'like = "mini"\ndraw = 5': r"unknown key 'draw'; did you mean 'draws'",
    'like = "mini"\nname = "x"': r"unknown key 'name'",
    'like = "mini"\nrows = 2.5': r"rows is 2\.5; give a whole number",
    'like = "mini"\nrows = true': r"rows is True",
    'like = "mini"\ndraws = "3"': r"draws is '3'; give a whole number",
    'like = "mini"\ndraws = true': r"draws is True; give a whole number",
    'like = "mini"\ndraws = 0': r"draws is 0; give a number from 1",
    'like = "mini"\nminiature = 1': r"miniature is 1; give true or false",
    'like = "mini"\nmain_judges = "base"': r"main_judges is 'base'; give a list",
    'like = "mini"\nmain_judges = ["base", 1]': r"main_judges\[1\] is 1; give a text",
    'like = "mini"\nmain_judges = ["base", "liner"]': r"main_judges: there is no 'liner'; did you mean 'linear'",
    'like = "mini"\nmerged_judge = "direct"': r"merged_judge: there is no 'direct'",
    'like = "mini"\nengine = "vlm"': r"engine: there is no 'vlm'; did you mean 'vllm'",
    'like = "mini"\ndensity = 1.5': r"density is 1\.5; give a number above 0, at most 1",
    'like = "mini"\n[training]\nlr = 1e-4': r"\[training\]: unknown key 'lr'",
    'like = "mini"\n[training]\nlearning_rate = nan': r"learning_rate of \[training\] is nan",
    'like = "mini"\n[training]\nschedule = "cosin"': r"schedule of \[training\]: there is no 'cosin'",
    'like = "8x7b"\n[training.lora]\nrank = 0': r"rank of \[training.lora\] is 0",
    'like = "8x7b"\n[training]\nlora = "yes"': r"\[training\]: lora is 'yes'; give a table",
    'like = "mini"\n[decoding]\ntop_p = 0': r"top_p of \[decoding\] is 0\.0",
    'like = "mini"\nexperts = ["direct"]': r"give a list of tables",
    'like = "mini"\nexperts = [{name = "direct", formats = ["direct"]}]': r"merges need the experts .*pairwise",
    'like = "mini"\nexperts = [{name = "direct", formats = ["both"]}]': r"formats of expert 'direct': .*'both'",
    'like = "mini"\nexperts = [{name = "a", formats = ["direct"], share = 2}]': r"share of expert 'a' is 2",
    'like = "mini"\nexperts = [{name = "a", formats = ["direct"], examples = 2}]': r"unknown key 'examples'",
    'like = "mini"\nexperts = [{formats = ["direct"]}]': r"the key 'name' is missing",
    "rows = 5": r"experts is None",
    'like = "huge"': r"unknown scale 'huge'",
    "like = 5": r"like is 5; give the name",
    'like = "mine.toml"': r"leads back to itself",
    "rows = x": r"cannot be read as TOML .*line 1",
}


@pytest.mark.parametrize(("text", "message"), WRONG.items())
def test_each_mistake_is_named(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as error:
        load_scale(write(tmp_path, text))
    assert "mine.toml" in str(error.value) or "huge" in text


def test_a_scale_that_is_not_there_and_one_that_would_hide_ours(tmp_path):
    with pytest.raises(DataError, match=r"unknown scale 'huge'; choose one of \['smoke'.*\.toml"):
        load_scale("huge")
    with pytest.raises(DataError, match="no such scale file"):
        load_scale(tmp_path / "gone.toml")
    with pytest.raises(DataError, match="scale of the library is called mini"):
        load_scale(write(tmp_path, MINE, "mini"))


# --- another base model, other rows ----------------------------------------------------------------------------------


def test_another_base_model_or_other_rows_make_another_run(tiny_base, tmp_path):
    other = load_scale("smoke", tmp_path, str(tiny_base), 40)
    assert other.base_model == str(tiny_base) and other.paths.root == tmp_path / f"smoke-{tiny_base.name}-40-rows"
    assert [expert.examples for expert in other.experts] == [40] * 9
    assert load_scale("smoke", tmp_path, "embedded", 96) == load_scale("smoke", tmp_path)
    pinned = load_scale("7b", base_model="google/gemma-3-1b-it@abc123")
    assert (pinned.base_model, pinned.name) == ("google/gemma-3-1b-it@abc123", "7b-gemma-3-1b-it-abc123")


@pytest.mark.parametrize("revision", ["0123abcd", "refs/pr/7"])
def test_a_pinned_base_keeps_its_name_before_and_after_it_is_fetched(revision):
    name = "mistralai/Mixtral-8x7B-Instruct-v0.1"
    named = load_scale("8x7b", base_model=f"{name}@{revision}")
    fetched = replace(named, base_model=f"/cache/models--{name.replace('/', '--')}/snapshots/0123abcd")
    for scale in (named, fetched):
        assert scale.base_name == "Mixtral-8x7B-Instruct-v0.1"
        assert scale.measurement == load_scale("8x7b").measurement == "the paper's items and base model"
        assert claim_numbers.family(scale) == "Mixtral-Instruct-8x7B"


def test_a_base_model_beside_the_scale_file(tmp_path):
    (tmp_path / "model.gguf").touch()
    mine = load_scale(write(tmp_path, 'like = "mini"\nbase_model = "model.gguf"\n'))
    assert mine.base_model == str(tmp_path / "model.gguf") and mine.name == "mine"


@pytest.mark.parametrize("base", ["./gone", "gone.gguf", "/no/such/model"])
def test_a_base_model_that_is_not_there_is_named(base):
    with pytest.raises(DataError, match=f"{base}: there is no such base model"):
        load_scale("mini", base_model=base)
