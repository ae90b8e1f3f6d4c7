# SPDX-License-Identifier: Apache-2.0
"""`hil-serl dataset convert --to lerobot`, read back by pyarrow, PyAV and, where it is installed, lerobot itself."""

import importlib.util
import io
import json
import os
import subprocess
import sys

import av
import numpy as np
import pytest
from dataset_bags import episode, hil_serl, small_task, write_run
from PIL import Image

from hil_serl_datasets import lerobot, lerobot_files

SPEC = small_task()
LENGTHS = (5, 3, 4)
WRIST = "observation.images.wrist_1"


@pytest.fixture
def run(tmp_path):
    ends = ("success", "time_limit", "failure")
    episodes = [
        episode(SPEC, n, length, end=end) for n, (length, end) in enumerate(zip(LENGTHS, ends, strict=True))
    ]
    return write_run(tmp_path / "run", SPEC, episodes)


def table(path):
    import pyarrow.parquet as pq

    return pq.read_table(path)


def test_without_pyarrow_the_package_is_named(tmp_path, run, capsys, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "pyarrow" else real(name, *a)
    )
    code, _, error = hil_serl(
        capsys, "dataset", "convert", run, "--to", "lerobot", "--output", tmp_path / "out"
    )
    assert code == 2
    assert "pip install pyarrow" in error
    assert not (tmp_path / "out").exists()


def test_dataset_with_videos_holds_every_transition(tmp_path, run, capsys):
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install pyarrow")
    out = tmp_path / "out"
    code, text, _ = hil_serl(capsys, "dataset", "convert", run, "--to", "lerobot", "--output", out)
    assert code == 0
    assert "3 episodes, 12 frames" in text
    info = json.loads((out / "meta/info.json").read_text())
    assert (info["codebase_version"], info["fps"]) == ("v3.0", 10)
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (3, 12, 1)
    data = table(out / info["data_path"].format(chunk_index=0, file_index=0))
    assert set(data.column_names) == {k for k, f in info["features"].items() if f["dtype"] != "video"}
    columns = data.to_pydict()
    assert columns["index"] == list(range(12))
    assert columns["episode_index"] == [0] * 5 + [1] * 3 + [2] * 4
    assert columns["frame_index"] == [*range(5), *range(3), *range(4)]
    assert columns["next.done"] == [i in (4, 7, 11) for i in range(12)]
    assert columns["next.terminated"] == [i in (4, 11) for i in range(12)]
    assert columns["next.reward"] == [float(i == 4) for i in range(12)]
    assert columns["complementary_info.is_intervention"][:5] == [True, False, True, False, True]
    steps = [s for n, length in enumerate(LENGTHS) for s in episode(SPEC, n, length) if s.action is not None]
    for row, step in enumerate(steps):
        np.testing.assert_array_equal(np.float32(columns["action"][row]), step.action)
        state = np.concatenate([step.state[part] for part in SPEC.state_sizes])
        np.testing.assert_array_equal(np.float32(columns["observation.state"][row]), state)
    assert info["features"]["observation.state"]["names"][:3] == ["tcp_pose.x", "tcp_pose.y", "tcp_pose.z"]
    assert info["features"]["action"]["shape"] == [6]


