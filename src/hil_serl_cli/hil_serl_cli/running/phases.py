# SPDX-License-Identifier: Apache-2.0
"""The phases that commands are made of: demonstrations, training, evaluation, behaviour cloning, video."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hil_serl_bringup import tether
from hil_serl_bringup.graph.build import GraphRequest, Operator
from hil_serl_bringup.graph.observers import LAYOUTS, make_layouts
from hil_serl_bringup.graph.process import THREAD_ENVIRONMENT
from hil_serl_bringup.graph.request import words_of
from hil_serl_bringup.graph.robot_processes import robot_fields
from hil_serl_bringup.graph.robots import SIMULATED, Robot
from hil_serl_bringup.opening import RewardOptions
from hil_serl_cli.running.runner import Outcome, Session
from hil_serl_core.episode import Mode
from hil_serl_core.methods import method_named
from hil_serl_monitor.watch import Phase
from hil_serl_runs.agent_links import ACTOR_ID, link_agents
from hil_serl_runs.agents import BACKWARD
from hil_serl_runs.run_folder import RunFolder, RunFolderError
from hil_serl_runs.statistics import Episode, StopRule


@dataclass(frozen=True)
class Setup:
    """What all phases of a command have in common.

    Attributes:
        operator: Who corrects.
        speed: 'lockstep' or factor of real time.
        device: Device of the learner.
        learner_threads: CPU threads of the learner.
        robot: The cell.
        namespace: ROS namespace.
        display: Publish the display camera.
        algorithm: Learning method, a name in `hil_serl_core.methods`.
        classifier: Trained reward classifier, empty for none.
        partner_classifier: That of the backward agent.
        perturbation: What disturbs every simulated episode, or 'none'.
        perturbation_step: Control step at which it does.
        rviz: Open RViz.
        record: Record the topics of every phase.
        record_images: Which camera topics: none, compressed or raw.
    """

    operator: Operator = Operator.SCRIPTED
    speed: str = "lockstep"
    device: str = "cpu"
    learner_threads: int = 1
    robot: Robot = SIMULATED
    namespace: str = ""
    display: bool = False
    algorithm: str = "hil_serl"
    classifier: str = ""
    partner_classifier: str = ""
    perturbation: str = "none"
    perturbation_step: int = 10
    rviz: bool = False
    record: bool = False
    record_images: str = "none"

    def request(self, folder: RunFolder, mode: Mode, seed: int, **fields: object) -> GraphRequest:
        """Graph of a phase in a run folder."""
        values: dict[str, object] = {
            "operator": self.operator,
            "speed": self.speed,
            "device": self.device,
            "learner_threads": self.learner_threads,
            "namespace": self.namespace,
            "display": self.display,
            "algorithm": self.algorithm,
            "classifier": self.classifier,
            "perturbation": self.perturbation,
            "perturbation_step": self.perturbation_step,
            "rviz": self.rviz,
            "record": self.record,
            "record_images": self.record_images,
            **fields,
        }
        if self.rviz:
            make_layouts(self.robot, folder.task(), self.namespace, folder.path / LAYOUTS)
        # A learner alone needs no cell.
        driven = bool(values.get("actor", True))
        values |= robot_fields(
            self.robot, folder.task(), folder.task_file, self.namespace, folder.path, driven
        )
        if folder.partner_file.exists():
            values |= {"partner": str(folder.partner_file), "partner_classifier": self.partner_classifier}
        return GraphRequest(str(folder.task_file), mode, folder.path, seed=seed, **values)  # type: ignore[arg-type]

    def judged_by(self, options: RewardOptions) -> Setup:
        """The setup with the classifiers of these options."""
        facts = options.facts()
        return replace(self, classifier=facts["classifier"], partner_classifier=facts["partner_classifier"])

    def alone(self, request: GraphRequest, folder: RunFolder, agent: str) -> GraphRequest:
        """The graph of one of two agents without the other: the cell resets the whole scene for it."""
        back = agent == BACKWARD
        return replace(
            request,
            task=str(folder.partner_file if back else folder.task_file),
            actor_id=f"{ACTOR_ID}_{agent}",
            checkpoint=request.partner_checkpoint if back else request.checkpoint,
            classifier=request.partner_classifier if back else request.classifier,
            partner="",
            partner_checkpoint="",
            partner_classifier="",
        )


def demonstrations(session: Session, setup: Setup, count: int, number: tuple[int, int] = (1, 1)) -> Outcome:
    """Record successful episodes driven by the operator until there are `count` of them, of each agent.

    Two agents take turns at success, so that the total is shared evenly but for objects that were lost.
    """
    folder = session.folder
    count *= len(folder.agents)
    name = str(Mode.RECORD_DEMOS)
    done = sum(episode.success for episode in session.log.of(name))
    if done >= count:
        return Outcome("recorded before", 0.0, 0, session.no_learner)
    request = setup.request(folder, Mode.RECORD_DEMOS, folder.seed, episodes=count - done)
    return session.run(request, Phase(name, words_of(request), count, number=number, only_solved=True))


def training(session: Session, setup: Setup, stop: StopRule, number: tuple[int, int] = (1, 1)) -> Outcome:
    """Train by the setup's algorithm until `stop`; goes on from the last checkpoint if there is one.

    A method that learns from demonstrations alone needs no robot and ends by itself.
    """
    folder, method = session.folder, method_named(setup.algorithm)
    resume = folder.begin_part("train") > 0
    labelled = folder.task().reward.kind == "operator"
    operator = setup.operator if method.needs_operator or labelled else Operator.NONE
    link_agents(folder)
    request = setup.request(
        folder, Mode.TRAIN, folder.seed, resume=resume, operator=operator, actor=method.needs_online_data
    )
    return session.run(request, Phase("train", words_of(request), stop=stop, number=number))


def evaluation(
    session: Session,
    setup: Setup,
    checkpoints: Sequence[Path],
    episodes: int,
    phase: str = "eval",
    words: str = "Autonomous evaluation",
    number: tuple[int, int] = (1, 1),
    folder: RunFolder | None = None,
    deterministic: bool = True,
) -> list[Episode]:
    """Run autonomous episodes, with the mode of the policy; returns the counted ones.

    A person's device only stops the robot and labels episodes.

    Two agents are tried one after the other in the simulator, and in turns on a robot.

    Args:
        session: The run.
        setup: Common settings.
        checkpoints: Checkpoint folder of the policy; of each of two agents.
        episodes: How many, of each agent.
        phase: Name in episodes.csv.
        words: Name for people.
        number: Which phase of how many.
        folder: Folder the actor records into, default the run's.
        deterministic: Act with the policy's mode instead of samples.
    """
    chosen = folder or session.folder
    # Trials begin from seeded initial states (Sec. 4.3). On a robot two agents reset the scene for each other.
    apart = len(checkpoints) > 1 and setup.robot.simulated
    total = 0
    for agent in chosen.agents if apart else ("",):
        total += episodes if apart else episodes * len(checkpoints)
        for _ in range(
            3
        ):  # the last message of an actor that ends may be lost; the episode is then run again
            done = len(session.log.of(phase))
            if done >= total:
                break
            request = setup.request(
                chosen,
                Mode.EVAL,
                session.folder.seed,
                operator=Operator.NONE if setup.operator is Operator.SCRIPTED else setup.operator,
                checkpoint=str(checkpoints[0]),
                partner_checkpoint=str(checkpoints[-1]) if len(checkpoints) > 1 else "",
                deterministic=deterministic,
                episodes=total - done,
            )
            request = setup.alone(request, chosen, agent) if apart else request
            session.run(request, Phase(phase, f"{words} {agent}".strip(), total, number=number))
    return session.log.of(phase)


def behaviour_cloning(session: Session, setup: Setup, number: tuple[int, int] = (1, 1)) -> RunFolder:
    """Train a behaviour-cloning policy on the run's demonstrations, in the folder `bc` of the run."""
    main = session.folder
    try:
        folder = RunFolder.open(main.path / "bc")
    except RunFolderError:
        task, *partner = main.tasks()
        folder = RunFolder.create(
            task, main.seed, "bc", path=main.path / "bc", partner=next(iter(partner), None)
        )
    share_demonstrations(main, folder)
    if not folder.is_done("train"):
        link_agents(folder)
        request = setup.request(folder, Mode.TRAIN, main.seed, actor=False, algorithm="bc")
        outcome = session.run(
            request, Phase("bc_train", "Behaviour cloning on the demonstrations", number=number)
        )
        folder.mark_done("train", outcome.facts())
    return folder


