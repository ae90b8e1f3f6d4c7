# SPDX-License-Identifier: Apache-2.0
"""Film recorded episodes of a simulated cell: run them again from seed and actions, with the display camera.

The simulator gives equal states for equal seeds and targets, so the film shows what happened, at more pictures
a second than the cell publishes, without slowing down the run. Runs as a process of its own:
`python -m hil_serl_cli.results.film TASK BAGS VIDEO NUMBER:SEED...` prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hil_serl_core.spec import TaskSpec, load_task
from hil_serl_core.step import Step
from hil_serl_ros.bag import read_steps
from hil_serl_runs.video import caption, compose, write_video
from hil_serl_sim.repeating import deviation

PICTURES_PER_STEP = 2
LINGER = 8  # pictures of an episode's last state


@dataclass
class Film:
    """Runs episodes again and yields their pictures.

    Attributes:
        spec: The task.
        deviation: Largest distance so far between repeated and recorded tcp position [m].
    """

    spec: TaskSpec
    deviation: float = field(default=0.0, init=False)

    def pictures(self, episodes: Mapping[int, tuple[int, Sequence[Step]]]) -> Iterator[np.ndarray]:
        """Pictures of episodes.

        Args:
            episodes: Number -> (seed of the initial state, records).

        Raises:
            NotReproducedError: Seed or task are not those of the recording.
        """
        from hil_serl_sim.cell import Cell

        cell = Cell(self.spec)
        try:
            for number, (seed, steps) in episodes.items():
                yield from self._episode(cell, number, seed, steps)
        finally:
            cell.close()

    def _episode(self, cell: Any, number: int, seed: int, steps: Sequence[Step]) -> Iterator[np.ndarray]:
        from hil_serl_sim.rollout import Driver

        driver, slice_ticks = Driver(cell), cell.period_ticks // PICTURES_PER_STEP
        driver.reset(seed)
        for step in steps:
            self._compare(number, step, np.stack([cell.arm_state(arm).pose for arm in self.spec.arm_names]))
            text = f"episode {number}   step {step.step_index}"
            if step.action is None:
                verdict = "success" if step.is_terminal and step.reward > 0 else "no success"
                picture = self._picture(cell, f"{text}   {verdict}")
                yield from [picture] * LINGER
                return
            yield self._picture(cell, text)
            cell.advance(driver.commands(step.action), slice_ticks)
            for _ in range(1, PICTURES_PER_STEP):
                yield self._picture(cell, text)
                cell.advance(None, slice_ticks)
            if rest := cell.period_ticks - PICTURES_PER_STEP * slice_ticks:
                cell.advance(None, rest)
            driver.observe()

    def _picture(self, cell: Any, text: str) -> np.ndarray:
        views = [cell.render(camera.name) for camera in self.spec.cameras]
        return caption(compose(cell.render_display(), views), text)

    def _compare(self, number: int, step: Step, poses: np.ndarray) -> None:
        """``poses``: (arms, 7) as they are now."""
        distance = deviation(f"step {step.step_index} of episode {number}", poses, step.tcp_poses)
        self.deviation = max(self.deviation, distance)


def film(spec: TaskSpec, bags: Path, path: Path, seeds: Mapping[int, int]) -> dict[str, Any]:
    """Film episodes of a bag.

    Args:
        spec: The task they were recorded under.
        bags: Bag, or folder of bags.
        path: MP4 to write.
        seeds: Episode number -> seed of its initial state.

    Returns:
        Number of pictures, and the largest deviation from the recording [m].
    """
    records: dict[int, list[Step]] = {number: [] for number in seeds}
    for step in read_steps(bags):
        if step.episode in records:
            records[step.episode].append(step)
    course = Film(spec)
    episodes = {number: (seed, records[number]) for number, seed in seeds.items() if records[number]}
    count = write_video(path, course.pictures(episodes), PICTURES_PER_STEP / spec.period)
    return {"pictures": count, "deviation_m": course.deviation}


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser()
    parser.add_argument("task", type=Path)
    parser.add_argument("bags", type=Path)
    parser.add_argument("video", type=Path)
    parser.add_argument("episodes", nargs="+", help="NUMBER:SEED")
    options = parser.parse_args()
    from hil_serl_sim.gl import choose_backend

    choose_backend()
    pairs = (text.split(":") for text in options.episodes)
    seeds = {int(number): int(seed) for number, seed in pairs}
    print(json.dumps(film(load_task(options.task), options.bags, options.video, seeds)))


if __name__ == "__main__":
    main()
