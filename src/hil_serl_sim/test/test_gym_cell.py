# SPDX-License-Identifier: Apache-2.0
"""Any Gymnasium environment as the cell: mapping without ROS, then behind the real actor over DDS."""

import os
import signal
import subprocess
import sys
import textwrap

import gymnasium
import numpy as np
import pytest
import rclpy
import yaml
from gymnasium.spaces import Box, Dict
from sensor_msgs.msg import Joy

from hil_serl_core import geometry
from hil_serl_core.action import ActionMapper
from hil_serl_core.spec import load_task, task_from_dict, task_to_yaml
from hil_serl_core.testing.waiting import PATIENCE, wait_for
from hil_serl_msgs.msg import ArmState
from hil_serl_ros import names, qos
from hil_serl_sim.gym_cell import Adapter, GymCell, GymError, logarithm, make_environment

DOMAIN = os.environ["ROS_DOMAIN_ID"]  # of this suite alone, see the conftest.py of the repository
PIXELS = textwrap.dedent(
    """
    import gymnasium, numpy as np
    from gymnasium.spaces import Box, Dict

    class Slide(gymnasium.Env):
        '''A dot on a 40x32 picture; it has to be pushed to the right edge. SERL's names, no pose.'''
        observation_space = Dict({
            "images": Dict({"wrist_1": Box(0, 255, (32, 40, 3), np.uint8)}),
            "state": Dict({"q": Box(-1, 1, (2,), np.float64)}),
        })
        action_space = Box(-2.0, 2.0, (2,), np.float32)

        def _show(self):
            picture = np.full((32, 40, 3), 40, np.uint8)
            column, row = np.clip(np.round(self.place * [38, 30]).astype(int), 0, [38, 30])
            picture[row:row + 2, column:column + 2] = 255
            return {"images": {"wrist_1": picture}, "state": {"q": self.place.copy()}}

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.place = np.array([0.0, self.np_random.uniform(0.2, 0.8)])
            return self._show(), {}

        def step(self, action):
            self.place = np.clip(self.place + 0.05 * np.asarray(action), 0.0, 1.0)
            done = bool(self.place[0] >= 1.0)
            return self._show(), float(done), done, False, {"succeed": done}
    """
)


@pytest.fixture(scope="module")
def slide(tmp_path_factory, task_file):
    """Module with the environment, task file and task."""
    folder = tmp_path_factory.mktemp("slide")
    (folder / "slide_world.py").write_text(PIXELS)
    sys.path.insert(0, str(folder))
    task = folder / "slide.yaml"
    base = os.path.relpath(task_file.resolve(), folder)
    content = {
        "extends": base,
        "name": "slide",
        "cameras": [
            {"name": "wrist_1", "source_width": 40, "source_height": 32, "crop": [4, 0, 32, 32], "size": 32}
        ],
        "state": ["joint_position"],
        "action": {
            "kind": "wrench",
            "translation_scale": None,
            "rotation_scale": None,
            "wrench_axes": ["force_x", "force_y"],
            "wrench_scale": [1.0, 1.0],
        },
        "reward": {"classifier": None},
        "episode": {"max_steps": 200},
        "sim": None,
    }
    task.write_text(yaml.safe_dump(content))
    yield task, load_task(task)
    sys.path.remove(str(folder))


class Poses(gymnasium.Env):
    """Shows a pose with euler angles, as SERL's environments do, and keeps the actions it gets."""

    observation_space = Dict({"state": Dict({})})
    action_space = Box(-1.0, 1.0, (6,), np.float32)
    pose = np.array([0.5, 0.02, 0.22, 3.0, 0.1, 0.2])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.actions = []
        picture = np.zeros((1, 64, 80, 3), np.uint8)
        state = {"tcp_pose": self.pose, "tcp_force": np.array([1.0, 2.0, 3.0])}
        self.seen = {"images": {"wrist_1": picture, "wrist_2": picture}, "state": state}
        return self.seen, {}

    def step(self, action):
        self.actions.append(action)
        return self.seen, 1.0, len(self.actions) == 3, False, {}


