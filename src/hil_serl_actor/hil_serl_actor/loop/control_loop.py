# SPDX-License-Identifier: Apache-2.0
"""The actor's control loop as a plain object: inputs are put in, ``tick`` acts, effects go through ``Ports``.

One loop serves demonstrations, training and evaluation, on a real cell (ticks from a 10 Hz timer, staleness limits) and in
lockstep with a simulated one (a tick when every input of one stamp is there).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hil_serl_actor.loop.agent import Agent
from hil_serl_actor.loop.holding import ArmHold
from hil_serl_actor.loop.interruption import Interruption
from hil_serl_actor.loop.judge import Judge
from hil_serl_actor.loop.ports import LoopConfig, Phase, Ports
from hil_serl_actor.loop.readiness import Obstacle, Readiness
from hil_serl_actor.loop.reset_plan import ResetPlan
from hil_serl_actor.loop.rotation import Rotation
from hil_serl_actor.loop.stop_latch import StopLatch
from hil_serl_actor.loop.ticks import Ticks
from hil_serl_actor.senses.faults import RECOVERY
from hil_serl_actor.senses.inputs import EXACT, Inputs
from hil_serl_core.arbiter import OperatorInput
from hil_serl_core.episode import EpisodeResult, EpisodeRunner, Mode, Outcome
from hil_serl_ros.clocks import step_in_words

STILL_MOVING = (
    "the arm still moves until the cell has ended its reset: keep clear until it rests; else hil-serl stop"
)


class ControlLoop:
    """Runs resets and episodes until told to stop; with several agents, one episode of each in turn."""

    def __init__(self, config: LoopConfig, agents: Sequence[Agent], ports: Ports) -> None:
        """``agents`` share cameras, arms, state and action; the first one's task sets periods and limits."""
        self._config = config
        self._rotation = Rotation(agents)
        self._ports = ports
        self._spec = agents[0].spec
        self.inputs = Inputs(
            self._spec,
            ports.warn,
            lockstep=config.lockstep,
            await_operator=config.await_operator,
            await_truth=config.await_truth,
            switched=config.switched_operator,
        )
        self.inputs.operators.drives = config.interventions
        self.latch = StopLatch()
        self.interruption = Interruption()
        self._resets = ResetPlan(config, self._rotation)
        self._judge = Judge(config, self.inputs)
        self._readiness = Readiness(config, self.inputs, self._resets, self._judge, self.interruption, ports)
        self._hold = ArmHold(self.inputs, ports, self._spec.observation_timeout)
        self._ticks = Ticks(self.inputs, self._judge, ports, self._finish)
        self._phase = Phase.IDLE
        self._now = 0.0  # s, of the last call of tick
        self._last_tick = -np.inf
        self._counted = 0

    # ------------------------------------------------------------------ state

    @property
    def phase(self) -> Phase:
        """What the loop is doing."""
        return self._phase

    @property
    def words(self) -> str:
        """The phase for people, who may be about to reach into the cell."""
        if self.latch.engaged:
            return self.latch.text
        moving = self._phase is Phase.PAUSED and self._resets.answer_due
        return self._phase.name.lower() + (f"; {STILL_MOVING}" if moving else "")

    @property
    def agent(self) -> Agent:
        """Whose episode it is."""
        return self._rotation.agent

    @property
    def runner(self) -> EpisodeRunner:
        """Counters of the present episode."""
        return self.agent.runner

    @property
    def transition(self) -> int:
        """Online transitions made in this run, by all agents."""
        return sum(agent.transition for agent in self._rotation.agents)

    @property
    def counted_episodes(self) -> int:
        """Episodes that count towards the limit."""
        return self._counted

    # ----------------------------------------------------------------- inputs

    def put_operator(self, value: OperatorInput, arm: str = "") -> None:
        """Take a message of an arm's device; buttons may stop the robot or label the episode."""
        edges = self.inputs.operators.put(value, arm)
        buttons = self._spec.intervention
        if value.pressed(buttons.stop_button):  # also one that was down before the actor heard the device
            if not self.latch.engaged:
                device = f"the {arm} device's" if arm else "the device's"
                self.stop(f"{device} stop button")
            return
        if buttons.success_button in edges:
            self._press(Outcome(success=True, final=True))
        elif buttons.failure_button in edges:
            self._press(Outcome(failure=True, final=True))
        elif buttons.reset_button in edges:
            self._press(None)

    def _press(self, outcome: Outcome | None) -> None:
        if self._phase is Phase.AWAITING_PERSON:
            self.confirm_reset()
        elif outcome is None or self._config.mode is not Mode.RECORD_CLASSIFIER:
            self.label(outcome)

    def label(self, outcome: Outcome | None) -> bool:
        """Operator's verdict on the running episode; None discards it. False when no episode is running."""
        if self._phase is not Phase.RUNNING:
            return False
        if outcome is None:
            self._abort("discarded by the operator")
        else:
            self._judge.label(outcome)
        return True

    def pause(self, paused: bool, reason: str = "paused by the operator") -> None:
        """Stop after aborting the running episode, or go on with a reset; while stopped, it holds for afterwards.

        A cell that is resetting has to watch the topic ``paused``, as with `stop`; going on begins the reset again.
        """
        if self.latch.engaged:
            self.latch.paused = paused
        elif paused:
            if self._phase is Phase.RUNNING:
                self._abort(reason)
            if self._phase is not Phase.DONE:
                self._enter(Phase.PAUSED)
        elif self._phase is Phase.PAUSED:
            self._enter(Phase.IDLE)

    # ------------------------------------------------------------------- stop

    def stop(self, cause: str) -> None:
        """Hold the arms where they are, end the running episode, and do nothing until ``clear_stop``.

        A cell that is resetting moves by itself: it has to watch the topic ``stopped``, the loop only ignores the
        outcome. A run that is over is left alone.

        Args:
            cause: Who or what asks for it, for people.
        """
        if self._phase is Phase.DONE or not self.latch.engage(cause, self._phase is Phase.PAUSED):
            return
        self._hold.release()
        self._hold_still(max(self._now, self.inputs.assembler.stamp or 0.0))  # first of all
        self._stay_stopped()
        self._ports.report_stop()

    def clear_stop(self) -> str:
        """Go on with a reset of everything, or with the pause there was. Returns why not; empty when it is cleared."""
        if not self.latch.engaged:
            return "nothing is stopped"
        if self.inputs.operators.is_down(self._spec.intervention.stop_button):
            return "the stop button is still down: release it, then clear again"
        if self._ticks.pending is not None:
            return "a record could not be written yet: make room on the disk, then clear again"
        self.latch.release()
        self.inputs.operators.take()  # what was pressed meanwhile was not meant for the next episode
        self._enter(Phase.DONE if self._complete else Phase.PAUSED if self.latch.paused else Phase.IDLE)
        self._ports.report_stop()
        return ""

    def _stay_stopped(self) -> None:
        """Keep what there is of the episode, end it, and be stopped with the same hold as before."""
        held = self._hold.poses
        self._ticks.save_pending()
        if self.runner.running:
            self._abort(f"stopped: {self.latch.cause}")
        if self._phase is not Phase.STOPPED:
            self._resets.scene_is_lost = True
            self._rotation.start_over()
            self._enter(Phase.STOPPED)
            self._hold.poses = held
        self._ports.warn(self.latch.text)

    # ------------------------------------------------------------------ clock

    def clock_was_set(self, now: float, step: float) -> None:
        """In real time: the clock of the stamps was set by ``step`` [s] and shows ``now`` [s].

        By what was heard before, inputs would be old, or from the future, for as long as the step. The running episode
        ends, because its observations could not be put in order of time, and the next one begins once all inputs are back.
        """
        words = step_in_words(step)
        self._now = now
        self.inputs.clock_was_set(step)
        self._ports.warn(
            f"{words}: what was heard before is dropped, the arm holds until every input is back"
        )
        if self._phase is Phase.RUNNING and self._ticks.begun and self._ticks.pending is None:
            self.interruption.begin(words)
            self._abort(words)
        elif self.interruption.cause:
            self.interruption.begin(self.interruption.cause)
        self._last_tick = -np.inf

    # ------------------------------------------------------------------ resets

    def reset_finished(self, success: bool, message: str, stamp: float, objects_reset: bool = True) -> None:
        """Take the cell's answer to ``request_reset``.

        Args:
            success: The arms are at their start.
            message: Why not, for people.
            stamp: Of the first state after the reset [s].
            objects_reset: The objects were put back too.
        """
        self._resets.answer_due = False
        if success:
            for agent in self._rotation.agents:
                agent.runner.grippers.reset()
        if self._phase is not Phase.RESETTING:
            if success:  # the arms may be elsewhere now: hold them there
                self.inputs.start_after(stamp)
                self._hold.release()
            return
        if not success and (fault := self.inputs.fault()):
            self._pause_for(fault)
            return
        if not success:
            self._ports.warn(f"the cell could not be reset: {message}; trying again")
            self._enter(Phase.IDLE)
            return
        if task := self._resets.left_to_person(objects_reset):
            self._enter(Phase.AWAITING_PERSON)
            self._ports.warn(f"{task}, then confirm: success button, or the service confirm_reset")
            return
        self._begin(stamp)

    def confirm_reset(self) -> bool:
        """A person has put the scene back. False when nobody was asked to."""
        if self._phase is not Phase.AWAITING_PERSON:
            return False
        self._begin(self.inputs.not_before)
        return True

    def _start_reset(self) -> None:
        reset = self._resets.next()
        if reset is None:
            self._begin(self.inputs.not_before)
            return
        self._enter(Phase.RESETTING)
        self._resets.answer_due = True
        self._ports.request_reset(reset)

    def _begin(self, stamp: float) -> None:
        self._resets.scene_is_lost = False
        self.inputs.start_after(stamp)
        self._ticks.begin()
        self._judge.begin(self.agent)
        self.runner.begin(self._resets.seed)
        self._enter(Phase.RUNNING)
        self._ports.report_start(self.agent, self._resets.seed, stamp)

    # ------------------------------------------------------------------- tick

    def tick(self, now: float) -> bool:
        """Act if there is something to do at ``now`` [s]. In lockstep ``now`` is the stamp of the latest arm state.

        Returns:
            True if a record was made.
        """
        self._now = now
        if self._phase in (Phase.IDLE, Phase.AWAITING_PERSON, Phase.RUNNING):
            self._heed_silence(now)
        if self._phase is Phase.IDLE:
            self._hold_still(now)
            if self._readiness.may_begin(self.agent, now):
                self._start_reset()
            return False
        if self._phase in (Phase.PAUSED, Phase.AWAITING_PERSON):
            self._hold_still(now)
            return False
        if self._phase is Phase.STOPPED:
            self._stay_stopped()
            self._hold_still(now)
            return False
        if self._phase is not Phase.RUNNING:
            return False
        if self._ticks.pending is not None:
            return self._retry(now)
        if self._config.lockstep and now <= self._last_tick + EXACT:
            return False
        agent = self.agent
        if obstacle := self._readiness.obstacle(agent, now, self._ticks.begun):
            self._yield_to(obstacle, now)
            return False
        seen = self._ticks.look(agent, now)
        if agent.runner.step_index == 0 and seen.outcome.success and self._rotation.pass_on():
            self._ports.report_episode(agent, agent.runner.abort("done before it began"), now)
            self._begin(self.inputs.not_before)
            return self.tick(now)  # of the partner
        self._last_tick = now
        return self._ticks.act(agent, seen)

    def _yield_to(self, obstacle: Obstacle, now: float) -> None:
        """The tick cannot be made: the arms hold, and an episode that has lost its inputs ends here."""
        if obstacle.fault:
            self._pause_for(obstacle.fault)
            return
        if obstacle.lost:
            self.interruption.begin(obstacle.lost)
            self._abort(obstacle.lost)
        if obstacle.warning:
            self._ports.warn(obstacle.warning)
        self._hold_still(now)

    def _heed_silence(self, now: float) -> None:
        if silent := self._readiness.silent_arms(now):
            self.pause(True, f"lost {silent}")
            self._ports.warn(
                f"paused: no usable {silent} for a while (an emergency stop, a reflex, or its driver or controller has "
                f"ended); {RECOVERY}"
            )

    def _pause_for(self, fault: str) -> None:
        """A controller has latched a fault: nothing goes on until a person has looked."""
        self.pause(True, f"the controller holds the arm: {fault}")
        self._ports.warn(f"paused: an arm is in a fault ({fault}); {RECOVERY}")

    def waiting_for(self, now: float) -> list[str]:
        """What keeps a running episode from its next tick, or the next episode from its start, for people."""
        starting = self._phase is Phase.IDLE and not self._config.lockstep
        if self._phase is not Phase.RUNNING and not starting:
            return []
        return self._readiness.problems(self.agent, now)

    def _retry(self, now: float) -> bool:
        if self._config.lockstep:
            return self._ticks.retry(self.agent)
        # Real time went on while the disk was full: keep the record, do not execute its old action.
        if not self._ticks.save_pending():
            self._hold_still(now)
            return False
        if self.runner.running:
            self._abort("the disk was full")
        return True

    # ---------------------------------------------------------------- helpers

    def _hold_still(self, now: float) -> None:
        """Hold in real time; a cell that resets moves its arms itself."""
        if not self._config.lockstep and not self._resets.answer_due:
            self._hold.send(now)

    def _abort(self, reason: str) -> None:
        self._finish(self.runner.abort(reason), self._last_tick if np.isfinite(self._last_tick) else 0.0)

    @property
    def _complete(self) -> bool:
        return 0 < self._config.episodes <= self._counted

    def _finish(self, result: EpisodeResult, stamp: float) -> None:
        demonstrations = self._config.mode is Mode.RECORD_DEMOS
        self._counted += result.success if demonstrations else not result.aborted
        self._enter(Phase.DONE if self._complete else Phase.IDLE)
        self._ports.report_episode(self.agent, result, stamp)
        self._resets.scene_is_lost = self._rotation.finished(result)
        if handed_over := self._rotation.handed_over:
            self._ports.warn(handed_over)

    def _enter(self, phase: Phase) -> None:
        pause = Phase.PAUSED in (
            phase,
            self._phase,
        )  # a second one is told too: it ends what is made in a pause
        self._phase = phase
        self._hold.release()
        if pause:
            self._ports.report_pause()
