# SPDX-License-Identifier: Apache-2.0
"""The actor's control loop as a plain object: inputs are put in, ``tick`` acts, effects go through ``Ports``.

One loop serves demonstrations, training and evaluation, on a real cell (ticks from a 10 Hz timer, staleness limits) and in
lockstep with a simulated one (a tick when every input of one stamp is there).
"""

from __future__ import annotations

import numpy as np

from hil_serl_actor.policy_source import PolicySource
from hil_serl_actor.ports import LogFull, LoopConfig, Phase, Ports
from hil_serl_core.action import TwistMapper
from hil_serl_core.arbiter import OperatorInput
from hil_serl_core.episode import EpisodeResult, EpisodeRunner, Mode, Outcome, Tick
from hil_serl_core.observation import ArmSample, ObservationAssembler, ObservationError
from hil_serl_core.spec import TaskSpec

_EXACT = 1e-6  # s


class ControlLoop:
    """Runs resets and episodes until told to stop."""

    def __init__(
        self,
        spec: TaskSpec,
        config: LoopConfig,
        runner: EpisodeRunner,
        policy: PolicySource | None,
        ports: Ports,
    ) -> None:
        self._spec = spec
        self._config = config
        self._runner = runner
        self._policy = policy
        self._ports = ports
        self._inputs = ObservationAssembler(spec)
        self._mapper = TwistMapper(spec)
        self._phase = Phase.IDLE
        self._operator: OperatorInput | None = None
        self._outcome: tuple[float, Outcome] | None = None
        self._label: Outcome | None = None
        self._reset_pose: np.ndarray | None = None
        self._not_before = -np.inf
        self._last_tick = -np.inf
        self._hold: np.ndarray | None = None
        self._pending: Tick | None = None
        self._transition = config.first_transition
        self._counted = 0
        self._seed = -1

    # ------------------------------------------------------------------ state

    @property
    def phase(self) -> Phase:
        """What the loop is doing."""
        return self._phase

    @property
    def runner(self) -> EpisodeRunner:
        """Counters of the present episode."""
        return self._runner

    @property
    def transition(self) -> int:
        """Online transitions made in this run."""
        return self._transition

    @property
    def counted_episodes(self) -> int:
        """Episodes that count towards the limit."""
        return self._counted

    @property
    def arm(self) -> ArmSample | None:
        """Latest arm state."""
        return self._inputs.arm

    @property
    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """Workspace box, base frame [m]."""
        return self._mapper.box

    # ----------------------------------------------------------------- inputs

    def put_arm(self, sample: ArmSample) -> None:
        """Take an arm state; one from before the last reset or with bad content is dropped, the latter with a warning."""
        if sample.stamp < self._not_before - _EXACT:
            return
        try:
            self._inputs.put_arm(sample)
        except ObservationError as error:
            self._ports.warn(str(error))

    def put_frame(self, camera: str, stamp: float, image: np.ndarray) -> None:
        """Take a camera image, (H, W, 3) uint8 RGB; dropped like ``put_arm``."""
        if stamp < self._not_before - _EXACT:
            return
        try:
            self._inputs.put_frame(camera, stamp, image)
        except ObservationError as error:
            self._ports.warn(str(error))

    def put_operator(self, operator: OperatorInput) -> None:
        """Take a message of the operator's device."""
        self._operator = operator

    def put_outcome(self, stamp: float, outcome: Outcome) -> None:
        """Take the reward model's verdict on the state at ``stamp``."""
        self._outcome = (stamp, outcome)

    def label(self, outcome: Outcome | None) -> bool:
        """Operator's verdict on the running episode; None discards it. False when no episode is running."""
        if self._phase is not Phase.RUNNING:
            return False
        if outcome is None:
            self._abort("discarded by the operator")
        else:
            self._label = outcome
        return True

    def pause(self, paused: bool, reason: str = "paused by the operator") -> None:
        """Stop after aborting the running episode, or go on with a reset."""
        if paused:
            if self._phase is Phase.RUNNING:
                self._abort(reason)
            if self._phase is not Phase.DONE:
                self._enter(Phase.PAUSED)
        elif self._phase is Phase.PAUSED:
            self._enter(Phase.IDLE)

    def reset_finished(self, success: bool, message: str, stamp: float) -> None:
        """Take the cell's answer to ``request_reset``; ``stamp`` is that of the first state after it."""
        if self._phase is not Phase.RESETTING:
            return
        if not success:
            self._ports.warn(f"the cell could not be reset: {message}; trying again")
            self._enter(Phase.IDLE)
            return
        self._not_before = stamp
        if self._inputs.arm is not None and self._inputs.arm.stamp < stamp - _EXACT:
            self._inputs.clear()
        self._label = None
        self._reset_pose = None
        self._runner.begin(self._seed)
        self._enter(Phase.RUNNING)
        self._ports.report_start(self._runner.episode, self._seed, stamp)

    # ------------------------------------------------------------------- tick

    def tick(self, now: float) -> bool:
        """Act if there is something to do at ``now`` [s]. In lockstep ``now`` is the stamp of the latest arm state.

        Returns:
            True if a record was made.
        """
        if self._phase is Phase.IDLE:
            self._hold_still(now)
            if self._may_start():
                self._start_reset()
            return False
        if self._phase is Phase.PAUSED:
            self._hold_still(now)
            return False
        if self._phase is not Phase.RUNNING:
            return False
        if self._pending is not None:
            return self._retry(now)
        if self._config.lockstep and now <= self._last_tick + _EXACT:
            return False
        if not self._inputs_usable(now):
            return False
        self._last_tick = now
        return self._commit(self._decide(now), now)

    def _inputs_usable(self, now: float) -> bool:
        lockstep = self._config.lockstep
        problems = self._inputs.missing(now, exact=lockstep) + self._missing_signals(now)
        arm = self._inputs.arm
        if not problems and arm is not None and arm.fault:
            text = arm.fault_text or f"code {arm.fault}"
            self.pause(True, f"the controller holds the arm: {text}")
            self._ports.warn(
                f"the controller latched a fault ({text}); clear its cause, then call the pause service with false"
            )
            return False
        if not problems:
            return True
        if not lockstep:
            started = self._reset_pose is not None
            self._ports.warn("no complete observation: " + "; ".join(problems))
            if started:
                self._abort("lost " + "; ".join(problems))
        return False

    def _missing_signals(self, now: float) -> list[str]:
        problems = []
        lockstep = self._config.lockstep
        if self._config.await_truth:
            if self._outcome is None:
                problems.append("sim/truth (nothing received)")
            elif lockstep and abs(self._outcome[0] - now) > _EXACT:
                problems.append(f"sim/truth (stamp {self._outcome[0]:.3f} s)")
            elif not lockstep and now - self._outcome[0] > self._spec.observation_timeout:
                problems.append(f"sim/truth ({now - self._outcome[0]:.2f} s old)")
        if lockstep and self._config.await_operator and not self._operator_answered(now):
            problems.append("spacenav/joy (no input of this tick)")
        if lockstep and self._policy is not None and not self._policy.ready(self._transition):
            problems.append("policy_weights (waiting for the learner)")
        return problems

    def _operator_answered(self, now: float) -> bool:
        return self._operator is not None and abs(self._operator.stamp - now) <= _EXACT

    def waiting_for(self, now: float) -> list[str]:
        """What keeps a running episode from its next tick, for people."""
        if self._phase is not Phase.RUNNING:
            return []
        return self._inputs.missing(now, exact=self._config.lockstep) + self._missing_signals(now)

    def _decide(self, now: float) -> Tick:
        arm = self._inputs.arm
        assert arm is not None
        if self._reset_pose is None:
            self._reset_pose = arm.tcp_pose
        observation = self._inputs.assemble(now, self._reset_pose)
        outcome = self._outcome[1] if self._config.await_truth and self._outcome is not None else Outcome()
        if self._label is not None:
            outcome, self._label = self._label, None
        policy = self._policy
        propose = None if policy is None else (lambda seen: policy.propose(seen, self._transition))
        return self._runner.tick(observation, outcome, self._operator, propose)

    def _commit(self, tick: Tick, now: float) -> bool:
        """Durable first, then sent, then executed."""
        try:
            self._ports.log_step(tick.step)
        except LogFull as error:
            self._pending = tick
            self._ports.warn(f"{error}; the arm holds until the record can be written")
            return False
        self._ports.send_step(tick.step)
        if tick.action is not None:
            assert self._inputs.arm is not None
            self._transition += 1
            self._ports.send_target(self._mapper.target(tick.action, self._inputs.arm.tcp_pose), now)
        self._ports.report_tick(tick.arbitration, tick, self._runner)
        if tick.result is not None:
            self._finish(tick.result, now)
        return True

    def _retry(self, now: float) -> bool:
        assert self._pending is not None
        tick, self._pending = self._pending, None
        if self._config.lockstep:
            return self._commit(tick, self._last_tick)
        # Real time went on while the disk was full: keep the record, do not execute its old action.
        try:
            self._ports.log_step(tick.step)
        except LogFull:
            self._pending = tick
            self._hold_still(now)
            return False
        self._ports.send_step(tick.step)
        if tick.result is not None:
            self._finish(tick.result, now)
        else:
            self._abort("the disk was full")
        return True

    # ---------------------------------------------------------------- helpers

    def _may_start(self) -> bool:
        if self._policy is None or self._policy.ready(self._transition):
            return True
        self._ports.warn("waiting for policy_weights from the learner")
        return False

    def _start_reset(self) -> None:
        episode = self._runner.episode + 1
        entropy = [self._config.seed, list(Mode).index(self._config.mode), episode]
        self._seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        self._enter(Phase.RESETTING)
        self._ports.request_reset(self._seed)

    def _hold_still(self, now: float) -> None:
        """Between episodes a real-time controller must hear from us, or its target goes stale."""
        arm = self._inputs.arm
        if self._config.lockstep or arm is None or now - arm.stamp > self._spec.observation_timeout:
            return
        if self._hold is None:
            self._hold = arm.tcp_pose
        self._ports.send_target(self._hold, now)

    def _abort(self, reason: str) -> None:
        self._finish(self._runner.abort(reason), self._last_tick if np.isfinite(self._last_tick) else 0.0)

    def _finish(self, result: EpisodeResult, stamp: float) -> None:
        counts = result.success if self._config.mode is Mode.RECORD_DEMOS else not result.aborted
        self._counted += counts
        done = 0 < self._config.episodes <= self._counted
        self._enter(Phase.DONE if done else Phase.IDLE)
        self._ports.report_episode(result, stamp)

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._hold = None
