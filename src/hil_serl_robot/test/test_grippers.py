# SPDX-License-Identifier: Apache-2.0
"""Grippers: what is sent when, without ROS; the mock over topics; real action types where their packages are installed."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import rclpy
from rclpy.action import ActionServer
from rclpy.executors import SingleThreadedExecutor
from rclpy.task import Future
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64
from std_srvs.srv import Trigger

from hil_serl_core.testing.waiting import PATIENCE, wait_for
from hil_serl_robot.gripper_node import GripperNode
from hil_serl_robot.grippers import adapters
from hil_serl_robot.grippers.adapters import ActionGoal
from hil_serl_robot.grippers.driver import HandDriver
from hil_serl_robot.grippers.fingers import Fingers
from hil_serl_robot.grippers.servo import GripperServo, MockGripper
from hil_serl_ros import names, qos

SUCCEEDED, ABORTED = 4, 6


def test_only_a_change_is_sent():
    servo = GripperServo(preempts=True)
    assert servo.due(0.0) is None, "nothing was asked for"
    servo.command(1.0)
    assert servo.due(0.0) == 1.0
    servo.started(1.0)
    for _ in range(3):
        servo.command(1.0)
        assert servo.due(0.1) is None
    servo.command(0.0)
    assert servo.due(0.2) == 0.0, "replaces the goal under way"
    servo.command(-3.0)
    assert servo.wanted == 0.0
    with pytest.raises(ValueError, match="from 0 \\(closed\\) to 1 \\(open\\)"):
        servo.command(math.nan)
    assert servo.wanted == 0.0


def test_a_hand_that_knows_one_goal_at_a_time_gets_the_newest_afterwards():
    servo = GripperServo(preempts=False)
    servo.command(0.0)
    servo.started(0.0)
    servo.command(0.5)
    servo.command(1.0)
    assert servo.due(0.1) is None
    servo.finished(True, 0.2)
    assert servo.due(0.2) == 1.0


def test_what_failed_is_tried_again_after_a_while():
    servo = GripperServo(preempts=True, retry=2.0)
    servo.command(0.0)
    servo.started(0.0)
    servo.finished(False, 1.0)
    assert servo.due(1.5) is None
    assert servo.due(3.0) == 0.0


def test_mock_follows_with_its_speed():
    mock = MockGripper(speed=2.0)
    mock.command(0.0)
    assert mock.step(0.1) == pytest.approx(0.8)
    assert mock.step(10.0) == 0.0
    mock.command(0.3)
    assert mock.step(10.0) == pytest.approx(0.3)


class PlayedHand:
    """An adapter whose action server is the test."""

    preempts, driver = True, "the test"

    def __init__(self):
        self.sent, self.ready, self.answers, self.cancelled = [], True, True, []
        self.servers = {"hand/move": self}

    def server_is_ready(self):
        return self.ready

    def send_goal_async(self, goal):
        result, future = Future(), Future()
        handle = SimpleNamespace(
            accepted=goal is not None,
            get_result_async=lambda: result,
            cancel_goal_async=lambda: self.cancelled.append(goal),
        )
        self.sent.append((goal, result))
        if self.answers:
            future.set_result(handle)
        return future

    def goal(self, opening, last):
        return ActionGoal(self, "hand/move", opening, lambda result: result)

    def homing(self):
        return ActionGoal(self, "hand/home", "home", lambda result: result, patience=3.0)


@pytest.fixture
def hand():
    """Driver of a played hand; its time is ``hand.clock[0]``, its warnings ``hand.warnings``."""
    adapter, clock, warnings = PlayedHand(), [0.0], []
    driver = HandDriver(adapter, lambda: clock[0], warnings.append)
    driver.adapter, driver.clock, driver.warnings = adapter, clock, warnings
    return driver


def end(result, reason="", status=SUCCEEDED):
    result.set_result(SimpleNamespace(result=reason, status=status))


def test_driver_names_the_action_and_the_remedy_when_it_is_missing(hand):
    hand.adapter.ready = False
    hand.command(0.0)
    assert "no action server 'hand/move'; start the gripper's driver: the test" in hand.warnings[0]
    hand.adapter.ready = True
    hand.command(0.0)
    assert [goal for goal, _ in hand.adapter.sent] == [0.0]


def test_a_server_that_ends_during_a_goal_is_noticed_and_gets_the_next_command_when_it_is_back(hand):
    hand.command(1.0)
    hand.look()
    assert hand.trouble == ""
    hand.adapter.ready = False
    hand.look()
    hand.clock[0] = 1.0  # GONE_TIME is over
    hand.look()
    assert (
        "action server 'hand/move' went away during a goal; start the gripper's driver again" in hand.trouble
    )
    hand.clock[0] = 600.0
    hand.look()
    assert "no action server 'hand/move'" in hand.trouble
    hand.adapter.ready = True
    hand.look()
    hand.send_due()
    assert len(hand.adapter.sent) == 1, "a hand that comes back does not move by itself"
    hand.command(1.0)
    assert [goal for goal, _ in hand.adapter.sent] == [1.0, 1.0]
    end(hand.adapter.sent[1][1])
    assert hand.trouble == ""
    end(hand.adapter.sent[0][1], "too late", ABORTED)
    assert hand.trouble == ""


def test_a_server_that_is_gone_between_two_goals_is_named_before_anybody_needs_it(hand):
    hand.command(1.0)
    end(hand.adapter.sent[0][1])
    hand.adapter.ready = False
    hand.look()
    assert "no action server 'hand/move'" in hand.trouble
    hand.adapter.ready = True
    hand.look()
    assert hand.trouble == ""
    hand.command(1.0)
    assert len(hand.adapter.sent) == 2, "nobody knows where a hand stands whose driver was started again"


@pytest.mark.parametrize("answers", [False, True])
def test_a_server_that_does_not_answer_or_end_a_goal_is_not_waited_for(hand, answers):
    """One that was killed looks alive for as long as the middleware's lease lasts."""
    hand.adapter.answers = answers
    hand.command(0.0)
    hand.clock[0] = 11.0
    hand.look()
    assert ("did not end it within 10 s" if answers else "did not answer") in hand.trouble
    assert hand.adapter.cancelled == ([0.0] if answers else []), "a hand that hangs is told to stop"
    hand.adapter.answers = True
    hand.command(0.0)
    assert len(hand.adapter.sent) == 1
    hand.clock[0] = 20.0
    hand.command(0.0)
    end(hand.adapter.sent[1][1])
    assert hand.trouble == ""


