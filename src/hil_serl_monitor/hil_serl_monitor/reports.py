# SPDX-License-Identifier: Apache-2.0
"""Messages in which a monitor says what it has counted and what it advises."""

from __future__ import annotations

import math
from collections.abc import Sequence

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus

from hil_serl_monitor.advice import Advice
from hil_serl_monitor.state import RunMonitor
from hil_serl_msgs.msg import RunStatus
from hil_serl_ros.diagnostics import Level, diagnostic_status
from hil_serl_runs.statistics import WINDOW

LEARNER_SILENCE = 5.0
"""Seconds without a report (it makes at least two a second) after which the learner counts as lost."""


def run_status(monitor: RunMonitor, task: str, advice: Sequence[Advice], stamp: Time) -> RunStatus:
    """Rates of the present phase."""
    recent, returns = monitor.recent(), monitor.returns
    message = RunStatus(
        task=task,
        phase=monitor.phase,
        window=WINDOW,
        episodes=len(monitor.episodes),
        environment_steps=monitor.env_steps,
        success_rate=recent.success,
        intervention_rate=recent.intervention,
        cycle_time=recent.cycle_time,
        mean_return=sum(returns) / len(returns) if returns else math.nan,
        episode_return=returns[-1] if returns else math.nan,
        control_rate=monitor.control_rate,
        advice=[one.text for one in advice],
    )
    message.header.stamp = stamp
    return message


def advice_status(advice: Sequence[Advice]) -> DiagnosticStatus:
    """The advice's line in /diagnostics; nothing to say is OK."""
    text = " ".join(one.text for one in advice) or "nothing to advise"
    return diagnostic_status("monitor/advice", Level.WARN if advice else Level.OK, text)


def learner_status(monitor: RunMonitor, agent: str = "") -> DiagnosticStatus:
    """An agent's learner's line in /diagnostics, seen from outside: a learner that is gone cannot say so."""
    learner, silent = monitor.learners[agent], monitor.learner_silent(agent)
    level, text = Level.OK, learner.phase
    if math.isnan(silent):
        level, text = Level.WARN, "not heard yet: has it been started, in this ROS domain and namespace?"
    elif silent > LEARNER_SILENCE:
        level, text = Level.ERROR, f"not heard for {silent:.0f} s: see its log; the actor keeps every step"
    elif learner.message not in ("", learner.phase):
        level, text = Level.WARN, learner.message
    return diagnostic_status(
        f"learner/{agent}/training" if agent else "learner/training",
        level,
        text,
        updates=learner.updates,
        updates_per_second=learner.updates_per_second,
        updates_owed=learner.owed_updates,
        updates_skipped=learner.skipped_updates,
        policy_version=learner.policy_version,
        online_steps=learner.environment_steps,
        # A resumed learner is as trained as its checkpoint before it has read the steps again.
        steps_not_trained_yet=max(0, learner.environment_steps - learner.trained_step),
        demonstration_buffer=learner.demo_size,
        online_buffer=learner.rl_size,
        critic_loss=learner.critic_loss,
        q_mean=learner.q_mean,
    )
