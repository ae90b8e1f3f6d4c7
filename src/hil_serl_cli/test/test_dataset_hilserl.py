# SPDX-License-Identifier: Apache-2.0
"""`hil-serl dataset import-hilserl`: files as the original release's record_demos.py writes them."""

import pickle

import numpy as np
import pytest
from dataset_bags import hil_serl, small_task
from scipy.spatial.transform import Rotation

from hil_serl_core.action import nominal_pose
from hil_serl_core.spec import task_to_yaml
from hil_serl_core.step import Source
from hil_serl_datasets.check import check
from hil_serl_datasets.errors import DatasetError
from hil_serl_datasets.hilserl import Layout, import_files
from hil_serl_datasets.recordings import find_recordings
from hil_serl_ros.bag import read_steps
from hil_serl_runs.run_folder import RunFolder

SPEC = small_task()
POSE = np.array([0.4, 0.1, 0.3, 1.0, 0.0, 0.0, 0.0])


def observation(rng, spec=SPEC, arms=1):
    state = rng.normal(0, 0.1, (1, 19 * arms))
    frames = {c.name: rng.integers(0, 256, (1, c.size, c.size, 3), dtype=np.uint8) for c in spec.cameras}
    return {"state": state, **frames}


def demonstrations(lengths=(4, 3), *, seed=0, spec=SPEC, arms=1, rewards=None):
    """Transitions as record_demos.py makes them."""
    rng = np.random.default_rng(seed)
    transitions = []
    for number, length in enumerate(lengths):
        now = observation(rng, spec, arms)
        for arm in range(arms):  # where the episode begins
            now["state"][0, 19 * arm + 4 : 19 * arm + 10] = 0.0
        for index in range(length):
            following = observation(rng, spec, arms)
            done = index == length - 1
            reward = int(done) if rewards is None else rewards[number] * done
            action = rng.uniform(-1.4, 1.4, spec.action_size)
            infos = {"succeed": bool(reward), "intervene_action": action, "left": False, "right": False}
            transitions.append(
                {
                    "observations": now,
                    "actions": action,
                    "next_observations": following,
                    "rewards": reward,
                    "masks": 1.0 - done,
                    "dones": np.bool_(done),
                    "infos": infos,
                }
            )
            now = following
    return transitions


@pytest.fixture
def write(tmp_path):
    def dump(transitions, name="demos.pkl"):
        path = tmp_path / name
        path.write_bytes(pickle.dumps(transitions))
        return path

    return dump


@pytest.fixture
def task_file(tmp_path):
    path = tmp_path / "task.yaml"
    path.write_text(task_to_yaml(SPEC))
    return path


def test_demonstrations_become_a_run_of_ours(tmp_path, write, task_file, capsys):
    transitions = demonstrations()
    output = tmp_path / "run"
    code, text, _ = hil_serl(
        capsys, "dataset", "import-hilserl", write(transitions), "--task", task_file, "--output", output
    )
    assert code == 0
    assert "2 episodes, 9 records" in text
    assert f"--demos {output}" in text
    assert RunFolder.open(output).task().hash == SPEC.hash
    (recording,) = find_recordings([output])
    assert recording.mode == "record_demos"
    assert [str(f) for report in check(recording) for f in report.findings] == []
    steps = list(read_steps(output / "bags"))
    assert [s.step_index for s in steps] == [0, 1, 2, 3, 4, 0, 1, 2, 3]
    assert [s.reward for s in steps] == [0, 0, 0, 0, 1, 0, 0, 0, 1]
    assert [s.is_terminal for s in steps] == [s.is_last for s in steps] == [s.reward == 1 for s in steps]
    assert {s.source for s in steps if s.action is not None} == {Source.HUMAN}
    for step, transition in zip([s for s in steps if not s.is_last], transitions, strict=True):
        state = transition["observations"]["state"][0]
        np.testing.assert_allclose(step.state["tcp_wrench"], [*state[1:4], *state[10:13]], rtol=1e-6)
        np.testing.assert_allclose(step.state["tcp_twist"], state[13:19], rtol=1e-6)
        np.testing.assert_allclose(step.state["tcp_pose"][:3], state[4:7], rtol=1e-6)
        rotation = Rotation.from_euler("xyz", state[7:10]).as_rotvec()
        np.testing.assert_allclose(step.state["tcp_pose"][3:], rotation, rtol=1e-5)
        np.testing.assert_allclose(step.action, np.clip(transition["actions"], -1, 1), rtol=1e-6)
        for camera in SPEC.cameras:
            np.testing.assert_array_equal(
                step.frames[camera.name], transition["observations"][camera.name][0]
            )
    last = transitions[3]["next_observations"]
    np.testing.assert_array_equal(steps[4].frames["wrist_1"], last["wrist_1"][0])