def test_homing_may_take_longer_and_is_not_waited_for_either(hand):
    hand.home()
    hand.clock[0] = 11.0
    hand.look()
    assert hand.trouble == ""
    hand.clock[0] = 31.0
    hand.look()
    assert "did not end it within 30 s" in hand.trouble
    hand.command(1.0)
    hand.clock[0] = 40.0
    hand.command(1.0)
    assert [goal for goal, _ in hand.adapter.sent] == ["home", 1.0]


def test_driver_reports_a_failure_and_repeats_the_command(hand):
    hand.command(0.0)
    end(hand.adapter.sent[0][1], "the hand reports: jammed", ABORTED)
    assert "action 'hand/move' failed: the hand reports: jammed" in hand.trouble
    hand.send_due()
    assert len(hand.adapter.sent) == 1
    hand.clock[0] = 5.0
    hand.send_due()
    assert len(hand.adapter.sent) == 2
    end(hand.adapter.sent[1][1])
    assert hand.trouble == ""


class PlayedGoal(SimpleNamespace):
    """Any action's goal."""

    def __init__(self, **fields):
        super().__init__(epsilon=SimpleNamespace(), **fields)


@pytest.mark.parametrize(("opening", "last", "action"), [
    (1.0, 0.0, "move"),
    (0.0, 1.0, "grasp"),
    (1.0, math.nan, "move"),
    (0.0, math.nan, "grasp"),
])  # fmt: skip
def test_a_franka_hand_that_is_to_open_moves_also_at_first_and_after_a_failure(
    monkeypatch, opening, last, action
):
    """A grasp would close with force around whatever is between its fingers, and call that a success."""
    kinds = {name: SimpleNamespace(Goal=PlayedGoal) for name in ("Move", "Grasp", "Homing")}
    monkeypatch.setattr(adapters, "message_package", lambda *_: SimpleNamespace(**kinds))
    monkeypatch.setattr(adapters, "ActionClient", lambda node, kind, name: name)
    hand = adapters.FrankaHand(None, adapters.Hand("hand", 0.08, 0.0, "", 0.04, 0.0, 0.1, 40.0))
    assert hand.goal(opening, last).name == f"hand/{action}"


def test_the_end_of_a_replaced_goal_means_nothing(hand):
    hand.command(0.0)
    hand.command(1.0)
    end(hand.adapter.sent[0][1], "", ABORTED)
    assert hand.trouble == ""
    assert len(hand.adapter.sent) == 2
    end(hand.adapter.sent[1][1], "", ABORTED)
    assert "status 6" in hand.trouble


