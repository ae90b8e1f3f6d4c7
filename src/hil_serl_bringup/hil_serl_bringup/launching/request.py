# SPDX-License-Identifier: Apache-2.0
"""From the arguments of a launch file to a request for a graph; makes or opens the run folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from hil_serl_bringup.graph import observers
from hil_serl_bringup.graph.build import GraphError, GraphRequest, Operator
from hil_serl_bringup.graph.dds import profile_file
from hil_serl_bringup.graph.robot_processes import robot_fields
from hil_serl_bringup.graph.robots import Robot, find_robot
from hil_serl_bringup.launching.arguments import EVALUATED_EPISODES, path_of, texts
from hil_serl_bringup.opening import MethodOptions, demonstrations_of, open_folder, recording_task
from hil_serl_core.episode import Mode
from hil_serl_core.spec import RewardKind
from hil_serl_runs.agent_links import link_agents
from hil_serl_runs.checkpoints import latest_checkpoints
from hil_serl_runs.labels import LEAST_EPISODES
from hil_serl_runs.run_folder import RunFolder, RunFolderError
from hil_serl_tasks.finder import find_task


def _operator(text: Mapping[str, str], mode: Mode, simulated: bool) -> Operator:
    """Whose device is started; in an evaluation it only stops and labels, which a simulated cell can do without."""
    operator = Operator(text["operator"])
    needless = mode is Mode.EVAL and (simulated or operator is Operator.SCRIPTED)
    return Operator.NONE if needless else operator


def request_from(values: Mapping[str, str]) -> GraphRequest:
    """The graph that launch arguments ask for; makes or opens the run folder.

    Args:
        values: Argument name -> text; missing ones take their default.

    Raises:
        ValueError: A value that cannot be used.
        TaskFileError, RobotFileError, GraphError, MethodError: What was asked for does not fit.
    """
    text = texts(values)
    robot, mode = find_robot(text["robot"]), Mode(text["mode"])
    if text["actor_only"] == text["learner_only"] == "true":
        raise GraphError("actor_only and learner_only exclude each other; give neither to run both here")
    if text["learner_only"] == "true" and mode is not Mode.TRAIN:
        raise GraphError(f"learner_only goes with mode:=train, not {mode}")
    options = MethodOptions(
        reward=cast(RewardKind, text["reward"]) if text["reward"] else None,
        classifier=path_of(text["classifier"]),
        partner_classifier=path_of(text["partner_classifier"]),
        algorithm=text["algorithm"],
    )
    folder = _folder(text, mode, robot, options)
    facts = options.facts()
    link_agents(folder)
    resume = mode is Mode.TRAIN and folder.begin_part("train") > 0
    checkpoints = [text["checkpoint"], ""]
    if mode is Mode.EVAL and not text["checkpoint"]:
        checkpoints = [str(path) for path in latest_checkpoints(folder)] + [""]
    here = text["learner_only"] != "true"
    phase = f"eval_{folder.begin_part('eval') + 1}" if mode is Mode.EVAL else ""
    if text["rviz"] == "true":
        observers.make_layouts(robot, folder.task(), text["namespace"], folder.path / observers.LAYOUTS)
    return GraphRequest(
        task=str(folder.task_file),
        mode=mode,
        run_dir=folder.path,
        operator=_operator(text, mode, robot.simulated),
        seed=folder.seed,
        speed=text["speed"],
        episodes=_episodes(text["episodes"], mode, folder),
        phase=phase,
        resume=resume,
        algorithm=facts["algorithm"],
        actor_id=text["actor_id"],
        checkpoint=checkpoints[0],
        partner=str(folder.partner_file) if folder.partner_file.exists() else "",
        partner_checkpoint=checkpoints[1],
        classifier=facts["classifier"],
        partner_classifier=facts["partner_classifier"],
        deterministic=text["deterministic"] == "true" if mode is Mode.EVAL else None,
        display=text["display"] == "true",
        device=text["device"],
        learner_threads=int(text["learner_threads"]),
        namespace=text["namespace"],
        monitor=True,
        rviz=text["rviz"] == "true",
        actors=text["actors"],
        dds_profile=str(
            profile_file(text["dds_profile"], "true" in (text["actor_only"], text["learner_only"])) or ""
        ),
        record=text["record"] == "true",
        record_images=text["record_images"],
        learner=text["actor_only"] != "true",
        actor=here,
        **robot_fields(robot, folder.task(), folder.task_file, text["namespace"], folder.path, here),
    )


def _folder(text: Mapping[str, str], mode: Mode, robot: Robot, options: MethodOptions) -> RunFolder:
    path = path_of(text["run_dir"])
    known = path if path is not None and (path / "run.json").exists() else None
    if text["resume"] == "true" and known is None:
        where = f"{path} holds no run" if path is not None else "no run_dir was given"
        raise RunFolderError(f"resume:=true, but {where}; give run_dir:= the folder of the run to go on with")
    if text["resume"] == "false" and known is not None:
        raise RunFolderError(f"resume:=false, but {path} holds a run; give run_dir:= a new folder")
    if mode is Mode.EVAL and known is None:
        raise RunFolderError("mode:=eval needs run_dir:= the folder of a trained run")
    seed = int(text["seed"])
    if mode is Mode.RECORD_CLASSIFIER:  # what is recorded there makes the judge
        task = recording_task(find_task(text["task"], robot.has_twin), robot.simulated)
        return open_folder(task, seed, "launch", path, known, robot)
    return options.open_judged(text["task"], seed, "launch", path, known, robot)


def _episodes(text: str, mode: Mode, folder: RunFolder) -> int:
    if text:
        return int(text)
    return {
        Mode.RECORD_DEMOS: demonstrations_of(folder, None) * len(folder.agents),
        Mode.RECORD_CLASSIFIER: LEAST_EPISODES,
        Mode.EVAL: EVALUATED_EPISODES * len(folder.agents),
        Mode.TRAIN: 0,
    }[mode]
