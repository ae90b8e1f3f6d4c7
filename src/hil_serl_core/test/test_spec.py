# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import yaml

from hil_serl_core.spec import TaskFileError, load_task, model, task_from_dict, task_to_yaml


def test_round_trip_through_yaml_keeps_the_spec(spec):
    assert task_from_dict(yaml.safe_load(task_to_yaml(spec))) == spec


def test_unknown_key_is_named_with_the_nearest_valid_one(task_dict):
    task_dict["control"]["translational_stifness"] = task_dict["control"].pop("translational_stiffness")
    with pytest.raises(TaskFileError) as error:
        task_from_dict(task_dict, source="unit.yaml")
    text = str(error.value)
    assert "unit.yaml" in text
    assert "unknown key 'control.translational_stifness'; did you mean 'translational_stiffness'?" in text
    assert "key 'control.translational_stiffness' is missing" in text


def test_unknown_key_inside_a_camera_is_explained(task_dict):
    task_dict["cameras"][0]["szie"] = 16
    with pytest.raises(TaskFileError, match=r"unknown key 'cameras.0.szie'; did you mean 'size'"):
        task_from_dict(task_dict)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("learner", "discount", 1.0),
        ("action", "translation_scale", -0.1),
        ("episode", "max_steps", 0),
        ("control", "frequency", 0.0),
    ],
)
def test_out_of_range_value_is_named(task_dict, section, key, value):
    task_dict.setdefault(section, {})[key] = value
    with pytest.raises(TaskFileError, match=f"'{section}.{key}' = "):
        task_from_dict(task_dict)


def test_nan_is_refused(task_dict):
    task_dict["action"]["rotation_scale"] = float("nan")
    with pytest.raises(TaskFileError, match=r"action.rotation_scale"):
        task_from_dict(task_dict)


def test_crop_outside_the_image_is_refused(task_dict):
    task_dict["cameras"][0]["crop"] = [20, 0, 32, 32]
    with pytest.raises(
        TaskFileError, match=r"crop .* of camera 'wrist_1' does not lie inside its 40x32 image"
    ):
        task_from_dict(task_dict)


@pytest.fixture
def files(tmp_path, task_dict):
    """Writes task files; the first argument is the whole unit task."""

    def write(**contents):
        for name, content in contents.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.with_suffix(".yaml").write_text(yaml.safe_dump(content))
        return tmp_path

    write(real=task_dict)
    return write


def test_a_file_that_extends_another_changes_only_what_it_names(files, spec):
    sim = {"extends": "../real.yaml", "episode": {"run_to_limit": True}, "state": ["tcp_pose"]}
    loaded = load_task(files(sim__twin=sim) / "sim" / "twin.yaml")
    assert loaded.episode.run_to_limit
    assert loaded.episode.max_steps == spec.episode.max_steps  # merged key by key
    assert loaded.state == ("tcp_pose",)  # lists are replaced
    assert loaded.control == spec.control


def test_extending_can_be_chained_and_null_takes_a_section_away(files):
    one = {"extends": "real.yaml", "sim": {"twin": "toy", "parameters": {"size": 1.0}}}
    two = {"extends": "one.yaml", "sim": {"parameters": {"mass": 2.0}}}
    folder = files(one=one, two=two, three={"extends": "two.yaml", "sim": None})
    assert load_task(folder / "two.yaml").sim.parameters == {"size": 1.0, "mass": 2.0}
    assert load_task(folder / "three.yaml").sim is None


def test_files_that_extend_each_other_are_named(files):
    folder = files(one={"extends": "two.yaml"}, two={"extends": "one.yaml"})
    with pytest.raises(TaskFileError, match=r"circle: .*one.yaml extends .*two.yaml extends .*one.yaml"):
        load_task(folder / "one.yaml")


def test_a_missing_base_is_named_with_the_file_that_wants_it(files):
    folder = files(one={"extends": "nowhere.yaml"})
    with pytest.raises(TaskFileError, match=r"nowhere.yaml: No such file.*one.yaml extends it"):
        load_task(folder / "one.yaml")


def test_a_mistake_names_all_files_it_may_come_from(files):
    folder = files(one={"extends": "real.yaml", "episode": {"max_step": 3}})
    with pytest.raises(
        TaskFileError, match=r"(?s)one.yaml, which extends .*real.yaml.*did you mean 'max_steps'"
    ):
        load_task(folder / "one.yaml")
    with pytest.raises(TaskFileError, match="'extends' = 3 must be the path"):
        load_task(files(two={"extends": 3}) / "two.yaml")


def test_unknown_task_name_suggests_the_nearest(tmp_path):
    (tmp_path / "ram_insertion.yaml").write_text("{}")
    with pytest.raises(TaskFileError, match="no task named 'ram_insertoin'; did you mean 'ram_insertion'"):
        load_task("ram_insertoin", [tmp_path])


def test_broken_yaml_names_the_file(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("a: [1, 2")
    with pytest.raises(TaskFileError, match=r"broken.yaml is not valid YAML"):
        load_task(path)


def test_hash_follows_meaning_not_training_settings(task_dict, spec):
    task_dict["learner"] = {"learning_rate": 1e-3, "update_to_data": 1.0}
    assert task_from_dict(task_dict).hash == spec.hash
    task_dict["action"]["translation_scale"] = 0.02
    assert task_from_dict(task_dict).hash != spec.hash


def test_a_choice_that_came_later_leaves_the_hash_of_those_who_do_not_make_it(task_dict, spec, monkeypatch):
    """Records and runs made before critics could share their output layer still fit their task file."""
    monkeypatch.setattr(
        model, "_IDENTITY_OF_NETWORKS", model._IDENTITY_OF_NETWORKS - {"critic_shared_output"}
    )
    before = task_from_dict(task_dict).hash
    monkeypatch.undo()
    assert spec.hash == before
    task_dict["learner"] = {"critic_shared_output": True}
    assert task_from_dict(task_dict).hash != before, "tensors have another shape"