def test_the_environment_gets_the_action_that_the_policy_took(spec):
    environment = Poses()
    cell, mapper = GymCell(spec, environment, Adapter()), ActionMapper(spec)
    action = np.array([0.3, -0.4, 0.1, 0.2, -0.1, 0.5], np.float32)
    state = cell.arm_state()
    command = mapper.commands(action, {"": state.sample(0.0, "base")})[""]
    cell.command(command, 0.0)
    cell.advance()
    assert environment.actions[0] == pytest.approx(action, abs=1e-6)
    assert state.wrench[:3] == pytest.approx([1, 2, 3])
    assert state.pose[:3] == pytest.approx([0.5, 0.02, 0.22])


def test_a_terminal_step_with_reward_is_success_and_the_episode_waits_for_its_reset(spec):
    environment = Poses()
    cell = GymCell(spec, environment, Adapter())
    for _ in range(5):
        cell.advance()
    assert cell.truth().success
    assert len(environment.actions) == 3
    assert not np.any(environment.actions)  # nobody commanded anything
    stamp = cell.ticks
    cell.reset(4)
    assert not cell.truth().success
    assert cell.ticks > stamp


class Dense(Poses):
    """Pays for every step, and never says that the task is solved."""

    def step(self, action):
        super().step(action)
        return self.seen, 0.25 * len(self.actions), False, False, {}


def test_it_is_said_that_the_environments_own_reward_is_not_paid(spec):
    told = []
    cell = GymCell(spec, Dense(), Adapter(), tell=told.append)
    assert "the environment's own reward is not paid" in told[0]
    assert "brings reward.success_reward = 1 once" in told[0]
    assert "success_at_reward" in told[0], "the remedy"
    for _ in range(8):
        cell.advance()
    assert not cell.truth().success
    assert told[1:] == ["the environment gave a reward of 0.25 without success, which nobody is paid"]


def test_a_reward_can_be_taken_as_success(spec, tmp_path):
    path = tmp_path / "adapter.yaml"
    path.write_text("success_at_reward: 0.75")
    told = []
    cell = GymCell(spec, Dense(), Adapter.load(path), tell=told.append)
    assert "a reward of at least 0.75" in told[0]
    solved = []
    for _ in range(4):
        cell.advance()
        solved.append(cell.truth().success)
    assert solved == [False, False, True, True]


def test_another_judge_than_the_environment_is_said(spec):
    told, content = [], spec.model_dump(mode="json")
    content["reward"]["kind"] = "operator"
    GymCell(task_from_dict(content), Dense(), Adapter(), tell=told.append)
    assert (
        "is judged by reward.kind 'operator': neither the environment's reward nor its success is used"
        in told[0]
    )


def test_logarithm_undoes_the_exponential():
    for twist in ([0.1, 0.2, -0.3, 0.4, -1.2, 0.7], [0.1, 0.0, 0.0, 0.0, 0.0, 0.0], [0, 0, 0, 1e-5, 0, 0]):
        assert logarithm(geometry.exp(np.array(twist, float))) == pytest.approx(twist, abs=1e-9)


def test_what_does_not_fit_is_named(spec, slide, tmp_path):
    with pytest.raises(GymError, match="action of 6 numbers, the environment's action space is Box"):
        GymCell(spec, make_environment("slide_world:Slide"), Adapter())
    with pytest.raises(GymError, match="no 'images/front' for camera 'wrist_1'"):
        GymCell(slide[1], make_environment("slide_world:Slide"), Adapter(cameras={"wrist_1": "images/front"}))
    with pytest.raises(GymError, match="no Gymnasium environment 'Slide-v7'"):
        make_environment("Slide-v7")
    larger = task_from_dict(
        yaml.safe_load(task_to_yaml(slide[1]).replace("source_width: 40", "source_width: 48"))
    )
    with pytest.raises(GymError, match=r"\(32, 40, 3\) uint8, the task file states \(32, 48, 3\)"):
        GymCell(larger, make_environment("slide_world:Slide"), Adapter())
    bad = tmp_path / "adapter.yaml"
    bad.write_text("camera: {}")
    with pytest.raises(GymError, match=r"adapter.yaml cannot be used"):
        Adapter.load(bad)


