# SPDX-License-Identifier: Apache-2.0
"""The robot PC's end of `hil-serl network`: the actor's own link to the learner, fed with made-up records.

Everything on the way is the real thing: log, sender and weights of an actor here, a learner node there. What is
made up is the records' content, so that no robot is needed to judge a network.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter

from hil_serl_actor.options import read_options
from hil_serl_actor.sending.agent_link import AgentLink
from hil_serl_cli.measuring.bench_measures import made_up_steps
from hil_serl_cli.measuring.quantiles import quantiles
from hil_serl_msgs.msg import LearnerStatus, PolicyWeights
from hil_serl_ros import names, qos
from hil_serl_ros.stamps import stamp_to_ns


@dataclass
class Measured:
    """Raw samples of a measurement; times in seconds.

    Attributes:
        acknowledged_after: Record published first -> the learner says it has it, of each record.
        publish: Time the actor's thread spent in publishing, of each control step.
        status_age: Receiver's clock minus the status's stamp: clock difference and transit time.
        weights_age: The same of weights.
        silence: Longest time without a word of the learner.
        weights_bytes: Size of a weights message.
        records, duplicates: The learner's ledger line.
    """

    acknowledged_after: list[float] = field(default_factory=list)
    publish: list[float] = field(default_factory=list)
    status_age: list[float] = field(default_factory=list)
    weights_age: list[float] = field(default_factory=list)
    silence: float = 0.0
    weights_bytes: int = 0
    records: int = 0
    duplicates: int = 0


class RobotEnd(Node):
    """Logs and sends a record per control step, and times what comes back."""

    def __init__(
        self, task: Path, run_dir: Path, *, actor_id: str, steps: int, rate: float, namespace: str = ""
    ) -> None:
        """Open the log and the topics.

        Args:
            task: Task file of both ends.
            run_dir: Where the records are logged before they are sent.
            actor_id: As an actor's.
            steps: Records to send.
            rate: Records per second.
            namespace: Of the cell.
        """
        settings = {"task": str(task), "run_dir": str(run_dir), "actor_id": actor_id, "mode": "train"}
        overrides = [Parameter(name, value=value) for name, value in settings.items()]
        super().__init__("network_robot", namespace=namespace, parameter_overrides=overrides)
        options = read_options(self)
        (agent,) = options.agents
        self.measured = Measured()
        self.link = AgentLink(self, options, agent, self.get_logger().warning, lambda: None)
        first = self.link.sender.next_sequence  # a log of an earlier, interrupted measurement goes on
        self._records = islice(made_up_steps(agent.spec, first + steps, actor_id), first, None)
        self._before = first
        self._actor_id, self._left = actor_id, steps
        self._sent_at: dict[int, float] = {}
        self._heard_at: float | None = None
        self.create_subscription(LearnerStatus, names.LEARNER_STATUS, self._on_status, qos.LEARNER_STATUS)
        self.create_subscription(PolicyWeights, names.POLICY_WEIGHTS, self._on_weights, qos.POLICY_WEIGHTS)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / rate, self._on_tick, clock=steady)
        self.create_timer(0.05, self.link.send_due, clock=steady)  # as the actor does between its ticks

    @property
    def connected(self) -> bool:
        """The learner has spoken, and the policy has its first weights."""
        return self._heard_at is not None and bool(self.measured.weights_age)

    @property
    def lacking(self) -> str:
        """What is missing while there is no connection."""
        topic = self.resolve_topic_name(names.LEARNER_STATUS)
        return (
            "the learner was heard, but no weights came" if self._heard_at else f"nothing came on '{topic}'"
        )

    @property
    def done(self) -> bool:
        """Every record was made and acknowledged."""
        return self._left == 0 and not self._sent_at and not self.link.undelivered

    def _on_tick(self) -> None:
        if not self.connected or self._left == 0:
            return
        record = next(self._records)
        self._left -= 1
        began = time.monotonic()
        self.link.append(record)
        self._sent_at[record.sequence] = began
        self.link.send_due()
        self.measured.publish.append(time.monotonic() - began)

    def _on_status(self, message: LearnerStatus) -> None:
        now, arrived = time.monotonic(), time.time_ns()
        measured = self.measured
        if self._heard_at is not None:
            measured.silence = max(measured.silence, now - self._heard_at)
        self._heard_at = now
        measured.status_age.append((arrived - stamp_to_ns(message.header.stamp)) * 1e-9)
        for line in message.acks:
            if line.actor_id == self._actor_id:
                measured.records, measured.duplicates = line.records, line.duplicates
                for sequence in [number for number in self._sent_at if number <= line.acknowledged]:
                    measured.acknowledged_after.append(now - self._sent_at.pop(sequence))

    def _on_weights(self, message: PolicyWeights) -> None:
        self.measured.weights_age.append((time.time_ns() - stamp_to_ns(message.header.stamp)) * 1e-9)
        self.measured.weights_bytes = len(message.data)

    def result(self) -> dict[str, Any]:
        """What was measured so far, with names and units for people and files."""
        measured, sender = self.measured, self.link.sender
        made = len(measured.publish)
        offset = min(measured.status_age, default=float("nan"))
        return {
            "records": made,
            "lost": self._before + made - measured.records,
            "not_acknowledged": sender.unacknowledged,
            "sent_again_by_the_actor": sender.resent,
            "duplicates": measured.duplicates,
            "step_acknowledged": _quantiles(measured.acknowledged_after),
            "publish_call": _quantiles(measured.publish),
            # The first weights are latched ones: their age says when the learner started.
            "weights_received": _quantiles([age - offset for age in measured.weights_age[1:]]),
            "weights_bytes": measured.weights_bytes,
            "clock_difference_s": offset,
            "longest_silence_s": measured.silence,
        }


def _quantiles(samples: Sequence[float]) -> dict[str, float]:
    return quantiles(samples) if samples else {"count": 0}


def wire_bytes() -> int:
    """Bytes that this machine's network interfaces have sent so far, the loop-back aside."""
    lines = Path("/proc/net/dev").read_text(encoding="ascii").splitlines()[2:]
    counters = (line.split(":", 1) for line in lines)
    return sum(int(values.split()[8]) for name, values in counters if name.strip() != "lo")


def measure(
    end: RobotEnd, seconds: float, patience: float, grace: float, say: Any = lambda _text: None
) -> dict[str, Any]:
    """Run the robot's end to its last acknowledgement.

    Args:
        end: The node; its context's executor is spun here.
        seconds: How long its records take.
        patience: How long to look for the learner [s].
        grace: How long to wait for the last acknowledgements [s].
        say: Told what is going on.

    Raises:
        ConnectionError: No learner was found.
    """
    deadline = time.monotonic() + patience
    while not end.connected:
        rclpy.spin_once(end, timeout_sec=0.1)
        if time.monotonic() > deadline:
            raise ConnectionError(f"{end.lacking} within {patience:.0f} s")
    say("connected; measuring ...")
    before, deadline = wire_bytes(), time.monotonic() + seconds + grace
    while not end.done and time.monotonic() < deadline:
        rclpy.spin_once(end, timeout_sec=0.1)
    return {**end.result(), "wire_bytes": wire_bytes() - before}