def share_demonstrations(source: RunFolder, target: RunFolder) -> None:
    """Let `target` train on the demonstrations of `source`, by a link to its bags.

    Raises:
        RunFolderError: `source` has none, or was made under another task.
    """
    bags = source.path / "bags" / str(Mode.RECORD_DEMOS)
    if not bags.exists():
        raise RunFolderError(f"{source.path} has no demonstrations; record some with: hil-serl record-demos")
    if source.task().hash != target.task().hash:
        raise RunFolderError(
            f"the demonstrations of {source.path} were recorded under another task file "
            f"({source.task().hash}, this run has {target.task().hash}); "
            "record new ones or use that task file"
        )
    link = target.path / "bags" / str(Mode.RECORD_DEMOS)
    if not link.exists():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(bags.resolve(), target_is_directory=True)


def film(session: Session, phase: str, bags: Path, path: Path, count: int = 3) -> str:
    """Film the first episodes of an evaluation in the simulator; of two agents, the forward one's.

    Returns:
        Why there is no video, empty if there is one.
    """
    actor = "_".join(filter(None, (ACTOR_ID, session.folder.agents[0])))
    own = [e for e in session.log.of(phase) if e.actor_id == actor and e.seed >= 0]
    bags, chosen = bags / actor, [f"{e.episode}:{e.seed}" for e in own[:count]]
    if not chosen:
        return "no episode with a known seed"
    arguments = [str(session.folder.task_file), str(bags), str(path), *chosen]
    program = [sys.executable, "-m", "hil_serl_cli.results.film", *arguments]
    environment = {**os.environ, **THREAD_ENVIRONMENT}
    command = [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no reason given"])[-1]
