# SPDX-License-Identifier: Apache-2.0
"""The command `hil-serl analyse`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from hil_serl_cli.results import analysis, analysis_pictures
from hil_serl_runs.run_folder import RunFolder, RunFolderError, write_json
from hil_serl_runs.terminal import plain_console


@dataclass
class Analyse:
    """Show how a policy came to be reliable, as in Sec. 5 of the paper.

    Fig. 6: where the tool went on the way to each checkpoint, what the critic thinks of those states, and how much it
    would mind another action there (variance of Q under noise of +-0.2 on the action, 100 samples). Fig. 7: mean and
    standard deviation of the policy that evaluations run (not of the one that explores, see learner.policy_average) over
    some episodes. Writes PNGs and numbers into RUN_DIR/analysis.
    """

    run_dir: Annotated[Path, tyro.conf.Positional]
    """Run folder of a training."""
    checkpoints: int = 4
    """How many checkpoints, evenly spread over the training."""
    steps: int = 1000
    """Training steps looked at for each checkpoint, at most."""
    episodes: int = 3
    """Episodes over whose time the policy is shown."""
    axes: str = "yz"
    """Two of x, y, z: tcp axes of the heat maps, base frame."""
    arm: str = ""
    """Which arm's tcp, in a task with two."""
    agent: str = ""
    """'forward' or 'backward', in a run with two agents."""
    device: str = "cpu"
    """Where to compute: cpu or cuda."""

    def run(self) -> int:
        from hil_serl_learner.analysis import TrainedAgent  # imports torch

        folder = RunFolder.open(self.run_dir)
        spec = self._task(folder)
        arm = self._arm(spec.arm_names)
        if (
            len(self.axes) != 2
            or not set(self.axes) <= set(analysis_pictures.AXES)
            or self.axes[0] == self.axes[1]
        ):
            raise RunFolderError(
                f"--axes has to be two different ones of x, y, z, such as yz; got '{self.axes}'"
            )
        run = folder.path / self.agent
        output = run / "analysis"
        console = plain_console()
        agents = [
            TrainedAgent.load(path, spec, self.device)
            for path in analysis.checkpoints_of(run, self.checkpoints)
        ]
        windows = analysis.windows(run, agents, arm, self.steps)
        output.mkdir(exist_ok=True)
        title = f"{spec.name}, {agents[-1].algorithm}, seed {folder.seed}"
        maps, curves = output / "heat_maps.png", output / "policy_over_time.png"
        analysis_pictures.draw_heat_maps(windows, maps, self.axes, title)
        shown = analysis.trajectories(self._recordings(folder, run), agents[-1], self.episodes)
        analysis_pictures.draw_trajectories(shown, analysis_pictures.action_names(spec), curves, title)
        write_json(output / "analysis.json", {"windows": [_numbers(window) for window in windows]})
        for window in windows:
            console.print(_in_words(window), highlight=False)
        for path in (maps, curves, output / "analysis.json"):
            console.print(str(path), highlight=False, soft_wrap=True)
        return 0

    def _task(self, folder: RunFolder):
        if self.agent not in folder.agents:
            names = ", ".join(filter(None, folder.agents))
            hint = f"name one with --agent: {names}" if names else "leave --agent out"
            raise RunFolderError(f"{folder.path} has no agent '{self.agent}'; {hint}")
        return folder.tasks()[folder.agents.index(self.agent)]

    def _arm(self, names: tuple[str, ...]) -> int:
        if not self.arm:
            return 0
        if self.arm not in names:
            raise RunFolderError(
                f"the task has no arm '{self.arm}'; it has {', '.join(n or 'one' for n in names)}"
            )
        return names.index(self.arm)

    def _recordings(self, folder: RunFolder, run: Path) -> Path:
        """Where episodes are: evaluations of two agents lie in the run's own folder."""
        return folder.path if (folder.path / "bags" / "eval").exists() else run


def _numbers(window: analysis.Window) -> dict[str, float]:
    with np.errstate(invalid="ignore"):
        mean = float(np.mean(window.values)), float(np.mean(window.variances))
    return {
        "trained_step": window.trained_step,
        "steps": len(window.positions),
        "q_mean": mean[0],
        "q_variance_mean": mean[1],
        "tcp_std_m": float(np.mean(np.std(window.positions, axis=0))),
    }


def _in_words(window: analysis.Window) -> str:
    numbers = _numbers(window)
    text = f"{window.trained_step:,} transitions: {numbers['steps']} steps"
    if np.isfinite(numbers["q_mean"]):
        text += f", mean Q {numbers['q_mean']:.3f}, mean variance of Q {numbers['q_variance_mean']:.2e}"
    return text
