# SPDX-License-Identifier: Apache-2.0
"""Simulator and operator as separate processes over DDS, with a client in the actor's place."""

import hashlib
import os
import pathlib
import signal
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import PoseStamped
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image, Joy
from std_msgs.msg import Float64

from hil_serl_core.action import ActionMapper, ArmCommand
from hil_serl_core.arbiter import InterventionArbiter, OperatorInput
from hil_serl_core.spec import load_task
from hil_serl_core.testing.waiting import PATIENCE, wait_for
from hil_serl_msgs.msg import ArmState, EpisodeSummary, SceneTruth
from hil_serl_msgs.srv import ResetEpisode
from hil_serl_ros import names, qos
from hil_serl_ros.conversions import arm_state_from_message
from hil_serl_ros.geometry_messages import pose_stamped, pose_to_array
from hil_serl_ros.images import to_array
from hil_serl_ros.stamps import stamp_to_ns
from hil_serl_tasks.finder import suite_folder

pytestmark = pytest.mark.integration
FLIP = suite_folder() / "sim" / "object_flip.yaml"
DOMAIN = os.environ["ROS_DOMAIN_ID"]  # of this suite alone, see the conftest.py of the repository


def start(module: str, **parameters) -> subprocess.Popen:
    command = [sys.executable, "-m", f"hil_serl_sim.{module}", "--ros-args"]
    for name, value in parameters.items():
        text = f"'{value}'" if isinstance(value, str) else str(value).lower()
        command += ["-p", f"{name}:={text}"]
    environment = {**os.environ, "ROS_DOMAIN_ID": DOMAIN, "OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def stop(process: subprocess.Popen) -> int:
    process.send_signal(signal.SIGINT)
    try:
        complaints = process.communicate(timeout=PATIENCE)[1]
    finally:
        process.kill()
    if process.returncode:
        print(complaints)  # pytest shows it
    return process.returncode


class Client:
    """Listens to everything, resets, and commands."""

    def __init__(self, spec):
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=int(DOMAIN))
        self.node = rclpy.create_node("client", context=self.context)
        self.executor = rclpy.executors.SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.spec, self.truth, self.clock = spec, None, None
        self.arms, self.joys, self.images = {}, {}, {}
        self.targets, self.grippers = {}, {}
        subscribe = self.node.create_subscription
        for arm in spec.arm_names:
            state, joy = names.for_arm(names.ARM_STATE, arm), names.for_arm(names.SPACENAV_JOY, arm)
            subscribe(ArmState, state, lambda m, a=arm: self.arms.update({a: m}), qos.ARM_STATE)
            subscribe(Joy, joy, lambda m, a=arm: self.joys.update({a: m}), qos.OPERATOR)
            target, gripper = names.for_arm(names.TARGET_POSE, arm), names.for_arm(names.GRIPPER_COMMAND, arm)
            self.targets[arm] = self.node.create_publisher(PoseStamped, target, qos.TARGET)
            self.grippers[arm] = self.node.create_publisher(Float64, gripper, qos.GRIPPER_COMMAND)
        subscribe(SceneTruth, names.SCENE_TRUTH, lambda m: setattr(self, "truth", m), qos.SCENE_TRUTH)
        subscribe(Clock, names.CLOCK, lambda m: setattr(self, "clock", m), qos.CLOCK)
        for camera in [c.name for c in spec.cameras]:
            subscribe(
                Image, names.camera_image(camera), lambda m, c=camera: self.images.update({c: m}), qos.CAMERA
            )
        self.episodes = self.node.create_publisher(EpisodeSummary, names.EPISODE, qos.EPISODE)
        self.resetter = self.node.create_client(ResetEpisode, names.RESET_EPISODE)

    def until(self, condition):
        wait_for(condition, meanwhile=lambda: self.executor.spin_once(timeout_sec=0.05))

    def reset(self, seed: int) -> ResetEpisode.Response:
        assert self.resetter.wait_for_service(timeout_sec=PATIENCE)
        future = self.resetter.call_async(ResetEpisode.Request(seed=seed))
        self.until(future.done)
        return future.result()

    def command(self, pose: np.ndarray, stamp_ns: int, frame: str | None = None):
        self.targets[""].publish(pose_stamped(pose, stamp_ns, frame or self.spec.base_frame))

    def send(self, commands: dict[str, ArmCommand], stamp_ns: int):
        """As the actor does: gripper first, then the target, for each arm."""
        for arm, command in commands.items():
            if command.gripper is not None:
                self.grippers[arm].publish(Float64(data=command.gripper))
            self.targets[arm].publish(pose_stamped(command.pose, stamp_ns, self.spec.arm(arm).base_frame))

    @property
    def arm(self) -> ArmState | None:
        return self.arms.get("")

    def have(self, stamp_ns: int, joy: bool = False) -> bool:
        messages = [self.truth, *(self.arms.get(a) for a in self.spec.arm_names)]
        messages += [*(self.images.get(c.name) for c in self.spec.cameras)]
        messages += [self.joys.get(a) for a in self.spec.arm_names] if joy else []
        return all(m is not None and stamp_to_ns(m.header.stamp) == stamp_ns for m in messages)

    def close(self):
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def client(spec):
    client = Client(spec)
    yield client
    client.close()