def test_absolute_poses_come_from_the_infos_or_the_nominal_pose(tmp_path, write):
    transitions = demonstrations((2,))
    layout = Layout.of(SPEC)
    import_files([write(transitions)], SPEC, layout, tmp_path / "without")
    nominal = nominal_pose(SPEC.arm(""))
    first = next(read_steps(tmp_path / "without"))
    assert np.linalg.norm(first.tcp_poses[0, :3] - nominal[:3]) < 0.5
    transitions[0]["infos"]["original_state_obs"] = {"tcp_pose": POSE}
    import_files([write(transitions)], SPEC, layout, tmp_path / "with")
    second = list(read_steps(tmp_path / "with"))[1]
    np.testing.assert_allclose(np.abs(second.tcp_poses[0]), np.abs(POSE), atol=1e-6)


def test_end_without_reward_is_a_time_limit_and_a_break_ends_an_episode(tmp_path, write):
    transitions = demonstrations((3, 3), rewards=(0, 1))
    del transitions[4]
    imported = import_files([write(transitions)], SPEC, Layout.of(SPEC), tmp_path / "run")
    ends = [(s.step_index, s.is_terminal, s.reward) for s in read_steps(tmp_path / "run") if s.is_last]
    assert ends == [(3, False, 0.0), (1, False, 0.0), (1, True, 1.0)]
    assert "1 episodes had no end of their own" in imported.notes[0]


def test_grippers_stand_last_and_are_commands(tmp_path):
    handover = small_task(16, "object_handover")
    layout = Layout.of(handover)
    action = np.concatenate([np.full(6, 0.1), [-0.95], np.full(6, 0.2), [0.3]])
    mapped = layout.action_of(action, "x")
    np.testing.assert_allclose(mapped, [*[0.1] * 6, *[0.2] * 6, -1.0, 0.0], rtol=1e-6)
    state = np.arange(38, dtype=float)[None] / 100
    parts = layout.state_of({"state": state}, "x")
    assert list(parts) == list(handover.state_sizes)
    np.testing.assert_allclose(parts["right/tcp_twist"], np.arange(32, 38) / 100, rtol=1e-6)
    assert parts["left/gripper"] == 0.0
    with pytest.raises(DatasetError, match=r"has shape \(19,\), expected 38 numbers \(19 an arm\)"):
        layout.state_of({"state": np.zeros(19)}, "x")


