"""Too little memory or disk is said before anything starts, with what to do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from prometheus_lib import pipeline
from prometheus_lib.records import DataError
from prometheus_lib.scale import load_scale
from prometheus_lib.training import Lora, TrainingSettings, room, sizing

SETTINGS = TrainingSettings(1e-5, 32, 4096)


def shape(parameters: float, trained: float = 0) -> sizing.Shape:
    return sizing.Shape("m", int(parameters), int(parameters), int(trained or parameters), 2, 8, 100, 64, None)


def test_too_little_memory_and_too_little_disk(tmp_path):
    room.check_room(shape(1e6), SETTINGS, 10, 2, tmp_path / "experts")
    with pytest.raises(DataError, match=r"needs at least 16000.0 GB of memory .*nothing was started.*workers = 1"):
        room.check_room(shape(1e12), SETTINGS, 1, 1, tmp_path)
    on_gpu = replace(SETTINGS, use_cpu=False)
    with pytest.raises(DataError, match=r"10 experts and their checkpoints take 64000.0 GB .*nothing was started"):
        room.check_room(shape(1e12), on_gpu, 10, 1, tmp_path / "not" / "there" / "yet")
    adapters = replace(SETTINGS, lora=Lora(4, 8, 0.0, ("q_proj",)))
    with pytest.raises(DataError, match=r"needs at least 2000.2 GB of memory"):
        room.check_room(shape(1e12, trained=1e7), adapters, 1, 1, tmp_path)


def test_a_run_asks_before_it_trains(tmp_path, monkeypatch):
    monkeypatch.setattr(room.shutil, "disk_usage", lambda place: room.shutil._ntuple_diskusage(10, 9, 1))
    scale = load_scale("smoke", tmp_path)
    from prometheus_lib import data
    from prometheus_lib.records import write_jsonl

    write_jsonl(scale.paths.rows("feedback"), data.feedback_rows(1, 20))
    write_jsonl(scale.paths.rows("preference"), data.preference_rows(1, 10))
    with pytest.raises(DataError, match="experts and their checkpoints take"):
        pipeline.train_experts(scale)
    assert not Path(scale.paths.experts).exists()