def test_an_adapter_takes_parts_of_vectors(slide, tmp_path):
    path = tmp_path / "adapter.yaml"
    path.write_text("state: {joint_velocity: 'state/q[1:2]'}")
    cell = GymCell(slide[1], make_environment("slide_world:Slide"), Adapter.load(path), seed=1)
    state = cell.arm_state()
    assert 0.2 <= state.joint_velocity[0] <= 0.8
    assert not np.any(state.joint_position)


def test_an_environment_of_an_arm_with_six_joints(slide):
    spec = slide[1].with_joints({"": 6})
    state = GymCell(spec, make_environment("slide_world:Slide"), Adapter(), seed=1).arm_state()
    assert len(state.joint_position) == len(state.joint_velocity) == len(state.joint_effort) == 6


def start(module: str, *paths: str, **parameters) -> subprocess.Popen:
    command = [sys.executable, "-m", module, "--ros-args", "-p", "use_sim_time:=true"]
    for name, value in parameters.items():
        text = f"'{value}'" if isinstance(value, str) else str(value).lower()
        command += ["-p", f"{name}:={text}"]
    environment = {**os.environ, "ROS_DOMAIN_ID": DOMAIN, "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([*paths, environment.get("PYTHONPATH", "")])
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def stop(process: subprocess.Popen) -> str:
    process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=PATIENCE)[1]
    finally:
        process.kill()


@pytest.mark.integration
def test_the_actor_drives_an_environment_as_it_drives_a_cell(slide, tmp_path):
    """An operator at a device pushes the dot to the right; the actor records two demonstrations of it."""
    from hil_serl_ros.bag import read_steps

    task = str(slide[0])
    cell = start("hil_serl_sim.gym_node", str(slide[0].parent), task=task, environment="slide_world:Slide")
    settings = {"mode": "record_demos", "operator": "spacenav", "lockstep": True, "episodes": 2}
    actor = start("hil_serl_actor.actor_node", task=task, run_dir=str(tmp_path), **settings)
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=int(DOMAIN))
    node = rclpy.create_node("person", context=context)
    device = node.create_publisher(Joy, names.SPACENAV_JOY, qos.OPERATOR)

    def push(state: ArmState) -> None:
        joy = Joy(axes=[0.9, 0.0, 0.0, 0.0, 0.0, 0.0], buttons=[0, 0])
        joy.header.stamp = state.header.stamp
        device.publish(joy)

    node.create_subscription(ArmState, names.ARM_STATE, push, qos.ARM_STATE)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)
    wait_for(
        lambda: actor.poll() is not None or cell.poll() is not None,
        "the end of the actor",
        lambda: executor.spin_once(timeout_sec=0.1),
    )
    complaints = stop(cell) + stop(actor)
    executor.shutdown()
    node.destroy_node()
    context.try_shutdown()
    assert actor.returncode == 0, complaints
    assert "the environment's own reward is not paid" in complaints
    steps = list(read_steps(tmp_path / "bags"))
    ends = [step for step in steps if step.is_last]
    solved = [end for end in ends if end.is_terminal]  # time passed in others until the person was heard
    assert [end.reward for end in solved] == [1.0, 1.0]
    for end in solved:  # 0.05 x 2.0 x action of the width in a step, until the dot is at the edge
        pushes = [s.action[0] for s in steps if s.episode == end.episode and s.action is not None]
        assert 0.1 * sum(pushes) >= 1.0 > 0.1 * sum(pushes[:-1])
        assert max(pushes) == pytest.approx((0.9 - 0.05) / 0.95)  # deflection beyond the dead-band
    assert steps[0].frames["wrist_1"].shape == (32, 32, 3)
    assert 0.2 <= steps[0].state["joint_position"][1] <= 0.8