def test_another_layout_is_said_with_options(tmp_path, write, task_file, capsys):
    transitions = demonstrations((2,))
    for transition in transitions:
        for key in ("observations", "next_observations"):
            transition[key] = dict(transition[key])
            transition[key]["state"] = transition[key]["state"][:, :18]
            transition[key]["front"] = transition[key].pop("wrist_1")
    transitions[0]["observations"]["state"][0, :6] = 0.0  # where the episode begins
    arguments = [
        "dataset",
        "import-hilserl",
        write(transitions),
        "--task",
        task_file,
        "--output",
        tmp_path / "run",
    ]
    code, _, error = hil_serl(capsys, *arguments)
    assert code == 2
    assert "the state has shape (18,), expected 19 numbers (19 an arm); say where" in error
    options = [
        *("--state", "tcp_pose=0:6", "--state", "tcp_twist=6:12", "--state", "tcp_wrench=15:18,12:15"),
        *("--rotation", "rotation_vector", "--camera", "wrist_1=front"),
    ]
    assert hil_serl(capsys, *arguments, *options)[0] == 0
    state = transitions[0]["observations"]["state"][0]
    step = next(read_steps(tmp_path / "run"))
    np.testing.assert_allclose(step.state["tcp_pose"], state[:6], rtol=1e-6)
    np.testing.assert_allclose(step.state["tcp_wrench"], [*state[15:18], *state[12:15]], rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--state", "tcp_pose=0:5"], "that is 5 numbers, tcp_pose has 6"),
        (["--state", "tcp_speed=0:6"], "write PART=FIRST:END"),
        (["--state", "tcp_pose=0:6"], "where is the task's state part 'tcp_twist' in the file?"),
        (["--camera", "side=front"], "write CAMERA=KEY with one of wrist_1, wrist_2"),
        (
            ["--camera", "wrist_1=front"],
            "there is no 'front' in the observation, only state, wrist_1, wrist_2",
        ),
    ],
)
def test_wrong_options_are_named(tmp_path, write, task_file, capsys, options, message):
    arguments = ("import-hilserl", write(demonstrations()), "--task", task_file, "--output", tmp_path / "run")
    code, _, error = hil_serl(capsys, "dataset", *arguments, *options)
    assert code == 2
    assert message in error
    assert not (tmp_path / "run").exists()


def first(**fields):
    transitions = demonstrations()
    transitions[0] = transitions[0] | fields
    return transitions


OTHER_SIZE = {
    "state": np.zeros((1, 19)),
    **{f"wrist_{i}": np.zeros((1, 24, 24, 3), np.uint8) for i in (1, 2)},
}
FLOATS = {"state": np.zeros((1, 19)), **{f"wrist_{i}": np.zeros((1, 16, 16, 3)) for i in (1, 2)}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": 1}, "holds a dict, expected a list of transitions"),
        ([], "there is no transition in"),
        ([1], "transition 0 is a int; expected a dict with observations"),
        ([{"actions": 1}], "transition 0 lacks observations, next_observations, rewards, dones"),
        (first(observations=OTHER_SIZE), "is 24x24x3, the task file says 16x16x3"),
        (first(observations=FLOATS), "is float64 (1, 16, 16, 3), expected uint8 pixels"),
        (first(observations=3), "an observation is a int"),
        (first(actions=np.zeros(7)), "the action has 7 numbers, task 'ram_insertion' has 6"),
        (first(actions=np.full(6, np.nan)), "the action holds NaN"),
        (first(rewards="many"), "rewards is no number"),
        (first(rewards=float("inf")), "rewards is inf"),
        (first(observations={**OTHER_SIZE, "state": np.full((1, 19), np.nan)}), "NaN"),
    ],
)
def test_files_that_do_not_fit_are_refused_with_the_numbers(
    tmp_path, write, task_file, capsys, content, message
):
    file = write(content)
    code, _, error = hil_serl(
        capsys, "dataset", "import-hilserl", file, "--task", task_file, "--output", tmp_path / "run"
    )
    assert code == 2
    assert message in error
    assert str(file) in error
    assert not (tmp_path / "run").exists()


class Hostile:
    def __reduce__(self):
        return eval, ("1 + 1",)


def test_hostile_files_and_missing_ones_are_refused(tmp_path, write, task_file, capsys):
    arguments = ("--task", task_file, "--output", tmp_path / "run")
    code, _, error = hil_serl(capsys, "dataset", "import-hilserl", write(first(infos=Hostile())), *arguments)
    assert code == 2
    assert "demos.pkl is refused at byte" in error
    assert "it asks for 'builtins.eval'" in error
    code, _, error = hil_serl(capsys, "dataset", "import-hilserl", tmp_path / "none.pkl", *arguments)
    assert code == 2
    assert "none.pkl" in error
    assert not (tmp_path / "run").exists()
