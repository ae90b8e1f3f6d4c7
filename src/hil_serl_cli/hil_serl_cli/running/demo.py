# SPDX-License-Identifier: Apache-2.0
"""The main job: demonstrations, training with interventions, autonomous evaluation, comparison, report.

Every phase runs as separate processes over ROS topics. A phase that is complete is not run again, so that an
interrupted demo goes on where it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from hil_serl_bringup.graph.build import Operator
from hil_serl_cli.running import phases
from hil_serl_cli.running.phases import Setup
from hil_serl_cli.running.runner import Session
from hil_serl_runs import report
from hil_serl_runs.checkpoints import latest_checkpoints
from hil_serl_runs.run_folder import RunFolder, write_json
from hil_serl_runs.statistics import StopRule, rates
from hil_serl_runs.terminal import word

PHASES = 5


@dataclass(frozen=True)
class DemoPlan:
    """Sizes of a demo.

    Attributes:
        demonstrations: Demonstrations to record.
        evaluation_episodes: Autonomous episodes of the policy, and of behaviour cloning.
        stop: When training is over.
        film_episodes: Episodes in the video; 0 for no video.
        compare: Train and evaluate behaviour cloning.
    """

    demonstrations: int = 20
    evaluation_episodes: int = 50
    stop: StopRule = StopRule(min_steps=2000, max_seconds=600.0)  # noqa: RUF009
    film_episodes: int = 3
    compare: bool = True


def run_demo(session: Session, setup: Setup, plan: DemoPlan) -> dict[str, Any]:
    """Run the phases that are not complete yet, and write the report.

    Returns:
        The summary, as in summary.json.
    """
    folder, say = session.folder, session.view.say
    phases.demonstrations(session, setup, plan.demonstrations, (1, PHASES))
    if not folder.is_done("train"):
        outcome = phases.training(session, setup, plan.stop, (2, PHASES))
        say(f"Training is over after {outcome.seconds:.0f} s: {outcome.reason}.")
        folder.mark_done("train", outcome.facts())
    checkpoints = latest_checkpoints(folder)
    autonomous = replace(setup, operator=Operator.NONE)
    phases.evaluation(session, autonomous, checkpoints, plan.evaluation_episodes, number=(3, PHASES))
    if plan.compare:
        cloned = phases.behaviour_cloning(session, setup, (4, PHASES))
        phases.evaluation(
            session,
            autonomous,
            latest_checkpoints(cloned),
            plan.evaluation_episodes,
            phase="bc_eval",
            words="Evaluation of behaviour cloning",
            number=(5, PHASES),
            folder=cloned,
        )
    video = folder.path / "policy.mp4"
    if plan.film_episodes and setup.robot.simulated and not video.exists():
        say("Filming the final policy ...")
        problem = phases.film(session, "eval", folder.path / "bags" / "eval", video, plan.film_episodes)
        if problem:
            say(f"There is no video: {problem}")
    return write_report(session)


def results_of(session: Session) -> report.Results:
    """Results of a run from its episode log and run.json."""
    train = session.folder.state()["done"].get("train", {})
    log = session.log
    return report.Results(
        demos=[e for e in log.of("record_demos") if e.success],
        training=log.of("train"),
        evaluation=log.of("eval"),
        bc=log.of("bc_eval"),
        training_s=float(train.get("seconds", 0.0)),
        env_steps=int(train.get("env_steps", 0)),
        updates=int(train.get("updates", 0)),
        stopped_by=str(train.get("reason", "")),
    )


def write_report(session: Session) -> dict[str, Any]:
    """Write summary.json and curve.png, and return the summary."""
    folder, results = session.folder, results_of(session)
    state = folder.state()
    summary = report.summarise(
        results,
        agents=state["done"].get("train", {}).get("agents", []),
        seed=folder.seed,
        task=state["task"],
        spec_hash=state["spec_hash"],
        created=state["created"],
    )
    report.draw_curves(results, folder.path / "curve.png", f"{state['task']}, seed {folder.seed}")
    write_json(folder.summary_file, summary)
    return summary


def show_report(console: Console, session: Session, summary: dict[str, Any]) -> None:
    """Print the table and what is in the run folder; the path of the summary comes last."""
    results, folder = results_of(session), session.folder
    console.print()
    console.print(
        report.table(summary, rates(results.demos), rates(results.evaluation), rates(results.bc)),
        soft_wrap=True,
    )
    console.print(
        f"Training: {summary['training_s']:.0f} s, {summary['env_steps']:,} steps, "
        f"{summary['updates']:,} updates, {summary['training_episodes']} episodes; "
        f"stopped by: {summary['training_stopped_by']}.",
        highlight=False,
        soft_wrap=True,
    )
    for entry in summary["agents"] if len(summary["agents"]) > 1 else ():
        console.print(
            f"  {entry['agent']}: {entry['transitions']:,} transitions, {entry['updates']:,} updates",
            highlight=False,
        )
    show_folder(console, folder)
    console.print(str(folder.summary_file), highlight=False, soft_wrap=True, markup=False)


def show_folder(console: Console, folder: RunFolder) -> None:
    """Print what is in a run folder and how to look at it."""
    path = folder.path
    entries = (
        ("task.yaml", "the task as it was run", ""),
        (
            "bags/",
            "every step, as rosbag2 MCAP",
            f"hil-serl replay {word(path)}   (Foxglove and ros2 bag open them too)",
        ),
        ("checkpoints/", "networks, optimiser, counters", f"hil-serl eval {word(path)}"),
        ("tensorboard/", "losses and rates", f"tensorboard --logdir {word(path)}"),
        ("logs/", "what each process printed", ""),
        ("episodes.csv", "one line an episode", ""),
        ("curve.png", "learning curves", ""),
        ("policy.mp4", "the final policy at work", ""),
        ("summary.json", "the numbers above", ""),
    )
    console.print(f"\nRun folder {path}", highlight=False, soft_wrap=True)
    for name, meaning, how in entries:
        if (path / name.rstrip("/")).exists():
            line = f"  {name:<14}{meaning}" + (f": {how}" if how else "")
            console.print(line, highlight=False, soft_wrap=True, markup=False)
