# SPDX-License-Identifier: Apache-2.0
"""One hand of the operator: buttons and wrenches; and whose task the operator helps with."""

import dataclasses
from typing import ClassVar

import numpy as np
import pytest

from hil_serl_core.spec import load_task, task_from_dict
from hil_serl_sim.operator import OperatorMode, ScriptedOperator
from hil_serl_sim.operator_hand import DeviceInput, Hand, Person, Style, gripped
from hil_serl_sim.operator_session import ArmSight, OperatorSession, ScenePoses
from hil_serl_sim.twin import Guide, Intent, SceneView

STYLE = Style(speed=0.8, gain=0.8, foresight=0.5, press=0.2, search=0.1, phase=0.0, turning=1.0, strength=1.2)
POSE = np.array([0.0, 0.0, 0.1, 1.0, 0.0, 0.0, 0.0])


def view(stamp=0.0):
    return SceneView(stamp, {"": POSE}, {"": np.zeros(6)}, {"": 1.0}, {})


@pytest.fixture(scope="module")
def usb(task_file):
    return load_task(task_file.with_name("usb_insertion.yaml"))


def hand(spec, person=None) -> Hand:
    return Hand(spec, "", person or Person(tremor=0.0), STYLE, np.random.default_rng(0))


def presses(hand, wishes) -> list[tuple[int, ...]]:
    return [hand.move(view(), Intent(POSE, gripper=wish), False).buttons for wish in wishes]


def test_button_is_pressed_once_late_and_again_only_when_nothing_happens(usb):
    person = Person()
    given = presses(hand(usb), [-1.0] * 16)
    pressed = [k for k, buttons in enumerate(given) if buttons == (1, 0)]
    assert 0 <= pressed[0] <= person.button_steps[1]
    assert pressed[1] - pressed[0] > person.button_patience
    assert all(buttons in ((0, 0), (1, 0)) for buttons in given)


def test_open_button_follows_a_change_of_mind_at_once(usb):
    given = presses(hand(usb, Person(button_steps=(0, 0))), [-1.0, -1.0, 0.0, 1.0, 1.0, -1.0, 0.0])
    assert given == [(1, 0), (0, 0), (0, 0), (0, 1), (0, 0), (1, 0), (0, 0)]


def test_hand_that_was_off_may_press_the_same_button_again(usb):
    mine = hand(usb, Person(button_steps=(0, 0)))
    assert presses(mine, [-1.0]) == [(1, 0)]
    mine.release()
    assert presses(mine, [-1.0]) == [(1, 0)]


def test_buttons_are_the_task_files_and_must_exist(usb):
    content = usb.model_dump(mode="json")
    content["intervention"] |= {"close_button": 3, "open_button": 1}
    quick = Person(button_steps=(0, 0))
    assert presses(hand(task_from_dict(content), quick), [-1.0, 1.0]) == [(0, 0, 0, 1), (0, 1, 0, 0)]
    content["intervention"]["open_button"] = None
    with pytest.raises(ValueError, match="open_button"):
        hand(task_from_dict(content))


def test_wrench_goes_to_its_axes_with_the_persons_error(spec):
    content = spec.model_dump(mode="json")
    content["action"] = {"kind": "wrench", "wrench_axes": ["force_x", "torque_y"], "wrench_scale": [8.0, 1.0]}
    steady = Person(tremor=0.0, hand_rate=2.0)
    intent = Intent(wrench=np.array([0.5, -1.0]))
    axes = hand(task_from_dict(content), steady).move(view(), intent, False).axes
    np.testing.assert_allclose(axes, [0.6, 0, 0, 0, -1.0, 0])  # 1.2 times, within the device's range
    content["intervention"]["wrench_axis_map"] = [-3, 6]
    axes = hand(task_from_dict(content), steady).move(view(), intent, False).axes
    np.testing.assert_allclose(axes, [0, 0, -0.6, 0, 0, -1.0])


class Towards(Guide):
    """Wants to go along one direction for ever."""

    def __init__(self, direction):
        self.direction = np.array([*direction, 0, 0, 0, 0], dtype=float)

    def intents(self, view, bias, tolerance=1.0):
        return {"": Intent(view.tcp[""] + self.direction)}

    def resting(self, view):
        return False

    def progress(self, view):
        return 1.0

    def strayed(self, view):
        return False


class TestPartnerTasks:
    @pytest.fixture
    def session(self, spec):
        content = spec.model_dump(mode="json")
        content["sim"]["goal"] = "there"
        content["name"] = "forth"
        forth = task_from_dict(content)
        content["sim"]["goal"] = "here"
        content["name"] = "back"
        back = task_from_dict(content)
        person = Person(start_steps=(0, 0), pause_chance=0.0, reaction=(0.0, 0.0), tremor=0.0)
        operator = ScriptedOperator(forth, Towards([0.1, 0, 0]), 0, person)
        demonstrate = OperatorMode.DEMONSTRATE
        return OperatorSession(forth, operator, demonstrate, True, partners=[(back, Towards([-0.1, 0, 0]))])

    def answer(self, session, stamp, **goals):
        session.see_arm("", ArmSight(stamp, POSE, np.zeros(6), np.nan))
        session.see_scene(ScenePoses(stamp, 1, False, False, {}, goals), 0.0)
        return session.answer(0.0)[1][""].axes[0]

    def test_operator_helps_with_the_announced_task(self, session):
        session.announce("train", 1, "forth")
        assert self.answer(session, 1, there=False, here=True) > 0.1
        session.announce("train", 2, "back")
        self.answer(session, 2, there=True, here=False)  # the hand comes back
        assert self.answer(session, 3, there=True, here=False) < -0.1
        assert self.answer(session, 4, there=False, here=True) == 0.0  # done

    def test_unknown_task_is_named(self, session):
        with pytest.raises(ValueError, match=r"sideways.*back.*forth"):
            session.announce("train", 1, "sideways")


def test_habits_of_a_task_change_the_person(spec):
    class Quick(Towards):
        habits: ClassVar = {"reaction": (0.0, 0.0), "start_steps": (0, 0), "pause_chance": 0.0}

    usual, quick = (ScriptedOperator(spec, guide([0.1, 0, 0]), 0) for guide in (Towards, Quick))
    for operator in (usual, quick):
        operator.mode = OperatorMode.DEMONSTRATE
    first = dataclasses.replace(view(), stamp=0.1)
    assert not usual.act(first, 1)[""].axes.any()
    assert quick.act(first, 1)[""].axes[0] > 0.1


def test_the_hand_holds_the_deadman_while_it_does_anything():
    rest, push = DeviceInput(np.zeros(6)), DeviceInput(np.ones(6), (0, 1))
    assert gripped(push, None) is push
    assert gripped(push, 3).buttons == (0, 1, 0, 1)
    assert gripped(rest, 3) is rest
    assert gripped(rest, 3, driving=True).buttons == (0, 0, 0, 1), "who stands still on purpose holds it"
    assert gripped(rest, None, driving=True) is rest
    assert gripped(DeviceInput(np.zeros(6), (1, 0)), 3).buttons == (1, 0, 0, 1)