def demonstrate(client: Client, spec, seed: int) -> tuple[str, int, bool]:
    """One episode driven by the operator's joy messages: digest of all it saw, steps, success."""
    arbiter, mapper, digest = InterventionArbiter(spec), ActionMapper(spec), hashlib.sha256()
    reply = client.reset(seed)
    assert reply.success
    stamp = stamp_to_ns(reply.stamp)
    announcement = EpisodeSummary(mode="record_demos", started=True)
    announcement.header.stamp = reply.stamp
    client.episodes.publish(announcement)
    for step in range(spec.episode.max_steps):
        client.until(lambda stamp=stamp: client.have(stamp, joy=True))
        for camera in spec.cameras:
            digest.update(bytes(client.images[camera.name].data))
        samples = {arm: arm_state_from_message(client.arms[arm]) for arm in spec.arm_names}
        inputs = {
            arm: OperatorInput(stamp * 1e-9, np.array(joy.axes), list(joy.buttons))
            for arm, joy in client.joys.items()
        }
        for arm in spec.arm_names:
            digest.update(samples[arm].tcp_pose.tobytes() + inputs[arm].axes.tobytes())
        if client.truth.success:
            return digest.hexdigest(), step, True
        client.send(mapper.commands(arbiter.update(stamp * 1e-9, inputs).action, samples), stamp)
        stamp += round(spec.period * 1e9)
    return digest.hexdigest(), spec.episode.max_steps, False


def test_operator_demonstrates_in_lockstep_and_the_run_repeats_bit_by_bit(spec, task_file, client):
    outcomes = []
    for _ in range(2):
        with running(task_file, client):
            outcomes.append([demonstrate(client, spec, seed) for seed in (11, 12)])
        client.until(lambda: client.node.count_publishers(names.ARM_STATE) == 0)
    assert outcomes[0] == outcomes[1]
    assert any(success for _, _, success in outcomes[0])


@pytest.mark.parametrize("task", ["usb_insertion", "object_handover"])
def test_operator_works_grippers_and_two_arms(task, task_file):
    path = task_file.with_name(f"{task}.yaml")
    client = Client(load_task(path))
    try:
        with running(path, client):
            outcomes = [demonstrate(client, client.spec, seed) for seed in (11, 12)]
        assert any(success for _, _, success in outcomes)
        assert all(0.0 <= arm.gripper_position <= 1.0 for arm in client.arms.values())
    finally:
        client.close()


@contextmanager
def running(task: pathlib.Path, client: Client):
    """Simulator and operator of a task, which must both end well."""
    simulator = start("sim_node", task=str(task), speed="lockstep", seed=3)
    operator = start("operator_node", task=str(task), seed=5)
    try:
        joy = names.for_arm(names.SPACENAV_JOY, client.spec.arm_names[0])
        client.until(lambda: client.node.count_publishers(joy) > 0)
        client.until(lambda: client.node.count_subscribers(names.EPISODE) > 0)
        yield
    finally:
        codes = [stop(operator), stop(simulator)]
    assert codes == [0, 0]


