# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from hil_serl_actor.loop.agent import Agent
from hil_serl_actor.loop.control_loop import ControlLoop
from hil_serl_actor.loop.ports import LogFull, LoopConfig, Phase
from hil_serl_actor.senses.inputs import SceneVerdict
from hil_serl_core.arbiter import OperatorInput
from hil_serl_core.episode import EpisodeRunner, Mode, Proposal
from hil_serl_ros.images import image_from_array
from hil_serl_ros.stamps import seconds_to_ns
from hil_serl_tasks.testing.fixtures import *  # noqa: F403
from hil_serl_tasks.testing.fixtures import sample

sys.path.append(str(Path(__file__).parent))  # played_cell, set_clock


class World:
    """Ports that write everything down."""

    def __init__(self):
        self.events, self.steps, self.targets, self.commands = [], [], [], []
        self.stops = self.pauses = 0
        self.results, self.warnings, self.seeds, self.resets, self.labels = [], [], [], [], []
        self.disk_full = False

    def log_step(self, step):
        if self.disk_full:
            raise LogFull("no space left in /data")
        self.events.append(("log", step.sequence))

    def send_step(self, step):
        self.events.append(("send", step.sequence))
        self.steps.append(step)

    def label_step(self, step, label):
        self.labels.append((step.sequence, label))

    def send_commands(self, commands, stamp):
        self.events.append(("target", stamp))
        self.commands.append(commands)
        self.targets.append((stamp, next(iter(commands.values())).pose))

    def request_reset(self, reset):
        self.seeds.append(reset.seed)
        self.resets.append(reset)

    def report_tick(self, tick, runner):
        self.events.append(("tick", tick.arbitration.active))

    def report_start(self, agent, seed, stamp):
        self.events.append(("start", agent.spec.name))

    def report_episode(self, agent, result, stamp):
        self.results.append(result)

    def report_stop(self):
        self.stops += 1

    def report_pause(self):
        self.pauses += 1

    def warn(self, text):
        self.warnings.append(text)


class StillPolicy:
    def __init__(self, size=6, available=True):
        self.size, self.available = size, available

    def ready(self, transition):
        return self.available

    def propose(self, observation, transition):
        return Proposal(np.full(self.size, 0.5, np.float32), 4)


class PlayedCell:
    """Feeds one complete tick of inputs at a time."""

    def __init__(self, *specs, mode=Mode.TRAIN, policy=None, reward=None, **config):
        self.world, self.spec = World(), specs[0]
        self.policy = policy or StillPolicy(self.spec.action_size)
        acting = self.policy if mode in (Mode.TRAIN, Mode.EVAL) else None
        agents = [Agent(s, EpisodeRunner(s, f"a{k}", mode), acting, reward) for k, s in enumerate(specs)]
        config.setdefault("await_truth", True)
        self.lockstep = config.get("lockstep", False)
        self.loop = ControlLoop(LoopConfig(mode=mode, **config), agents, self.world)

    def reset(self, stamp):
        """Up to the start of an episode; the hold before it is left out of what the world notes."""
        if not self.lockstep:  # nothing starts before every input is there
            self.feed(stamp - 0.1)
        noted = self.world.targets, self.world.commands, self.world.events
        counts = [len(notes) for notes in noted]
        self.loop.tick(stamp)
        for notes, count in zip(noted, counts, strict=True):
            del notes[count:]
        assert self.loop.phase is Phase.RESETTING
        self.loop.reset_finished(True, "", stamp)

    def feed(
        self, stamp, cameras=None, success=False, failure=False, goals=(), push=0.0, buttons=(), arm=None
    ):
        for name in self.spec.arm_names:
            frame = self.spec.arm(name).base_frame
            self.loop.inputs.put_arm(arm or sample(stamp, frame), name)
            self.loop.put_operator(OperatorInput(stamp, np.array([push, 0, 0, 0, 0, 0]), buttons), name)
        for camera in self.spec.cameras:
            if cameras is None or camera.name in cameras:
                image = np.zeros((camera.source_height, camera.source_width, 3), np.uint8)
                self.loop.inputs.put_image(
                    camera.name, image_from_array(image, seconds_to_ns(stamp), camera.name)
                )
        self.loop.inputs.verdict = SceneVerdict(stamp, success, failure, dict(goals))

    def play(self, start, steps, **feed):
        """Ticks at 10 Hz until the episode ends or ``steps`` are made; returns the next stamp."""
        for k in range(steps):
            self.feed(start + 0.1 * k, **feed)
            self.loop.tick(start + 0.1 * k)
            if self.loop.phase is not Phase.RUNNING:
                return start + 0.1 * (k + 1)
        return start + 0.1 * steps


@pytest.fixture
def played():
    """Makes a cell played by hand around a control loop: ``played(spec, mode=..., lockstep=...)``."""
    return PlayedCell
