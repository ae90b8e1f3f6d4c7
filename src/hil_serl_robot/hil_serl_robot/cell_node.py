# SPDX-License-Identifier: Apache-2.0
"""The own services of a real or mock cell: reset motion, joint reset, recovery. One per cell; not in the simulator.

Two arms have their topics and services under ``left/`` and ``right/``; the node itself runs in the cell's namespace.

Services:
    reset_episode (hil_serl_msgs/ResetEpisode): moves the arms together to the start drawn from the seed.
    joint_reset (std_srvs/Trigger): takes the arms to a joint pose, before long runs; needs ``joints``.
    recover (std_srvs/Trigger): clears errors of the arms and faults of their controllers, never by itself. Pauses the
        actor first, so that nothing moves when it is done.
Subscribes: arm_state, stopped, paused (each ends a motion), episode; target_pose and target_wrench, to notice who else
commands the arms.
Publishes: target_pose while it moves and until somebody else commands the arms; gripper/command.

Parameters:
    task: path of the task file (required).
    rate: targets per second (50).
    seed: of resets that are asked for with seed -1 (0).
    linear_speed, linear_acceleration: of the targets (0.1 m/s, 0.3 m/s^2).
    angular_speed, angular_acceleration: (0.5 rad/s, 1.5 rad/s^2).
    leash, angular_leash: the motion waits for an arm that is further behind (0.05 m, 0.3 rad).
    position_tolerance, rotation_tolerance: at which an arm has arrived (0.01 m, 0.05 rad).
    settle: how long it has to stay there (0.2 s).
    time_limit: of one reset motion (30 s).
    stale: age at which an arm's state no longer counts; default: the task's observation_timeout.
    gripper_wait: for tasks with a gripper, least time from its command to the motion: as long as a hand may need to begin
        (1.2 s). The motion then waits until the hand is there, for action.gripper.travel_time of the task at most.
    controller: node name of each arm's controller (cartesian_controller).
    reset_profile, episode_profile: its profile during the reset and afterwards; empty: not switched.
    switch_mode: wrench tasks: the controller's mode is impedance during the reset and wrench afterwards (true).
    controller_manager: node name (controller_manager), for joint_reset and recover.
    recovery: none or franka (none): what ``recover`` does besides ``reset_fault``.
    recovery_action: of the Franka driver (action_server/error_recovery).
    hardware_component: of ros2_control to make active again in a recovery; empty: none (franka: FrankaHardwareInterface;
        two arms: left.hardware_component, ... left_FrankaHardwareInterface).
    joints, joint_position: names and angles [rad] of the joint reset; empty: there is none. Two arms: left.joints, ...
    trajectory_controller: that follows them (joint_trajectory_controller).
    joint_speed, joint_acceleration: (0.3 rad/s, 0.5 rad/s^2).
    joint_leash: the joint reset gives up when a joint is further behind (0.1 rad).
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import numpy as np
from geometry_msgs.msg import PoseStamped, WrenchStamped
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import SetBool, Trigger

from hil_serl_core.reset import sample_start_poses
from hil_serl_msgs.msg import ArmState, EpisodeSummary
from hil_serl_msgs.srv import ResetEpisode
from hil_serl_robot.cell.actor_watch import ActorWatch
from hil_serl_robot.cell.controllers import Controllers
from hil_serl_robot.cell.hands_at_start import wait_for_hands
from hil_serl_robot.cell.joint_reset import JointReset
from hil_serl_robot.cell.mover import Mover
from hil_serl_robot.cell.options import read_options
from hil_serl_robot.cell.recovery import Recovery
from hil_serl_robot.cell.reset_run import Ended
from hil_serl_robot.cell.waiting import CellError, Waiting
from hil_serl_ros import names, qos
from hil_serl_ros.clocks import ClockWatch, ThrottledLog, step_in_words, timer_clock
from hil_serl_ros.command_publishers import CommandPublishers
from hil_serl_ros.conversions import arm_state_from_message
from hil_serl_ros.geometry_messages import pose_from_array
from hil_serl_ros.node_main import run_node
from hil_serl_ros.stamps import seconds_to_ns, stamp_from_seconds, stamp_to_ns

_PATIENCE = 5.0  # s


class CellNode(Node):
    """Wires a :class:`~hil_serl_robot.cell.mover.Mover` and the recovery to topics and services."""

    def __init__(self) -> None:
        super().__init__("cell")
        self._options = read_options(self)
        self._spec = self._options.spec
        self._rng = np.random.default_rng(self._options.seed)
        self._waiting = Waiting(self)
        commands = CommandPublishers(self, self._spec)
        self._mover = Mover(self._spec, self._options.limits, commands.publish, seconds_to_ns)
        self._busy, self._episode = "", False
        self._clock_watch, self._warn = ClockWatch.of(self), ThrottledLog(self.get_logger().warning)
        self._watch = ActorWatch(self, self._on_actor)
        options, arms = self._options, self._spec.arm_names
        self._controllers = {
            arm: Controllers(self, self._waiting, arm, options.controller, options.controller_manager)
            for arm in arms
        }
        self._recoveries = [
            Recovery(self, self._waiting, arm, self._controllers[arm], options) for arm in arms
        ]
        self._joint_resets = {
            arm: JointReset(self, self._waiting, arm, self._controllers[arm], options)
            for arm in options.joint_goals
        }
        self._make_interfaces()

    def _make_interfaces(self) -> None:
        for arm in self._spec.arm_names:
            topic = names.for_arm(names.ARM_STATE, arm)
            self.create_subscription(ArmState, topic, partial(self._on_arm, arm, topic), qos.ARM_STATE)
            for kind, name in ((PoseStamped, names.TARGET_POSE), (WrenchStamped, names.TARGET_WRENCH)):
                topic = self.resolve_topic_name(names.for_arm(name, arm))
                self.create_subscription(kind, topic, partial(self._on_target, topic), qos.TARGET_HEARD)
        self.create_subscription(EpisodeSummary, names.EPISODE, self._on_episode, qos.EPISODE)
        group = self._waiting.group
        self._pause = self.create_client(SetBool, names.PAUSE, callback_group=group)
        self.create_service(ResetEpisode, names.RESET_EPISODE, self._on_reset, callback_group=group)
        self.create_service(Trigger, names.JOINT_RESET, self._on_joint_reset, callback_group=group)
        self.create_service(Trigger, names.RECOVER, self._on_recover, callback_group=group)
        self.create_timer(1.0 / self._options.rate, self._on_timer, clock=timer_clock(self))

    # ----------------------------------------------------------------- inputs

    @property
    def _now(self) -> float:
        now, step = self._clock_watch.look()
        if step:
            words = step_in_words(step)
            self._warn(f"{words}; states of arms from before are dropped")
            self._mover.clock_was_set(words)
        return now

    def _on_timer(self) -> None:
        if self._busy:
            self._mover.halt = self._watch.halt
        self._mover.tick(self._now)

    def _on_actor(self) -> None:
        self._mover.halt = self._watch.halt
        self._mover.tick(self._now)  # at once

    def _on_arm(self, arm: str, topic: str, message: ArmState) -> None:
        try:
            self._mover.put_arm(arm, arm_state_from_message(message))
        except ValueError as error:
            self._warn(f"{topic}: {error}")

    def _on_target(self, topic: str, message: PoseStamped | WrenchStamped) -> None:
        self._mover.hear_target(topic, stamp_to_ns(message.header.stamp), self._now)

    def _on_episode(self, message: EpisodeSummary) -> None:
        self._episode = message.started

    # ------------------------------------------------------------ one at a time

    def _begin(self, what: str, in_pause: bool = True) -> None:
        """Nothing else may be under way; raises CellError. ``in_pause``: it is made while the run is paused."""
        if self._busy:
            raise CellError(f"{self._busy} is under way; wait for its end")
        self._busy = what
        self._watch.begin(in_pause=in_pause)
        self._mover.halt, self._mover.reserved = self._watch.halt, True

    def _done(self) -> None:
        self._busy = ""
        self._mover.reserved = False

    def _check_movable(self) -> None:
        """Raises CellError while the arms must not, or cannot, be moved."""
        if reason := self._watch.halt or self._mover.unusable(self._now):
            raise CellError(reason)

    # ------------------------------------------------------------------ reset

    async def _on_reset(
        self, request: ResetEpisode.Request, response: ResetEpisode.Response
    ) -> ResetEpisode.Response:
        seed = request.seed if request.seed >= 0 else int(self._rng.integers(2**31))
        try:
            self._begin("a reset", in_pause=False)
        except CellError as error:
            response.message = str(error)
            return response
        try:
            ended = await self._reset(sample_start_poses(self._spec, seed))
        except CellError as error:
            ended = Ended(False, str(error))
        finally:
            self._done()
        response.success, response.message = ended.success, ended.reason
        response.stamp = stamp_from_seconds(self._now)
        response.tcp_poses = [pose_from_array(pose) for pose in self._mover.poses.values()]
        if ended.success:
            response.message += f" of seed {seed}"
        else:
            self._warn(f"reset: {ended.reason}")
        return response

    async def _reset(self, goals: Mapping[str, np.ndarray]) -> Ended:
        self._check_movable()
        await self._set_up(self._options.reset_profile, "impedance")
        try:
            result = await self._move(goals)
        except CellError as error:
            result = Ended(False, str(error))
        await self._set_up(self._options.episode_profile, "wrench")
        if self._options.switch_mode:
            self._mover.let_go()  # in this mode the controller holds by itself until the first wrench
        return result

    async def _move(self, goals: Mapping[str, np.ndarray]) -> Ended:
        """Grippers first, then the arms."""
        if self._mover.opening is not None:
            self._mover.hold_here(self._now)
            await self._grippers_at_start()
        self._check_movable()
        ended = Future()
        self._mover.start(goals, self._now, ended.set_result)
        result: Ended = await ended
        return result

    async def _grippers_at_start(self) -> None:
        gripper, least = self._spec.action.gripper, self._options.gripper_wait
        assert gripper is not None
        mover, halt = self._mover, lambda: self._watch.halt
        if late := await wait_for_hands(gripper, least, lambda: mover.openings, halt, self._waiting.sleep):
            self._warn(f"reset: {late}")

    async def _set_up(self, profile: str, mode: str) -> None:
        """Controllers' profile and, in wrench tasks, mode; for the reset or for the episode."""
        values = {"profile": profile} if profile else {}
        if self._options.switch_mode:
            values["mode"] = mode
        if values:
            for controllers in self._controllers.values():
                await controllers.set_parameters(values)

    # ---------------------------------------------- joint reset and recovery

    async def _on_joint_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return await self._answer("the joint reset", self._reset_joints, response)

    async def _on_recover(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return await self._answer("the recovery", self._recover, response)

    async def _answer(
        self, what: str, work: Callable[[], Awaitable[str]], response: Trigger.Response
    ) -> Trigger.Response:
        """Do one thing at a time and say how it went."""
        try:
            self._begin(what)
        except CellError as error:
            response.message = str(error)
            return response
        self.get_logger().info(f"{what} was asked for")
        try:
            response.message = await work()
            response.success = True
        except CellError as error:
            response.message = str(error)
        finally:
            self._done()
        self.get_logger().info(f"{what}: {response.message}")
        return response

    async def _reset_joints(self) -> str:
        if not self._joint_resets:
            raise CellError(
                "no joint pose is configured: set 'joints' and 'joint_position' of cell_node (the robot file)"
            )
        if self._episode and self.count_publishers(names.EPISODE) > 0:
            raise CellError("an episode is running; pause the actor first: hil-serl pause")
        self._check_movable()
        self._mover.let_go()  # the arm is another controller's for a while
        positions = {name: arm.joint_position for name, arm in self._mover.arms.items() if arm is not None}
        return "; ".join(
            [
                await reset.run(positions[arm], lambda: self._watch.halt)
                for arm, reset in self._joint_resets.items()
            ]
        )

    async def _recover(self) -> str:
        """A recovered arm must not set off by itself: an actor that waits for it is paused first."""
        self._mover.let_go()
        paused = ""
        if self._pause.service_is_ready():
            await self._waiting.call(
                self._pause, SetBool.Request(data=True), _PATIENCE, "is the actor alive?"
            )
            paused = "; the actor is paused, go on with: hil-serl unpause"
        return "; ".join([await recovery.run() for recovery in self._recoveries]) + paused


def main() -> None:
    """Entry point of the executable."""
    sys.exit(run_node(CellNode))


if __name__ == "__main__":
    main()
