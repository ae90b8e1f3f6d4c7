# SPDX-License-Identifier: Apache-2.0
"""The task files say what the papers' tables say; the table here was written from the papers, not from the files."""

from typing import NamedTuple

import pytest

from hil_serl_core.spec import TaskFileError, load_task
from hil_serl_tasks.finder import find_task, find_task_file, suite_folder, tasks, twins

FOLDER = suite_folder()
DEGREE = 0.017453
PARTS = {
    "tcp_pose": "tcp_pose",
    "tcp_vel": "tcp_twist",
    "tcp_f/t": "tcp_wrench",
    "gripper_pos": "gripper",
    "q": "joint_position",
    "dq": "joint_velocity",
}


class Row(NamedTuple):
    """One task of the HIL-SERL paper's appendix A."""

    observation: str
    action: str
    views: str
    steps: int
    reset: str
    centimetres: float
    degrees: float
    transitions: int
    discount: float


POSE, FORCE, GRIPPER = "tcp_pose, tcp_vel", "tcp_f/t", "gripper_pos"
TABLES = {
    "ram_insertion": Row(
        f"wrist_1, wrist_2, {POSE}, {FORCE}", "6D", "wrist_1, wrist_2", 100, "scripted", 4, 6, 32000, 0.97
    ),
    "ssd_assembly": Row(
        f"wrist_1, wrist_2, side_2, {POSE}, {FORCE}",
        "6D",
        "wrist_1, wrist_2, side_2",
        100,
        "scripted",
        2,
        1,
        21000,
        0.97,
    ),
    "usb_insertion": Row(
        f"wrist_1, wrist_2, side_1, {POSE}, {FORCE}, {GRIPPER}",
        "6D + gripper",
        "side_1",
        120,
        "scripted",
        2,
        10,
        50000,
        0.98,
    ),
    "cable_clipping": Row(
        f"wrist_1, wrist_2, {POSE}, {FORCE}, {GRIPPER}",
        "6D + gripper",
        "wrist_1, wrist_2",
        120,
        "human",
        4,
        10,
        28000,
        0.98,
    ),
    "ikea_side_panel_1": Row(
        f"wrist_1, side_1, side_2, {POSE}, {FORCE}",
        "12D",
        "side_1, side_2",
        100,
        "scripted",
        8,
        1,
        31000,
        0.98,
    ),
    "ikea_side_panel_2": Row(
        f"wrist_2, side_3, side_4, {POSE}, {FORCE}",
        "12D",
        "side_3, side_4",
        100,
        "scripted",
        8,
        1,
        36000,
        0.98,
    ),
    "ikea_top_panel": Row(
        f"side_1, side_3, side_4, {POSE}, {FORCE}",
        "12D",
        "side_1, side_3, side_4",
        150,
        "scripted",
        3,
        0,
        18000,
        0.97,
    ),
    "car_dashboard": Row(
        f"wrist_1, wrist_2, side, {POSE}, {FORCE}, {GRIPPER}",
        "12D + gripper",
        "wrist_1, wrist_2, side",
        200,
        "human",
        2,
        0,
        36000,
        0.97,
    ),
    "object_handover": Row(
        f"wrist_1, wrist_2, side, {POSE}, {GRIPPER}", "12D + gripper", "side", 200, "human", 0, 0, 43000, 0.97
    ),
    "timing_belt": Row(
        f"wrist_1, wrist_2, side_1, side_2, {POSE}, {FORCE}",
        "12D",
        "side_1, side_2",
        200,
        "human",
        2,
        0,
        108000,
        0.97,
    ),
    "jenga_whipping": Row(
        f"wrist, global, {POSE}, q, dq", "force_x, force_z, torque_z", "", 20, "human", 0, 0, 10000, 0.96
    ),
    "object_flip": Row(
        f"wrist, side, {POSE}, q, dq",
        "force_x, force_z, torque_y",
        "wrist",
        100,
        "scripted",
        0,
        0,
        25000,
        0.985,
    ),
}
SERL = {  # cameras, half the side of the random reset's square [cm], reward: the SERL paper's Table 2
    "pcb_insertion": (2, 5, "pose"),
    "cable_routing": (2, 10, "classifier"),
    "object_relocation": (2, 0, "classifier"),
    "object_relocation_back": (2, 0, "classifier"),
}
FORWARD_ALONE = "object_relocation_forward"  # a simulated study of ours, not a task of the papers
ACTIONS = {"6D": (6, 0), "6D + gripper": (6, 3), "12D": (12, 0), "12D + gripper": (12, 9)}


def load(name):
    return load_task(FOLDER / f"{name}.yaml")


def test_every_task_of_the_papers_has_a_file_and_nothing_else_is_there():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == {*TABLES, *SERL}


@pytest.mark.parametrize("name", TABLES)
def test_values_are_those_of_the_table(name):
    row, spec = TABLES[name], load(name)
    assert spec.name == name
    observed = row.observation.split(", ")
    assert [camera.name for camera in spec.cameras] == [item for item in observed if item not in PARTS]
    assert list(spec.state) == [PARTS[item] for item in observed if item in PARTS]
    if row.action in ACTIONS:
        assert (spec.action.kind, spec.continuous_size, spec.grasp_choices) == ("twist", *ACTIONS[row.action])
    else:
        assert (spec.action.kind, ", ".join(spec.action.wrench_axes)) == ("wrench", row.action)
    assert (spec.episode.max_steps, spec.reset.method) == (row.steps, row.reset)
    assert spec.reset.position_range[:2] == pytest.approx([0.01 * row.centimetres] * 2)
    assert spec.reset.rotation_range == pytest.approx([0, 0, DEGREE * row.degrees], abs=1e-4)
    assert (spec.learner.transitions, spec.learner.discount) == (row.transitions, row.discount)
    if row.views:
        assert spec.reward.kind == "classifier"
        assert ", ".join(spec.reward.classifier.cameras) == row.views


