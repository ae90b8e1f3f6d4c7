# SPDX-License-Identifier: Apache-2.0
"""Running recorded episodes again for a film, with a cell that is a point pushed by its targets."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from hil_serl_cli.results import film
from hil_serl_core.action import ArmCommand, TwistMapper
from hil_serl_core.observation import ArmSample
from hil_serl_core.spec import load_task
from hil_serl_core.step import Source, Step
from hil_serl_sim.repeating import NotReproducedError
from hil_serl_tasks.finder import suite_folder

SPEC = load_task(suite_folder() / "sim" / "ram_insertion.yaml")
START = np.array([*SPEC.reset.nominal_position, 1.0, 0.0, 0.0, 0.0])


class PointCell:
    """Goes straight to its target, a share of the way per tick; its start depends on the seed."""

    period_ticks = 100

    time = 0.0

    def __init__(self, spec):
        self.spec = spec
        self.pose = START.copy()
        self.ticks = 0

    def reset(self, seed, arm_only=False):
        self.pose = START + np.array([0.001 * seed, 0, 0, 0, 0, 0, 0])
        self.ticks = 0

    def arm_state(self, arm=""):
        return SimpleNamespace(pose=self.pose.copy())

    def sample(self, arm=""):
        return ArmSample(
            0.0, "base", self.pose.copy(), np.zeros(6), np.zeros(6), np.zeros(7), np.zeros(7), float("nan")
        )

    def advance(self, commands, ticks):
        self.target = commands[""].pose if commands else self.target
        self.pose = self.pose + (self.target - self.pose) * ticks / 100
        self.ticks += ticks

    def render(self, camera):
        return np.zeros((64, 80, 3), np.uint8)

    def render_display(self):
        return np.full((480, 640, 3), min(255, self.ticks // 10), np.uint8)

    def close(self):
        pass


def recording(seed, actions):
    """Records of an episode as the same cell would have made them."""
    cell, mapper, steps = PointCell(SPEC), TwistMapper(SPEC), []
    cell.reset(seed)
    for index, action in enumerate([*actions, None]):
        last = action is None
        pose = cell.arm_state().pose
        steps.append(
            Step(
                0.1 * index, "actor_0", index, 0, index, {}, {}, pose[None], action, None, Source.POLICY, float(last), 0.0,
                index == 0, last, last, 1, SPEC.hash,
            )
        )  # fmt: skip
        if not last:
            target = mapper.target(action, pose)
            for _ in range(film.PICTURES_PER_STEP):
                cell.advance({"": ArmCommand(pose=target)}, cell.period_ticks // film.PICTURES_PER_STEP)
    return steps


ACTIONS = [np.array([0.5, -0.2, 0.1, 0, 0, 0], np.float32)] * 3


@pytest.fixture(autouse=True)
def point_cell(monkeypatch):
    module = type("Module", (), {"Cell": PointCell})
    monkeypatch.setitem(__import__("sys").modules, "hil_serl_sim.cell", module)


def test_the_same_seed_and_actions_take_the_same_course():
    course = film.Film(SPEC)
    pictures = list(course.pictures({0: (5, recording(5, ACTIONS))}))
    assert len(pictures) == film.PICTURES_PER_STEP * len(ACTIONS) + film.LINGER
    assert course.deviation < 1e-9
    assert {picture.shape for picture in pictures} == {(480, 940, 3)}
    assert pictures[-1][200, 100, 0] == 30, "all of the three periods ran"


def test_another_seed_is_noticed():
    with pytest.raises(NotReproducedError, match="step 0"):
        list(film.Film(SPEC).pictures({0: (6, recording(5, ACTIONS))}))


def test_another_course_is_noticed_where_it_begins():
    steps = recording(5, ACTIONS)
    steps[1] = dataclasses.replace(steps[1], action=-steps[1].action)
    with pytest.raises(NotReproducedError, match="step 2"):
        list(film.Film(SPEC).pictures({0: (5, steps)}))
