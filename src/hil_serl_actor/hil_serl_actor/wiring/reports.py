# SPDX-License-Identifier: Apache-2.0
"""Messages in which the actor tells others what it does."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from std_msgs.msg import Header

from hil_serl_actor.loop.agent import Agent
from hil_serl_actor.loop.control_loop import ControlLoop
from hil_serl_actor.loop.ports import Phase
from hil_serl_actor.loop.stop_latch import StopLatch
from hil_serl_actor.sending.step_sender import StepSender
from hil_serl_actor.senses.camera_health import CameraHealth
from hil_serl_actor.senses.source_health import SourceHealth
from hil_serl_core.arbiter import Arbitration
from hil_serl_core.episode import EpisodeResult, EpisodeRunner, Mode
from hil_serl_msgs.msg import EpisodeSummary, InterventionState
from hil_serl_ros.diagnostics import Level, diagnostic_status

SILENT_ARM = 3.0
"""Seconds of wall-clock time without a state after which /diagnostics calls an arm lost."""

SILENT_DEVICE = 3.0
"""The same for a device of the operator; drivers repeat themselves also at rest."""

_RECOVERY = "call its controller's reset_fault, or recover of the cell"


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
    text = "waiting for " + ", ".join(waiting) if waiting else loop.words
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


def stop_status(latch: StopLatch) -> DiagnosticStatus:
    """The latched stop's line in /diagnostics."""
    level = Level.ERROR if latch.engaged else Level.OK
    return diagnostic_status("actor/stop", level, latch.text or "not stopped")


def arm_status(arm: str, source: SourceHealth, now: float, fault: str, doubt: str = "") -> DiagnosticStatus:
    """An arm's line in /diagnostics.

    Args:
        arm: Its name in the task.
        source: Of its states.
        now: Time of the steady clock [s].
        fault: Of its controller in words, empty for none.
        doubt: Why its states are hardly measured, empty if nothing speaks against it.
    """
    silent = source.silent(now)
    level, text = (Level.WARN, doubt) if doubt else (Level.OK, "delivering")
    if fault:
        level, text = Level.ERROR, f"its controller holds it: {fault}; clear the cause, then {_RECOVERY}"
    elif silent > SILENT_ARM:
        level, text = Level.ERROR, f"no state for {silent:.0f} s: are driver and controller running?"
    return _source_status(f"actor/arm/{arm}" if arm else "actor/arm", level, text, source, now)


def device_status(arm: str, source: SourceHealth, now: float, doubt: str = "") -> DiagnosticStatus:
    """The line of an operator's device in /diagnostics.

    Args:
        arm: Whose device it is.
        source: Of its messages.
        now: Time of the steady clock [s].
        doubt: Why its input is hardly a person's, empty if nothing speaks against it.
    """
    silent = source.silent(now)
    level, text = (Level.WARN, doubt) if doubt else (Level.OK, "delivering")
    if silent > SILENT_DEVICE:
        level = Level.WARN
        text = f"no message for {silent:.0f} s, nobody can intervene: see hil-serl teleop-check"
    return _source_status(f"actor/operator/{arm}" if arm else "actor/operator", level, text, source, now)


def _source_status(name: str, level: Level, text: str, source: SourceHealth, now: float) -> DiagnosticStatus:
    return diagnostic_status(name, level, text, hardware_id=source.topic, rate=source.rate(now))


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
