# SPDX-License-Identifier: Apache-2.0
"""The learner as a process: bags in, weights and acknowledgements out, killed and resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from hil_serl_core.policy import Policy
from hil_serl_core.spec import task_to_yaml
from hil_serl_core.step import Source
from hil_serl_core.testing.waiting import PATIENCE, wait_for
from hil_serl_core.weights import read_file, unpack
from hil_serl_learner.feature_file import FEATURE_FILE

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("hil_serl_msgs.msg")

from hil_serl_msgs.msg import LearnerStatus, PolicyWeights  # noqa: E402
from hil_serl_msgs.msg import Step as StepMessage  # noqa: E402
from hil_serl_msgs.srv import SaveCheckpoint  # noqa: E402
from hil_serl_ros import names, qos  # noqa: E402
from hil_serl_ros.bag import BagWriter  # noqa: E402
from hil_serl_ros.conversions import step_to_message, weights_from_message  # noqa: E402

pytestmark = [pytest.mark.integration]
NAMESPACE = f"/learner_test_{os.getpid()}"


class Cell:
    """Plays the actor: writes bags, publishes steps, listens."""

    def __init__(self, run_dir, spec):
        self.run_dir, self.spec = run_dir, spec
        (run_dir / "task.yaml").write_text(task_to_yaml(spec))
        self.status, self.weights, self.process = None, [], None
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("fake_actor", namespace=NAMESPACE, context=self.context)
        self.executor = rclpy.executors.SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.publisher = self.node.create_publisher(StepMessage, names.STEP, qos.STEP)
        self.node.create_subscription(
            LearnerStatus, names.LEARNER_STATUS, self._on_status, qos.LEARNER_STATUS
        )
        self.node.create_subscription(
            PolicyWeights, names.POLICY_WEIGHTS, self.weights.append, qos.POLICY_WEIGHTS
        )

    def _on_status(self, message):
        self.status = message

    def write_bag(self, mode, steps):
        writer = BagWriter(self.run_dir / "bags" / mode / "actor" / "000")
        writer.add_topic("/step", StepMessage, qos.STEP)
        for step in steps:
            writer.write("/step", step_to_message(step), int(step.stamp * 1e9))
        writer.close()

    def start(self, **parameters):
        settings = {
            "task": str(self.run_dir / "task.yaml"),
            "run_dir": str(self.run_dir),
            "lockstep": True,
            **parameters,
        }
        arguments = [
            f"-p{key}:={str(value).lower() if isinstance(value, bool) else value}"
            for key, value in settings.items()
        ]
        arguments = [part for text in arguments for part in ("-p", text[2:])]
        command = [
            sys.executable,
            "-m",
            "hil_serl_learner.learner_node",
            "--ros-args",
            "-r",
            f"__ns:={NAMESPACE}",
        ]
        self.status = None
        self.weights.clear()
        self.process = subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True)

    def until(self, condition):
        def spin():
            self.executor.spin_once(timeout_sec=0.05)
            assert self.process.poll() is None, self.process.stderr.read()

        wait_for(condition, "the learner", spin, lambda: self.status)

    def publish(self, steps):
        for step in steps:
            self.publisher.publish(step_to_message(step))
            self.executor.spin_once(timeout_sec=0.0)

    def ack(self):
        return next(iter(self.status.acks), None) if self.status is not None else None

    def acknowledged(self, sequence):
        return self.ack() is not None and self.ack().acknowledged >= sequence

    def end(self, sig=signal.SIGINT):
        self.process.send_signal(sig)
        code = self.process.wait(PATIENCE)
        self.process.stderr.close()
        return code

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.end(signal.SIGKILL)
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def cell(tmp_path, toy):
    cell = Cell(tmp_path, toy.spec(publish_every=10, warmup_steps=5))
    cell.write_bag("record_demos", toy.episodes(cell.spec, 2, actor_id="demo", source=Source.HUMAN))
    yield cell
    cell.close()


def test_steps_train_weights_and_a_killed_learner_resumes_without_counting_twice(cell, toy):
    steps = list(toy.episodes(cell.spec, 6))
    cell.start()
    cell.until(lambda: cell.weights and cell.publisher.get_subscription_count())
    assert (cell.weights[0].version, cell.weights[0].trained_step) == (0, 0)

    # Doubled, and out of order by one.
    cell.publish([steps[0], steps[2], steps[1], steps[1], *steps[3:30]])
    cell.until(lambda: cell.acknowledged(29))
    cell.until(lambda: cell.status.trained_step == 27 and cell.weights[-1].trained_step == 20)
    assert (cell.ack().records, cell.ack().duplicates, cell.ack().rejected) == (30, 1, 0)
    assert cell.status.environment_steps == sum(step.action is not None for step in steps[:30])
    assert (cell.status.demo_size, cell.status.rl_size) == (16, 26)
    assert cell.status.updates == cell.status.owed_updates == (27 - 5) * 2
    assert cell.status.skipped_updates == 0
    policy = Policy(cell.spec)
    unpack(weights_from_message(cell.weights[-1]), cell.spec.hash, policy.shapes)

    client = cell.node.create_client(SaveCheckpoint, names.SAVE_CHECKPOINT)
    assert client.wait_for_service(PATIENCE)
    future = client.call_async(SaveCheckpoint.Request())
    cell.until(future.done)
    assert future.result().success, future.result().message
    assert read_file(cell.run_dir / "checkpoints" / "latest").trained_step == 27

    # The actor had written more than it got acknowledged when the learner was killed.
    cell.write_bag("train", steps[:40])
    cell.end(signal.SIGKILL)
    cell.start(resume=True)
    cell.until(lambda: cell.acknowledged(39) and cell.weights)
    cell.publish(steps[35:])
    cell.until(lambda: cell.acknowledged(len(steps) - 1))
    transitions = sum(step.action is not None for step in steps)
    # The last record carries no action: it is counted after the updates of the one before are done.
    cell.until(lambda: cell.status.trained_step == transitions and cell.status.episodes == 6)
    assert cell.status.environment_steps == transitions
    assert cell.status.updates == cell.status.owed_updates == (transitions - 5) * 2
    assert cell.ack().records == len(steps)
    assert cell.end() == 0
    assert read_file(cell.run_dir / "checkpoints" / "latest").trained_step == transitions
    assert list((cell.run_dir / "tensorboard").glob("events*"))
    # Features of 3 views of two cameras with 4 x 4 x 4 numbers: computed once for each record, by one process or the other.
    entry = 16 + 3 * 2 * 4 * 4 * 4 * 2 + 4
    assert (cell.run_dir / FEATURE_FILE).stat().st_size // entry == 2 * 9 + len(steps)


def test_refusals_reach_the_status(cell, toy):
    cell.start()
    cell.until(lambda: cell.weights and cell.publisher.get_subscription_count())
    cell.publish(
        [toy.step(cell.spec, 0), toy.step(cell.spec, 1, reward=float("nan")), toy.step(cell.spec, 2)]
    )
    cell.until(lambda: cell.acknowledged(2))
    assert (cell.ack().records, cell.ack().rejected) == (2, 1)
    cell.publish([toy.step(cell.spec, 0, actor_id="other_task", spec_hash="0" * 16)])
    cell.until(lambda: len(cell.status.acks) == 2)
    other = next(ack for ack in cell.status.acks if ack.actor_id == "other_task")
    assert (other.acknowledged, other.rejected) == (-1, 1)
    assert "same task file" in cell.status.message


def test_behaviour_cloning_ends_by_itself(cell):
    cell.start(algorithm="bc", offline_updates=30)
    assert cell.process.wait(PATIENCE) == 0
    assert read_file(cell.run_dir / "checkpoints" / "latest").update == 30


def test_hg_dagger_clones_first_and_goes_on_with_what_the_operator_does(cell, toy):
    cell.start(algorithm="hg_dagger", offline_updates=30)
    cell.until(lambda: cell.weights and cell.publisher.get_subscription_count())
    assert cell.weights[0].update == 30
    cell.publish(toy.episodes(cell.spec, 2, source=Source.HUMAN))
    cell.until(lambda: cell.status is not None and cell.status.trained_step == 16)
    assert cell.status.updates == 30 + (16 - 5) * 2
    assert cell.status.demo_size == 16 + 16


def test_from_scratch_needs_no_demonstrations_and_leaves_them_alone(cell, toy):
    cell.start(algorithm="rlpd_scratch")
    cell.until(lambda: cell.weights and cell.publisher.get_subscription_count())
    cell.publish(toy.episodes(cell.spec, 8))
    cell.until(lambda: cell.status is not None and cell.status.trained_step == 64)
    assert (cell.status.demo_size, cell.status.rl_size) == (0, 64)
    assert cell.status.updates == (64 - 50) * 2


def test_what_a_user_gets_wrong_is_one_line_and_exit_code_2(cell, tmp_path):
    (cell.run_dir / "checkpoints" / "step_00000000").mkdir(parents=True)
    for parameters, text in (
        ({}, "resume:=true"),
        ({"run_dir": str(tmp_path / "empty")}, "no demonstrations"),
        ({"algorithm": "sacc"}, "expected one of"),
        ({"actors": "cell_1,cell_2", "lockstep": True}, "use lockstep:=false"),
    ):
        cell.start(**parameters)
        assert cell.process.wait(PATIENCE) == 2
        lines = [line for line in cell.process.stderr.read().splitlines() if line.startswith("error: ")]
        assert len(lines) == 1
        assert text in lines[0]


def test_what_a_free_running_learner_skips_is_in_its_status(cell, toy):
    spec = toy.spec(publish_every=10, warmup_steps=5, update_to_data=100.0)
    (cell.run_dir / "task.yaml").write_text(task_to_yaml(spec))
    cell.start(lockstep=False)
    cell.until(lambda: cell.weights and cell.publisher.get_subscription_count())
    steps = list(toy.episodes(spec, 4))
    cell.publish(steps)
    cell.until(lambda: cell.acknowledged(len(steps) - 1) and cell.status.environment_steps == 32)
    cell.until(lambda: cell.status.skipped_updates > 0)
    assert cell.status.owed_updates == (32 - 5) * 100
    assert cell.status.updates + cell.status.skipped_updates <= cell.status.owed_updates