def test_homing_is_done_on_request_and_commands_wait_for_its_end(hand):
    assert hand.home() == ""
    assert "already" in hand.home()
    hand.command(1.0)
    assert [goal for goal, _ in hand.adapter.sent] == ["home"]
    end(hand.adapter.sent[0][1])
    assert [goal for goal, _ in hand.adapter.sent] == ["home", 1.0]


# ------------------------------------------------------- measured fingers

FINGER = adapters.Hand("hand", 0.08, 0.0, "", 0.04, 0.0, 0.1, 40.0)
ARM_AND_FINGERS = ["elbow", "finger_joint1"]


def test_of_several_joints_the_finger_has_to_be_named():
    fingers = Fingers(FINGER, "/joint_states")
    assert fingers.measure(["finger"], [0.02], 0.0) == pytest.approx(0.5)
    assert fingers.measure(ARM_AND_FINGERS, [0.04, 0.0], 0.1) is None, "the elbow is no opening"
    assert "carries 3 joints (finger, elbow, finger_joint1)" in fingers.trouble
    assert "parameter 'joint'" in fingers.silence(0.1, 1.0)
    assert fingers.measure(["finger"], [0.02], 0.2) is None, "who of them is it, now?"
    named = Fingers(replace(FINGER, joint="finger_joint1"), "/joint_states")
    assert named.measure(ARM_AND_FINGERS, [1.3, 0.04], 0.0) == 1.0
    assert named.measure(["wrist"], [1.3], 0.1) is None, "a message of other joints"
    assert named.trouble == ""
    assert "no position of joint 'finger_joint1'" in named.silence(5.0, 1.0)


def test_joints_without_names_and_names_without_positions():
    fingers = Fingers(FINGER, "/joint_states")
    assert fingers.measure([], [0.04], 0.0) == 1.0
    assert fingers.measure(["finger"], [], 0.0) is None
    assert fingers.measure([], [0.04, 0.04], 0.0) is None
    assert "carries 2 joints" in fingers.trouble


def test_a_joint_far_outside_the_hands_range_is_another_joint():
    fingers = Fingers(replace(FINGER, joint="elbow"), "/joint_states")
    assert fingers.measure(ARM_AND_FINGERS, [1.3, 0.0], 0.0) is None
    assert "joint 'elbow' stands at 1.3, far outside joint_closed 0 to joint_open 0.04" in fingers.trouble
    assert fingers.measure(["elbow"], [0.041], 0.1) == 1.0, "a little beyond is the calibration's"
    assert fingers.trouble == ""


def test_fingers_that_do_not_show_a_goal_that_ended_well_are_named():
    fingers = Fingers(FINGER, "/joint_states")
    for k in range(100):
        fingers.measure(["finger"], [0.04], 0.1 * k)
    report = fingers.frozen(before=1.0, opening=0.0, sent=5.0, ended=6.0, now=9.9)
    assert "went from 1.00 to 0.00, but a joint has not changed by a single bit" in report
    assert fingers.frozen(1.0, 0.9, 5.0, 6.0, 9.9) == "", "hardly a way"
    assert fingers.frozen(1.0, 0.0, 5.0, 9.5, 9.9) == "", "it may still show"
    assert fingers.frozen(math.nan, 0.0, 5.0, 6.0, 9.9) == ""
    fingers.measure(["finger"], [0.039], 10.0)
    assert fingers.frozen(1.0, 0.0, 5.0, 6.0, 12.0) == ""


# ------------------------------------------------------------- over topics


class Cell:
    """A gripper node and a node of the test in one executor."""

    def __init__(self, **parameters):
        arguments = [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]
        rclpy.init(args=["--ros-args", *arguments])
        self.node, self.states, self.served = rclpy.create_node("test", use_global_arguments=False), [], []
        self.node.create_subscription(
            Float64, names.GRIPPER_STATE, lambda m: self.states.append(m.data), qos.GRIPPER_STATE
        )
        self._command = self.node.create_publisher(Float64, names.GRIPPER_COMMAND, qos.GRIPPER_COMMAND)
        self._executor = SingleThreadedExecutor()
        self._nodes = [self.node, GripperNode()]
        for node in self._nodes:
            self._executor.add_node(node)

    def serve(self, kind, name, answer):
        """An action server whose goals are kept in ``served`` and answered at once."""

        def execute(handle):
            self.served.append(handle.request)
            handle.succeed()
            return answer(kind.Result())

        return ActionServer(self.node, kind, name, execute)

    def until(self, condition, command=None):
        def play():
            if command is not None:
                self._command.publish(Float64(data=command))
            self._executor.spin_once(timeout_sec=0.02)

        wait_for(condition, "the gripper", play, lambda: (self.states[-3:], self.served))

    def close(self):
        self._executor.shutdown()
        for node in self._nodes:
            node.destroy_node()
        rclpy.try_shutdown()


