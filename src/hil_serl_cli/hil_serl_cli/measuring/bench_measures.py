# SPDX-License-Identifier: Apache-2.0
"""Measurements of `hil-serl bench`, each in a process of its own: `python -m ... NAME TASK` prints JSON."""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hil_serl_core.spec import LearnerSpec, TaskSpec, load_task
from hil_serl_core.step import Source, Step

EPISODE = 30  # records of a made-up episode


def made_up_steps(spec: TaskSpec, count: int, actor_id: str = "bench", seed: int = 0) -> Iterator[Step]:
    """Records of the task's sizes with random content; what is measured does not depend on content."""
    rng = np.random.default_rng(seed)
    size = spec.action_size
    for number in range(count):
        index = number % EPISODE
        last = index == EPISODE - 1
        yield Step(
            stamp=number * spec.period,
            actor_id=actor_id,
            sequence=number,
            episode=number // EPISODE,
            step_index=index,
            frames={c.name: rng.integers(0, 256, (c.size, c.size, 3), dtype=np.uint8) for c in spec.cameras},
            state={part: rng.normal(0, 0.05, n).astype(np.float32) for part, n in spec.state_sizes.items()},
            tcp_poses=np.tile([0.5, 0.0, 0.24, 1.0, 0.0, 0.0, 0.0], (len(spec.arm_names), 1)),
            action=None if last else rng.uniform(-1, 1, size).astype(np.float32),
            policy_action=None if last else rng.uniform(-1, 1, size).astype(np.float32),
            source=Source.NONE if last else Source.POLICY,
            reward=float(last),
            grasp_penalty=0.0,
            is_first=index == 0,
            is_last=last,
            is_terminal=last,
            policy_version=0,
            spec_hash=spec.hash,
        )


def with_learner(spec: TaskSpec, **settings: Any) -> TaskSpec:
    """The task with other learner settings."""
    learner = LearnerSpec.model_validate({**spec.learner.model_dump(), **settings})
    return spec.model_copy(update={"learner": learner})


def control_tick(_spec: TaskSpec) -> dict[str, Any]:
    """Time of one 1 kHz tick of the control law [us], from the C++ benchmark."""
    from hil_serl_bringup.graph.executables import find_command

    command = find_command("serl_impedance_controller", "tick_benchmark")
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def environment(spec: TaskSpec) -> dict[str, Any]:
    """Speed of the simulated cell with all policy cameras, without ROS."""
    from hil_serl_sim.gl import choose_backend

    backend = choose_backend()
    from hil_serl_sim.cell import Cell
    from hil_serl_sim.expert import Expert
    from hil_serl_sim.rollout import Driver

    cell, steps = Cell(spec), 0
    driver = Driver(cell)
    expert = Expert(spec, cell.twin.guide())
    began = time.perf_counter()
    for seed in range(12):
        driver.reset(seed)
        for _ in range(25):
            for camera in spec.cameras:
                cell.render(camera.name)
            driver.step(expert.action(cell.view()))
            steps += 1
            if cell.truth().success:
                break
    seconds = time.perf_counter() - began
    cell.close()
    rate = steps / seconds
    return {"gl": backend, "steps": steps, "steps_per_s": rate, "times_real_time": rate * spec.period}


def learner(spec: TaskSpec, batch: int = 256, records: int = 300) -> dict[str, Any]:
    """Gradient updates a second, cached features against the trunk every time; same heads."""
    result: dict[str, Any] = {"batch": batch, "cameras": len(spec.cameras), "backbone": spec.learner.backbone}
    for name, cached, updates in (("cached", True, 100), ("plain", False, 4)):
        trainer = _trainer(
            with_learner(spec, batch_size=batch, feature_cache=cached, replay_capacity=2 * records), records
        )
        trainer.update()
        began = time.perf_counter()
        for _ in range(updates):
            trainer.update()
        result[f"{name}_updates_per_s"] = updates / (time.perf_counter() - began)
        if cached:
            result["average_over_polyak"] = _average_over_polyak(trainer.algorithm)
    result["ratio"] = result["cached_updates_per_s"] / result["plain_updates_per_s"]
    return result


def _average_over_polyak(algorithm: Any, repeats: int = 200) -> float:
    """Time of averaging the policy over that of averaging the target networks, least of many turns of each."""
    least = [float("inf"), float("inf")]
    for _ in range(repeats):
        for index in range(2):
            began = time.perf_counter()
            if index == 0:
                algorithm.average_policy()
            else:
                algorithm.average_target()
            least[index] = min(least[index], time.perf_counter() - began)
    return least[0] / least[1]


def real_time(spec: TaskSpec, seconds: float = 15.0, records: int = 2 * EPISODE) -> dict[str, Any]:
    """How much of a task's training this machine does beside a cell that runs in real time.

    Records come at the cell's control frequency to the thread that stores and trains in a real run, with the task's own
    settings (but no warm-up). Measured before, each by itself: how many records it stores, how many updates it does.

    Args:
        spec: The task, one of real hardware.
        seconds: How long records come.
        records: Demonstrations, and records or updates of each measurement by itself.
    """
    from hil_serl_learner.trainer import Trainer
    from hil_serl_learner.worker import TrainingWorker, WorkerConfig

    capacity = max(100, 4 * records + int(seconds / spec.period))
    small = with_learner(spec, replay_capacity=capacity, warmup_steps=0)
    result: dict[str, Any] = {
        "frequency": spec.control.frequency,
        "update_to_data": spec.learner.update_to_data,
        **_rates(small, records),
    }
    trainer = Trainer(small, seed=0)
    with tempfile.TemporaryDirectory() as name:
        worker = TrainingWorker(
            trainer,
            WorkerConfig(Path(name) / "checkpoints", Path(name) / "tensorboard", lockstep=False),
            demonstrations=lambda: made_up_steps(small, records, "demonstrator"),
            online=lambda: (),
            publish=lambda weights: None,
        )
        worker.start()
        transitions = _feed(worker, small, seconds)
        done = trainer.counters.updates
        worker.stop()
    if worker.error is not None:
        raise worker.error
    return {**result, "done_share": min(1.0, done / (transitions * spec.learner.update_to_data))}


