# SPDX-License-Identifier: Apache-2.0
"""The control loop against a cell played by hand: what is recorded, commanded and reported, and in which order."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hil_serl_actor.control_loop import ControlLoop
from hil_serl_actor.ports import LogFull, LoopConfig, Phase
from hil_serl_core.arbiter import OperatorInput
from hil_serl_core.episode import EpisodeRunner, Mode, Outcome, Proposal
from hil_serl_core.observation import ArmSample
from hil_serl_core.step import Source

HOME = np.array([0.5, 0.0, 0.24, 1.0, 0.0, 0.0, 0.0])


class World:
    """Ports that write everything down."""

    def __init__(self):
        self.events, self.steps, self.targets, self.results, self.warnings, self.seeds = (
            [],
            [],
            [],
            [],
            [],
            [],
        )
        self.disk_full = False

    def log_step(self, step):
        if self.disk_full:
            raise LogFull("no space left in /data")
        self.events.append(("log", step.sequence))

    def send_step(self, step):
        self.events.append(("send", step.sequence))
        self.steps.append(step)

    def send_target(self, pose, stamp):
        self.events.append(("target", stamp))
        self.targets.append((stamp, pose))

    def request_reset(self, seed):
        self.seeds.append(seed)

    def report_tick(self, arbitration, tick, runner):
        self.events.append(("tick", arbitration.active))

    def report_start(self, episode, seed, stamp):
        self.events.append(("start", episode))

    def report_episode(self, result, stamp):
        self.results.append(result)

    def warn(self, text):
        self.warnings.append(text)


class StillPolicy:
    def __init__(self, available=True):
        self.available = available

    def ready(self, transition):
        return self.available

    def propose(self, observation, transition):
        return Proposal(np.full(6, 0.5, np.float32), 4)


class Cell:
    """Feeds one complete tick of inputs at a time."""

    def __init__(self, spec, world, mode=Mode.TRAIN, policy=None, **config):
        self.world, self.spec = world, spec
        self.loop = ControlLoop(
            spec,
            LoopConfig(mode=mode, **config),
            EpisodeRunner(spec, "a", mode),
            policy or StillPolicy(),
            world,
        )

    def reset(self, stamp):
        self.loop.tick(stamp)
        assert self.loop.phase is Phase.RESETTING
        self.loop.reset_finished(True, "", stamp)

    def feed(self, stamp, cameras=("wrist_1", "wrist_2"), success=False, push=0.0, arm=None):
        self.loop.put_arm(
            arm or ArmSample(stamp, "base", HOME, np.zeros(6), np.zeros(6), np.zeros(7), np.zeros(7))
        )
        for camera in cameras:
            self.loop.put_frame(camera, stamp, np.zeros((64, 80, 3), np.uint8))
        self.loop.put_outcome(stamp, Outcome(success=success))
        self.loop.put_operator(OperatorInput(stamp, np.array([push, 0, 0, 0, 0, 0])))


def test_a_step_is_durable_before_it_is_sent_and_sent_before_it_is_executed(spec):
    world = World()
    cell = Cell(spec, world, lockstep=True)
    cell.reset(1.0)
    cell.feed(1.0)
    assert cell.loop.tick(1.0)
    assert world.events[-4:] == [("log", 0), ("send", 0), ("target", 1.0), ("tick", False)]


def test_lockstep_ticks_once_per_stamp_and_only_when_complete(spec):
    world = World()
    cell = Cell(spec, world, lockstep=True, await_operator=True)
    cell.reset(1.0)
    cell.feed(1.0, cameras=("wrist_1",))
    assert not cell.loop.tick(1.0)
    assert "camera/wrist_2 (nothing received)" in cell.loop.waiting_for(1.0)
    cell.feed(1.0)
    assert cell.loop.tick(1.0)
    assert not cell.loop.tick(1.0)
    cell.loop.put_arm(ArmSample(1.1, "base", HOME, np.zeros(6), np.zeros(6), np.zeros(7), np.zeros(7)))
    assert not cell.loop.tick(1.1)
    assert any("spacenav/joy" in text for text in cell.loop.waiting_for(1.1))


def test_lockstep_holds_simulated_time_until_the_weights_are_there(spec):
    world, policy = World(), StillPolicy()
    cell = Cell(spec, world, policy=policy, lockstep=True)
    cell.reset(1.0)
    cell.feed(1.0)
    policy.available = False
    assert not cell.loop.tick(1.0)
    assert world.targets == []
    policy.available = True
    assert cell.loop.tick(1.0)


def test_inputs_from_before_the_reset_are_not_used(spec):
    world = World()
    cell = Cell(spec, world, lockstep=True)
    cell.feed(0.9)
    cell.reset(1.0)
    assert not cell.loop.tick(0.9)
    cell.feed(0.9)
    assert not cell.loop.tick(0.9)
    assert not world.steps


def test_episode_to_success_then_next_reset_with_another_seed(spec):
    world = World()
    cell = Cell(spec, world, lockstep=True)
    cell.reset(1.0)
    for i in range(3):
        cell.feed(1.0 + 0.1 * i, success=i == 2)
        cell.loop.tick(1.0 + 0.1 * i)
    assert [s.is_last for s in world.steps] == [False, False, True]
    assert len(world.targets) == 2, "no target after the last record"
    assert world.results[0].success
    assert world.results[0].steps == 2
    assert cell.loop.transition == 2
    cell.loop.tick(1.3)
    assert len(set(world.seeds)) == 2


def test_seeds_of_initial_states_follow_seed_mode_and_episode(spec):
    def first_seed(seed, mode):
        world = World()
        Cell(spec, world, mode=mode, seed=seed).loop.tick(0.0)
        return world.seeds[0]

    assert first_seed(1, Mode.EVAL) == first_seed(1, Mode.EVAL)
    assert len({first_seed(1, Mode.EVAL), first_seed(2, Mode.EVAL), first_seed(1, Mode.TRAIN)}) == 3


def test_demonstrations_count_only_successes(spec):
    world = World()
    cell = Cell(spec, world, mode=Mode.RECORD_DEMOS, lockstep=True, episodes=1)
    now = 1.0
    for success_at in (99, 1):
        cell.reset(now)
        for i in range(spec.episode.max_steps + 1):
            cell.feed(now, success=i == success_at)
            cell.loop.tick(now)
            now += 0.1
            if world.results and cell.loop.phase is not Phase.RUNNING:
                break
    assert [r.success for r in world.results] == [False, True]
    assert cell.loop.phase is Phase.DONE


def test_real_time_aborts_and_names_the_lost_camera_and_holds(spec):
    world = World()
    cell = Cell(spec, world)
    cell.reset(1.0)
    cell.feed(1.0)
    assert cell.loop.tick(1.0)
    cell.feed(1.4, cameras=("wrist_1",))
    assert not cell.loop.tick(1.4)
    assert world.results[0].aborted
    assert "camera/wrist_2 (0.40 s old" in world.results[0].reason
    before = len(world.targets)
    policy = cell.loop._policy
    policy.available = False
    cell.loop.tick(1.45)
    assert len(world.targets) == before + 1
    assert np.allclose(world.targets[-1][1], HOME)


def test_full_disk_holds_the_record_and_loses_nothing_in_lockstep(spec):
    world = World()
    cell = Cell(spec, world, lockstep=True)
    cell.reset(1.0)
    cell.feed(1.0)
    world.disk_full = True
    assert not cell.loop.tick(1.0)
    assert not cell.loop.tick(1.0)
    assert world.steps == []
    assert world.targets == []
    assert "no space left in /data" in world.warnings[0]
    world.disk_full = False
    assert cell.loop.tick(1.0)
    cell.feed(1.1)
    cell.loop.tick(1.1)
    assert [s.sequence for s in world.steps] == [0, 1]
    assert len(world.targets) == 2


def test_full_disk_in_real_time_never_executes_an_old_action(spec):
    world = World()
    cell = Cell(spec, world)
    cell.reset(1.0)
    cell.feed(1.0)
    world.disk_full = True
    cell.loop.tick(1.0)
    cell.feed(1.1)
    cell.loop.tick(1.1)
    assert [np.allclose(pose, HOME) for _, pose in world.targets] == [True]
    world.disk_full = False
    cell.loop.tick(1.2)
    assert [s.sequence for s in world.steps] == [0]
    assert world.results[0].reason == "the disk was full"


def test_controller_fault_pauses_until_a_person_clears_it(spec):
    world = World()
    cell = Cell(spec, world)
    cell.reset(1.0)
    sample = ArmSample(
        1.0,
        "base",
        HOME,
        np.zeros(6),
        np.zeros(6),
        np.zeros(7),
        np.zeros(7),
        fault=3,
        fault_text="stale target",
    )
    cell.feed(1.0, arm=sample)
    assert not cell.loop.tick(1.0)
    assert cell.loop.phase is Phase.PAUSED
    assert "stale target" in world.warnings[-1]
    cell.loop.pause(False)
    assert cell.loop.phase is Phase.IDLE


def test_operators_labels_end_the_episode(spec):
    world = World()
    cell = Cell(spec, world)
    assert not cell.loop.label(Outcome(success=True))
    cell.reset(1.0)
    cell.feed(1.0)
    cell.loop.tick(1.0)
    assert cell.loop.label(Outcome(success=True))
    cell.feed(1.1)
    cell.loop.tick(1.1)
    assert world.results[0].success
    assert world.steps[-1].is_terminal
    cell.reset(2.0)
    cell.feed(2.0)
    cell.loop.tick(2.0)
    assert cell.loop.label(None)
    assert world.results[1].aborted
    assert world.results[1].reason == "discarded by the operator"


def test_intervention_is_executed_and_recorded(spec):
    world = World()
    cell = Cell(spec, world)
    cell.reset(1.0)
    cell.feed(1.0, push=1.0)
    cell.loop.tick(1.0)
    step = world.steps[0]
    assert step.source is Source.HUMAN
    assert step.action[0] == 1.0
    assert step.policy_action[0] == 0.5
    assert np.allclose(world.targets[0][1][:3], HOME[:3] + np.array([0.01, 0, 0]))


@pytest.mark.parametrize("change", [{"frame_id": "world"}, {"tcp_twist": np.full(6, np.nan)}])
def test_bad_arm_state_is_reported_and_never_acted_on(spec, change):
    world = World()
    cell = Cell(spec, world)
    cell.reset(1.0)
    good = ArmSample(1.0, "base", HOME, np.zeros(6), np.zeros(6), np.zeros(7), np.zeros(7))
    cell.feed(1.0, arm=dataclasses.replace(good, **change))
    assert not cell.loop.tick(1.0)
    assert world.warnings
    assert not world.steps


def test_failed_reset_is_reported_and_tried_again(spec):
    world = World()
    cell = Cell(spec, world)
    cell.loop.tick(0.0)
    cell.loop.reset_finished(False, "gripper blocked", 0.0)
    assert "gripper blocked" in world.warnings[0]
    cell.loop.tick(0.1)
    assert len(world.seeds) == 2