@pytest.fixture
def cell():
    """``cell(kind=..., parameters)``: see ``Cell``."""
    made = []

    def make(**parameters):
        made.append(Cell(**parameters))
        return made[0]

    yield make
    for each in made:
        each.close()


def test_mock_gripper_over_topics(cell):
    world = cell(kind="mock", speed=5.0)
    world.until(lambda: 1.0 in world.states)
    world.until(lambda: 0.0 in world.states, command=0.0)
    assert any(0.0 < state < 1.0 for state in world.states), "it takes its time"
    world.until(lambda: world.states[-1] == 0.5, command=0.5)


@pytest.mark.parametrize("kind", ["GripperCommand", "ParallelGripperCommand"])
def test_control_msgs_gripper(cell, kind):
    actions = pytest.importorskip("control_msgs.action")
    action = getattr(actions, kind)
    world = cell(
        kind="control_msgs",
        action_type=kind,
        action="hand/cmd",
        joint="finger",
        closed_position=0.01,
        effort=20.0,
    )
    server = world.serve(action, "hand/cmd", lambda result: _with(result, reached_goal=False, stalled=True))
    world.until(lambda: len(world.served) == 1, command=0.0)
    world.until(lambda: len(world.served) == 2, command=1.0)
    if kind == "GripperCommand":
        sent = [(goal.command.position, goal.command.max_effort) for goal in world.served]
    else:
        assert world.served[0].command.name == ["finger"]
        sent = [(goal.command.position[0], goal.command.effort[0]) for goal in world.served]
    assert sent == [(pytest.approx(0.01), 20.0), (pytest.approx(0.08), 20.0)]
    joints = world.node.create_publisher(JointState, "joint_states", 1)
    world.until(lambda: joints.get_subscription_count() == 1)
    message = JointState(name=["elbow", "finger"], position=[3.0, 0.045])
    for _ in range(20):
        joints.publish(message)
        world.until(lambda: True)
    world.until(lambda: world.states)
    assert world.states[-1] == pytest.approx(0.5)
    server.destroy()


def test_franka_hand_grasps_to_close_and_moves_to_open(cell):
    actions = pytest.importorskip("franka_msgs.action")
    world = cell(kind="franka", action="hand", effort=30.0)
    servers = [
        world.serve(
            getattr(actions, name.capitalize()), f"hand/{name}", lambda result: _with(result, success=True)
        )
        for name in ("move", "grasp", "homing")
    ]
    world.until(lambda: len(world.served) == 1, command=0.0)
    assert isinstance(world.served[0], actions.Grasp.Goal)
    assert (world.served[0].width, world.served[0].force) == (0.0, 30.0)
    assert world.served[0].epsilon.outer == pytest.approx(0.08), "an object of any width is a grasp"
    world.until(lambda: len(world.served) == 2, command=1.0)
    assert isinstance(world.served[1], actions.Move.Goal)
    assert world.served[1].width == pytest.approx(0.08)
    client = world.node.create_client(Trigger, names.GRIPPER_HOME)
    world.until(client.service_is_ready)
    future = client.call_async(Trigger.Request())
    world.until(future.done)
    assert future.result().success
    world.until(lambda: len(world.served) == 3)
    for server in servers:
        server.destroy()


def _with(result, **values):
    for name, value in values.items():
        setattr(result, name, value)
    return result


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ("-p kind:=frankka", "did you mean 'franka'?"),
        ("", "parameter 'kind' is required"),
        ("-p kind:=control_msgs -p open_position:=0.0", "have to differ"),
    ],
)
def test_mistakes_end_the_node_with_one_clear_line(parameters, error):
    code = "from hil_serl_robot.gripper_node import main; main()"
    command = [sys.executable, "-c", code, "--ros-args", *parameters.split()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2, done.stderr
    assert error in done.stderr


def test_a_missing_message_package_is_named(tmp_path):
    (tmp_path / "franka_msgs").mkdir()  # shadows an installed one
    (tmp_path / "franka_msgs" / "__init__.py").write_text("raise ImportError('not here')")
    code = "from hil_serl_robot.gripper_node import main; main()"
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code, "--ros-args", "-p", "kind:=franka"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 2, done.stderr
    assert "needs the package 'franka_msgs', which is not installed" in done.stderr
    assert "apt install ros-jazzy-franka-msgs" in done.stderr