def _rates(spec: TaskSpec, records: int) -> dict[str, float]:
    """Records stored a second (features of all views) and gradient updates a second, each by itself."""
    trainer = _trainer(spec, records)
    began = time.perf_counter()
    for step in made_up_steps(spec, records, "stored"):
        trainer.add_step(step)
    stored = time.perf_counter()
    trainer.update()
    warm = time.perf_counter()
    for _ in range(records):
        trainer.update()
    ended = time.perf_counter()
    trainer.close()
    return {"records_per_s": records / (stored - began), "updates_per_s": records / (ended - warm)}


def _feed(worker: Any, spec: TaskSpec, seconds: float) -> int:
    """Offers made-up records to a worker, each at its time; returns how many of them carry an action."""
    steps = list(made_up_steps(spec, max(2, int(seconds / spec.period))))
    while worker.alive and not worker.offer(steps[0]):
        time.sleep(0.1)
    began = time.perf_counter()
    for number, step in enumerate(steps[1:], start=1):
        time.sleep(max(0.0, began + number * spec.period - time.perf_counter()))
        worker.offer(step)
    time.sleep(spec.period)
    return sum(step.action is not None for step in steps)


def _trainer(spec: TaskSpec, records: int) -> Any:
    from hil_serl_learner.trainer import Trainer

    trainer = Trainer(spec, seed=0)
    for step in made_up_steps(spec, records, "demonstrator"):
        trainer.add_demonstration(step)
    trainer.begin()
    for step in made_up_steps(spec, records, seed=1):
        trainer.add_step(step)
    return trainer


def storage(spec: TaskSpec) -> dict[str, Any]:
    """Bytes of one record in the learner's memory, in a bag, and of its features on the disk."""
    from hil_serl_learner.trainer import Trainer

    capacity, count = 1000, 120
    trainer = Trainer(with_learner(spec, replay_capacity=capacity))
    replay = trainer.replay
    arrays: list[np.ndarray] = [
        *replay.frames.values(),
        replay.state,
        replay.action,
        replay.reward,
        replay.stop,
    ]
    memory = sum(array.nbytes for array in arrays) / capacity
    views = spec.learner.augmented_views if spec.learner.crop_padding else 1
    cache = views * trainer.extractor.size * np.dtype(np.float16).itemsize
    with tempfile.TemporaryDirectory() as folder:
        path = _write_bag(Path(folder) / "bag", spec, count)
        disk = sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / count
    return {"replay_bytes": memory, "feature_cache_bytes": cache, "bag_bytes": disk}


def _write_bag(path: Path, spec: TaskSpec, count: int) -> Path:
    from hil_serl_msgs.msg import Step as StepMessage
    from hil_serl_ros import qos
    from hil_serl_ros.bag import BagWriter
    from hil_serl_ros.conversions import step_to_message

    with BagWriter(path) as bag:
        bag.add_topic("/step", StepMessage, qos.STEP)
        for step in made_up_steps(spec, count):
            bag.write("/step", step_to_message(step), round(step.stamp * 1e9), step.sequence)
    return path


def resume(spec: TaskSpec, records: int = 500) -> dict[str, Any]:
    """Time of one record of a bag into the replay of a resumed learner: through the trunk, and from the disk."""
    from hil_serl_learner import checkpoint
    from hil_serl_learner.feature_file import FEATURE_FILE
    from hil_serl_learner.trainer import Trainer
    from hil_serl_ros.bag import read_steps

    result: dict[str, Any] = {"records": records}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bag, checkpoints = _write_bag(folder / "bag", spec, records), folder / "checkpoints"
        for kind in ("computed", "read"):
            small = with_learner(spec, replay_capacity=2 * records, feature_file=True)
            trainer = Trainer(small, feature_file=folder / FEATURE_FILE)
            if kind == "read":
                checkpoint.load_latest(trainer, checkpoints)
            for step in made_up_steps(spec, 2 * EPISODE, "demonstrator"):
                trainer.add_demonstration(step)
            trainer.begin()
            began = time.perf_counter()
            for step in read_steps(bag):
                trainer.add_step(step)
            result[f"{kind}_ms"] = 1000.0 * (time.perf_counter() - began) / records
            if kind == "computed":
                checkpoint.save(trainer, checkpoints)
            trainer.close()
        result["file_bytes"] = (folder / FEATURE_FILE).stat().st_size / (records + 2 * EPISODE)
    result["ratio"] = result["computed_ms"] / result["read_ms"]
    return result


MEASURES: dict[str, Callable[[TaskSpec], dict[str, Any]]] = {
    "control_tick": control_tick,
    "environment": environment,
    "learner": learner,
    "storage": storage,
    "resume": resume,
    "real_time": real_time,
}


def main() -> None:
    """Run one measurement and print its result, with this process's peak memory, as one line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=MEASURES)
    parser.add_argument("task", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if options.name in ("learner", "storage", "resume", "real_time"):
        import torch

        torch.set_num_threads(options.threads)
    result = MEASURES[options.name](load_task(options.task))
    result["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(result))


if __name__ == "__main__":
    main()