def test_lockstep_waits_and_ignores_targets_of_other_ticks(spec, task_file, client):
    simulator = start("sim_node", task=str(task_file), speed="lockstep")
    try:
        reply = client.reset(1)
        stamp = stamp_to_ns(reply.stamp)
        client.until(lambda: client.have(stamp))
        pose = pose_to_array(client.arm.tcp_pose)
        assert pose == pytest.approx(pose_to_array(reply.tcp_poses[0]))
        client.command(pose, stamp - 100_000_000)
        client.arms.clear()
        client.until(lambda: client.arm is not None)  # shown again, since nobody answered
        assert stamp_to_ns(client.arm.header.stamp) == stamp
        client.command(pose, stamp)
        client.until(lambda: client.have(stamp + 100_000_000))
        assert stamp_to_ns(client.clock.clock) in (stamp, stamp + 100_000_000)
        # a target in another frame makes the law latch a fault and hold; a reset ends it
        client.command(pose + np.array([0.01, 0, 0, 0, 0, 0, 0]), stamp + 100_000_000, frame="camera_link")
        client.until(lambda: client.have(stamp + 200_000_000))
        assert client.arm.fault != 0
        assert client.arm.fault_text
        assert pose_to_array(client.arm.tcp_pose)[:3] == pytest.approx(pose[:3], abs=5e-4)
        stamp = stamp_to_ns(client.reset(1).stamp)
        client.until(lambda: client.have(stamp))
        assert client.arm.fault == 0
    finally:
        code = stop(simulator)
    assert code == 0


def test_scaled_real_time_runs_by_itself(spec, task_file, client):
    simulator = start("sim_node", task=str(task_file), speed="2.0")
    try:
        stamp = stamp_to_ns(client.reset(1).stamp)
        client.until(lambda: client.arm is not None and stamp_to_ns(client.arm.header.stamp) > stamp)
        goal = pose_to_array(client.arm.tcp_pose) + np.array([0, 0, 0.02, 0, 0, 0, 0])
        begin = stamp_to_ns(client.arm.header.stamp)

        def drive():
            client.command(goal, stamp_to_ns(client.arm.header.stamp))
            client.executor.spin_once(timeout_sec=0.02)

        wait_for(
            lambda: pose_to_array(client.arm.tcp_pose)[2] == pytest.approx(goal[2], abs=2e-3),
            "the goal",
            drive,
        )
        assert client.arm.fault == 0
        assert stamp_to_ns(client.arm.header.stamp) > begin
        assert stamp_to_ns(client.clock.clock) > begin
    finally:
        code = stop(simulator)
    assert code == 0


def test_compressed_pictures_are_those_of_the_raw_topic(spec, task_file, client):
    jpegs = {}
    camera = spec.cameras[0].name
    client.node.create_subscription(
        CompressedImage,
        names.camera_compressed(camera),
        lambda m: jpegs.update({stamp_to_ns(m.header.stamp): m}),
        qos.CAMERA,
    )
    simulator = start("sim_node", task=str(task_file), speed="1.0", compressed=True)
    try:
        client.until(
            lambda: camera in client.images and stamp_to_ns(client.images[camera].header.stamp) in jpegs
        )
    finally:
        assert stop(simulator) == 0
    raw = client.images[camera]
    jpeg = jpegs[stamp_to_ns(raw.header.stamp)]
    assert jpeg.header.frame_id == raw.header.frame_id
    assert len(jpeg.data) < len(raw.data)
    difference = to_array(jpeg, camera).astype(int) - to_array(raw, camera)
    assert np.abs(difference).mean() < 10


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"speed": "fast"}, "lockstep"),
        ({"task": "/nowhere.yaml"}, "task"),
        ({"speed": "-1.0"}, "positive"),
        ({"perturbation": "open_gripper"}, "does not move its gripper"),
        ({"perturbation": "move_target", "task": str(FLIP)}, "no target that can be moved"),
    ],
)
def test_wrong_parameters_end_the_simulator_with_one_line(task_file, parameters, says):
    process = start("sim_node", **{"task": str(task_file), **parameters})
    try:
        assert process.wait(timeout=PATIENCE) == 2
        errors = [line for line in process.stderr.read().splitlines() if line.startswith("error: ")]
    finally:
        process.kill()
        process.stderr.close()
    assert len(errors) == 1
    assert says in errors[0]