@pytest.mark.parametrize("name", [*TABLES, *SERL])
def test_what_all_tables_share(name):
    spec = load(name)
    learner = spec.learner
    assert (learner.learning_rate, learner.hidden, learner.state_embedding) == (3e-4, (256, 256), 64)
    assert learner.grasp_hidden == (256, 256)
    assert learner.crop_padding > 0  # image augmentation: random crop
    assert learner.demonstrations == (30 if name == "jenga_whipping" else 20)
    assert spec.control.frequency == 10.0
    assert {camera.size for camera in spec.cameras} == {128}  # Sec. 3.5
    assert spec.sim is None


def test_what_only_table_11_has():
    spec = load("jenga_whipping")
    assert spec.reward.kind == "operator"
    assert spec.episode.run_to_limit
    decay = spec.learner.learning_rate_decay
    assert (decay.at_success, decay.to) == (0.7, 3e-5)


@pytest.mark.parametrize("name", SERL)
def test_values_are_those_of_the_serl_paper(name):
    spec, (cameras, centimetres, reward) = load(name), SERL[name]
    assert (len(spec.cameras), spec.reward.kind) == (cameras, reward)
    assert spec.reset.position_range[:2] == pytest.approx([0.01 * centimetres] * 2)


def test_relocation_is_a_pair_of_agents_that_undo_each_other():
    forward, backward = load("object_relocation"), load("object_relocation_back")
    assert (forward.reset.partner, backward.reset.partner) == (backward.name, forward.name)
    assert {forward.reset.method, backward.reset.method} == {"arm"}
    assert forward.state_sizes == backward.state_sizes


def test_relocation_forward_alone_is_the_same_task_whose_scene_the_cell_resets():
    pair = load_task(FOLDER / "sim" / "object_relocation.yaml")
    alone = load_task(FOLDER / "sim" / f"{FORWARD_ALONE}.yaml")
    assert (alone.name, alone.reset.method, alone.reset.partner) == (FORWARD_ALONE, "scripted", None)
    assert pair.reset.method == "arm"
    own = {"name": alone.name, "description": alone.description, "reset": alone.reset}
    assert pair.model_copy(update=own) == alone
    ranges = ("nominal_position", "nominal_rotation", "position_range", "rotation_range")
    assert all(getattr(pair.reset, name) == getattr(alone.reset, name) for name in ranges)


@pytest.mark.parametrize(
    "name", sorted({path.stem for path in (FOLDER / "sim").glob("*.yaml")} - {FORWARD_ALONE})
)
def test_a_twin_keeps_what_the_task_is(name):
    real, twin = load(name), load_task(FOLDER / "sim" / f"{name}.yaml")
    assert twin.name == real.name
    assert twin.sim is not None
    assert twin.arm_names == real.arm_names
    assert (twin.action.kind, twin.action_size, twin.state_sizes) == (
        real.action.kind,
        real.action_size,
        real.state_sizes,
    )
    assert [camera.name for camera in twin.cameras] == [camera.name for camera in real.cameras]
    if name in TABLES:
        assert twin.learner.discount == real.learner.discount
    assert twin.learner.transitions == real.learner.transitions


def test_a_name_means_the_twin_in_simulation_and_the_real_cell_on_a_robot(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert find_task("ram_insertion").sim.twin == "ram_insertion"
    assert find_task("ram_insertion", simulated=False).sim is None
    assert set(twins()) - set(tasks()) == {FORWARD_ALONE}


def test_a_task_without_a_twin_is_refused_in_simulation_with_those_that_have_one(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TaskFileError, match=r"'jenga_whipping' has no simulated twin; .*ram_insertion"):
        find_task_file("jenga_whipping")
    with pytest.raises(TaskFileError, match=r"jenga_whipping.yaml has no 'sim' section"):
        find_task_file(str(FOLDER / "jenga_whipping.yaml"))
    with pytest.raises(TaskFileError, match="did you mean 'timing_belt'"):
        find_task("timing_bell", simulated=False)


def test_tasks_of_the_working_folder_come_first(monkeypatch, tmp_path):
    (tmp_path / "tasks").mkdir()
    own = f"extends: {FOLDER / 'sim' / 'ram_insertion.yaml'}\nname: mine\n"
    (tmp_path / "tasks" / "mine.yaml").write_text(own)
    monkeypatch.chdir(tmp_path)
    assert find_task("mine").name == "mine"  # one file with a sim section serves both
    assert find_task("mine", simulated=False).name == "mine"
    assert "mine" in twins()


FILES = sorted([*FOLDER.glob("*.yaml"), *FOLDER.glob("sim/*.yaml")])  # those in common/ are parts of others


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_file_loads_and_carries_its_name(path):
    assert load_task(path).name == path.stem
