# SPDX-License-Identifier: Apache-2.0
"""What `hil-serl bench` says about the learner of real hardware, on this machine."""

import io
import time

import pytest
from rich.console import Console

from hil_serl_cli.commands.bench import HARDWARE, bench_table
from hil_serl_cli.measuring import bench_measures
from hil_serl_cli.measuring.bench_measures import EPISODE, with_learner
from hil_serl_learner.trainer import Trainer
from hil_serl_tasks.finder import find_task

SMALL = {"batch_size": 8, "hidden": (16,), "camera_embedding": 8, "augmented_views": 1, "pca_channels": 4}


def small(name):
    spec = with_learner(find_task(name, simulated=False), **SMALL)
    cameras = tuple(camera.model_copy(update={"size": 32}) for camera in spec.cameras)
    return spec.model_copy(update={"cameras": cameras})


@pytest.mark.parametrize("name", HARDWARE)
def test_the_hardware_s_task_files_are_measured_with_their_own_settings(name):
    spec = find_task(name, simulated=False)
    assert {camera.size for camera in spec.cameras} == {128}, "the twin's are smaller"
    result = bench_measures.real_time(small(name), seconds=1.0, records=EPISODE)
    assert (result["frequency"], result["update_to_data"]) == (10.0, spec.learner.update_to_data)
    assert result["records_per_s"] > 0
    assert result["updates_per_s"] > 0
    assert 0.0 < result["done_share"] <= 1.0


def test_a_learner_that_is_too_slow_for_its_cell_is_seen(monkeypatch):
    """At 10 Hz and 3 updates a step, updates of 0.2 s are a sixth of what is owed."""
    monkeypatch.setattr(bench_measures, "_rates", lambda spec, records: {})
    update = Trainer.update

    def slowly(trainer):
        time.sleep(0.2)
        update(trainer)

    monkeypatch.setattr(Trainer, "update", slowly)
    share = bench_measures.real_time(small("ram_insertion"), seconds=2.0, records=EPISODE)["done_share"]
    assert 0.0 < share < 0.25


def test_the_table_has_a_line_for_each_hardware_task():
    tick = {"p50_us": 1.0, "p99.9_us": 2.0}
    times = {"p50_ms": 1.0, "p99_ms": 2.0}
    reached = {
        "frequency": 10.0,
        "update_to_data": 3.0,
        "records_per_s": 21.3,
        "updates_per_s": 20.4,
        "done_share": 0.36,
    }
    result = {
        "machine": {"cpu": "a processor", "cores": 2},
        "control_tick": {"pose": tick},
        "environment": {"steps_per_s": 180.0, "times_real_time": 18.0},
        "learner": {
            "batch": 256,
            "cached_updates_per_s": 38.0,
            "plain_updates_per_s": 1.6,
            "ratio": 24.0,
            "average_over_polyak": 0.8,
        },
        "latency": {"step_to_replay": times, "weights_loaded": times, "weights_received": {"bytes": 10**6}},
        "storage": {"replay_bytes": 100.0, "feature_cache_bytes": 16400.0, "bag_bytes": 25000.0},
        "resume": {"file_bytes": 16400.0, "computed_ms": 9.0, "read_ms": 0.3, "ratio": 30.0},
        "system": {"env_steps_per_s": 20.0, "updates_per_s": 52.0, "peak_memory_mb": {"total": 1300.0}},
        "real_time": dict.fromkeys(HARDWARE, reached),
    }
    console = Console(record=True, width=160, file=io.StringIO())
    console.print(bench_table(result))
    text = console.export_text()
    for name in HARDWARE:
        assert f"learner of {name} (hardware's file), at 10 Hz" in text
    assert "36% of 3 updates a step (alone 21 records/s, 20 updates/s)" in text
