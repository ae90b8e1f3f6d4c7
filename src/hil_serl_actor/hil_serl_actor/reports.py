# SPDX-License-Identifier: Apache-2.0
"""Messages in which the actor tells others what it does."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from std_msgs.msg import Header

from hil_serl_actor.agent import Agent
from hil_serl_actor.camera_health import CameraHealth
from hil_serl_actor.control_loop import ControlLoop
from hil_serl_actor.ports import Phase
from hil_serl_actor.step_sender import StepSender
from hil_serl_core.arbiter import Arbitration
from hil_serl_core.episode import EpisodeResult, EpisodeRunner, Mode
from hil_serl_msgs.msg import EpisodeSummary, InterventionState
from hil_serl_ros.diagnostics import Level, diagnostic_status


def intervention_state(header: Header, arbitration: Arbitration, runner: EpisodeRunner) -> InterventionState:
    """Who drives at this tick."""
    return InterventionState(
        header=header,
        active=arbitration.active,
        episode=max(runner.episode, 0),
        step_index=runner.step_index,
        input_norm=arbitration.input_norm,
        operator_action=array("f", arbitration.action.tobytes()),
        episode_steps=runner.step_index,
        episode_intervened=runner.intervened_steps,
    )


def episode_start(stamp: Time, agent: Agent, mode: Mode, seed: int) -> EpisodeSummary:
    """Announcement of an episode."""
    message = EpisodeSummary(
        actor_id=agent.runner.actor_id,
        task=agent.spec.name,
        mode=str(mode),
        started=True,
        episode=agent.runner.episode,
        seed=seed,
    )
    message.header.stamp = stamp
    return message


def episode_end(stamp: Time, agent: Agent, mode: Mode, result: EpisodeResult) -> EpisodeSummary:
    """How an episode ended."""
    message = EpisodeSummary(
        actor_id=agent.runner.actor_id,
        task=agent.spec.name,
        episode=result.episode,
        mode=str(mode),
        started=False,
        success=bool(result.success),
        truncated=bool(result.truncated),
        aborted=bool(result.aborted),
        reason=result.reason,
        steps=result.steps,
        intervened_steps=result.intervened_steps,
        interventions=int(result.interventions),
        duration=float(result.duration),
        episode_return=float(result.episode_return),
        policy_version=result.policy_version,
        seed=result.seed,
    )
    message.header.stamp = stamp
    return message


def loop_status(loop: ControlLoop, now: float) -> DiagnosticStatus:
    """The control loop's line in /diagnostics."""
    waiting = loop.waiting_for(now)
    paused = loop.phase is Phase.PAUSED
    stopped = loop.latch.engaged
    level = Level.ERROR if stopped else Level.WARN if waiting or paused else Level.OK
    text = "waiting for " + ", ".join(waiting) if waiting else loop.latch.text or loop.phase.name.lower()
    if loop.interruption.cause and not stopped:
        level, text = Level.WARN, f"paused: {loop.interruption.cause}; {text}"
    return diagnostic_status(
        "actor/control_loop",
        level,
        text,
        episode=loop.runner.episode,
        step=loop.runner.step_index,
        transitions=loop.transition,
        stopped=stopped,
    )


def camera_status(
    health: CameraHealth, topic: str, now: float, problems: Sequence[str], lost: bool = False
) -> DiagnosticStatus:
    """A camera's line in /diagnostics; ``lost``: its pictures cannot be used at all."""
    return diagnostic_status(
        f"actor/camera/{health.name}",
        Level.ERROR if lost else Level.WARN if problems else Level.OK,
        "; ".join(problems) or "delivering",
        hardware_id=topic,
        rate=health.rate,
        latency=health.latency,
        age=health.age(now),
        longest_gap=health.longest_gap,
        received=health.received,
        unusable=health.bad,
    )


def sender_status(sender: StepSender, agent: str = "") -> DiagnosticStatus:
    """The sender's line in /diagnostics."""
    backlog = sender.unacknowledged
    level = Level.WARN if backlog > 400 else Level.OK
    text = (
        "the learner does not acknowledge steps; they are safe in the bag" if backlog > 400 else "delivering"
    )
    return diagnostic_status(
        f"actor/step_sender/{agent}" if agent else "actor/step_sender",
        level,
        text,
        acknowledged=sender.acknowledged,
        unacknowledged=backlog,
        resent=sender.resent,
    )