def test_episodes_tasks_and_videos_belong_together(tmp_path, run, capsys):
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install pyarrow")
    out = tmp_path / "out"
    assert hil_serl(capsys, "dataset", "convert", run, "--output", out, "--only", "success")[0] == 0
    assert hil_serl(capsys, "dataset", "convert", run, "--output", tmp_path / "all")[0] == 0
    assert json.loads((out / "meta/info.json").read_text())["total_frames"] == 5
    out = tmp_path / "all"
    info = json.loads((out / "meta/info.json").read_text())
    rows = table(out / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [(r["dataset_from_index"], r["dataset_to_index"], r["length"]) for r in rows] == [
        (0, 5, 5),
        (5, 8, 3),
        (8, 12, 4),
    ]
    assert [r[f"videos/{WRIST}/from_timestamp"] for r in rows] == pytest.approx([0.0, 0.5, 0.8])
    assert rows[0]["tasks"] == [SPEC.description]
    tasks = table(out / "meta/tasks.parquet")
    assert tasks.to_pydict() == {"task_index": [0], "task": [SPEC.description]}
    assert json.loads(tasks.schema.metadata[b"pandas"])["index_columns"] == ["task"]
    video = out / info["video_path"].format(video_key=WRIST, chunk_index=0, file_index=0)
    with av.open(str(video)) as container:
        frames = list(container.decode(video=0))
    assert [round(frame.time, 6) for frame in frames] == [round(i / 10, 6) for i in range(12)]
    assert frames[0].width == 16
    extra = json.loads((out / "meta/hil_serl.json").read_text())
    assert extra["spec_hash"] == [SPEC.hash]


def test_images_are_kept_without_loss_and_statistics_are_exact(tmp_path, run, capsys):
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install pyarrow")
    out = tmp_path / "out"
    assert hil_serl(capsys, "dataset", "convert", run, "--output", out, "--images")[0] == 0
    cells = table(out / "data/chunk-000/file-000.parquet").to_pydict()[WRIST]
    steps = [s for n, length in enumerate(LENGTHS) for s in episode(SPEC, n, length) if s.action is not None]
    for cell, step in zip(cells, steps, strict=True):
        np.testing.assert_array_equal(
            np.asarray(Image.open(io.BytesIO(cell["bytes"]))), step.frames["wrist_1"]
        )
    statistics = json.loads((out / "meta/stats.json").read_text())
    pixels = np.stack([s.frames["wrist_1"] for s in steps]).reshape(-1, 3) / 255
    found = {name: np.array(value) for name, value in statistics[WRIST].items()}
    assert found["mean"].shape == (3, 1, 1)
    np.testing.assert_allclose(found["mean"].ravel(), pixels.mean(axis=0))
    np.testing.assert_allclose(found["std"].ravel(), pixels.std(axis=0))
    np.testing.assert_allclose(found["max"].ravel(), pixels.max(axis=0))
    actions = np.array([s.action for s in steps])
    np.testing.assert_allclose(statistics["action"]["mean"], actions.mean(axis=0), rtol=1e-5)
    assert statistics["action"]["count"] == [12]
    assert not (out / "videos").exists()


def test_what_cannot_be_converted_is_refused(tmp_path, capsys):
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install pyarrow")
    odd = small_task(17)
    run = write_run(tmp_path / "odd", odd, [episode(odd, 0)])
    out = tmp_path / "out"
    code, _, error = hil_serl(capsys, "dataset", "convert", run, "--output", out)
    assert code == 2
    assert "camera 'wrist_1' has 17 px; use --images" in error
    gap = write_run(tmp_path / "gap", SPEC, [[s for s in episode(SPEC, 0) if s.step_index != 2]])
    assert "has gaps" in hil_serl(capsys, "dataset", "convert", gap, "--output", out)[2]
    nothing = write_run(tmp_path / "no", SPEC, [episode(SPEC, 0, 0, end="time_limit")])
    assert (
        "no episode with a transition" in hil_serl(capsys, "dataset", "convert", nothing, "--output", out)[2]
    )
    both = hil_serl(capsys, "dataset", "convert", run, gap, "--output", out)
    assert both[0] == 2
    assert not out.exists()


def test_quantiles_of_a_histogram_by_hand():
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 0] = 255
    counts = lerobot_files.histogram([image])
    found = lerobot_files.image_statistics(counts, 1)
    assert (found["min"][0], found["max"][0], found["mean"][0]) == ([[0.0]], [[1.0]], [[0.25]])
    assert (found["q50"][0], found["q99"][0]) == ([[0.0]], [[1.0]])


def test_two_arms_have_names_of_their_own():
    features = lerobot.features_of(small_task(16, "object_handover"), videos=True)
    names = features["action"]["names"]
    assert (names[0], names[6], names[-2:]) == ("left.dx", "right.dx", ["left.gripper", "right.gripper"])
    assert features["observation.state"]["names"][0].startswith("left/")
    assert not any("/" in key for key in features)


def lerobot_python():
    """A Python that has lerobot: HIL_SERL_LEROBOT_PYTHON, or this one."""
    named = os.environ.get("HIL_SERL_LEROBOT_PYTHON")
    return named or (sys.executable if importlib.util.find_spec("lerobot") else None)


@pytest.mark.skipif(
    lerobot_python() is None,
    reason="lerobot is not installed; set HIL_SERL_LEROBOT_PYTHON to a Python that has it",
)
@pytest.mark.parametrize("options", [(), ("--images",)])
def test_lerobot_reads_it(tmp_path, run, capsys, options):
    out = tmp_path / "out"
    assert hil_serl(capsys, "dataset", "convert", run, "--output", out, *options)[0] == 0
    script = (
        "import sys; from lerobot.datasets.lerobot_dataset import LeRobotDataset\n"
        "d = LeRobotDataset('test/run', root=sys.argv[1], video_backend='pyav')\n"
        "item = d[6]\n"
        "print(len(d), d.num_episodes, tuple(item['observation.images.wrist_1'].shape), int(item['episode_index']))"
    )
    command = [lerobot_python(), "-c", script, str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip().endswith("12 3 (3, 16, 16) 1"), done.stderr
