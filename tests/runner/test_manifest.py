"""What a manifest keeps of earlier runs: the seconds of notebooks that now found their work done."""

from __future__ import annotations

import json
from dataclasses import replace

from prometheus_lib.runner.manifest import write_manifest
from prometheus_lib.scale import load_scale


def test_the_longest_seconds_of_equal_settings_stay_and_other_settings_begin_anew(tmp_path):
    scale = load_scale("smoke", tmp_path)
    scale.paths.root.mkdir(parents=True)

    def written(settings, seconds):
        found = json.loads(write_manifest(settings, seconds).read_text(encoding="utf-8"))
        return found["seconds"], found["longest"]

    assert written(scale, {"03": 90.0}) == ({"03": 90.0}, {"03": 90.0})
    assert written(scale, {"03": 4.0, "06": 2.0}) == ({"03": 4.0, "06": 2.0}, {"03": 90.0, "06": 2.0})
    assert written(scale, {"06": 3.0})[1] == {"03": 90.0, "06": 3.0}
    assert written(replace(scale, resamples=7), {"03": 5.0})[1] == {"03": 5.0}


def test_a_manifest_without_longest_and_with_fewer_settings_is_gone_on_from(tmp_path):
    scale = load_scale("smoke", tmp_path)
    scale.paths.root.mkdir(parents=True)
    path = write_manifest(scale, {"03": 90.0})
    earlier = json.loads(path.read_text(encoding="utf-8"))
    del earlier["longest"], earlier["settings"]["keep_merges"]
    path.write_text(json.dumps(earlier), encoding="utf-8")
    write_manifest(scale, {"03": 1.0})
    assert json.loads(path.read_text(encoding="utf-8"))["longest"] == {"03": 90.0}
