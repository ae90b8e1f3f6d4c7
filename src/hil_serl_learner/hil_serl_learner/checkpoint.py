# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: written whole or not at all, checked when read, never a pickle.

A checkpoint is a folder ``step_XXXXXXXX`` with ``policy.safetensors`` (what an evaluation loads),
``model.safetensors``, ``optimizer.safetensors`` and ``state.json`` (counters, random state, SHA-256 of the
other files). The replay is not in it: the bags are the replay.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from hil_serl_core.files import sync_folder
from hil_serl_core.spec import TaskSpec
from hil_serl_core.weights import POLICY_FILE
from hil_serl_learner.counters import Counters
from hil_serl_learner.trainer import Trainer

FORMAT = 3
LATEST = "latest"
KEEP = 3
MILESTONES = 8
"""Older checkpoints kept besides, evenly spread over the training: its history, for the analysis."""
MODEL_FILE, OPTIMIZER_FILE, STATE_FILE = "model.safetensors", "optimizer.safetensors", "state.json"


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message names it and the remedy."""


def save(trainer: Trainer, root: Path, keep: int = KEEP) -> Path:
    """Writes a checkpoint and points ``latest`` to it.

    The folder appears under its name only when all of it is on the disk, so a process killed here leaves the
    earlier ones untouched.

    Args:
        trainer: What to save.
        root: ``<run>/checkpoints``; created if missing.
        keep: How many of the newest to keep, besides some milestones.

    Returns:
        The folder.

    Raises:
        OSError: Not written (disk full, no permission); earlier checkpoints are untouched.
    """
    root.mkdir(parents=True, exist_ok=True)
    target = root / f"step_{trainer.trained_step:08d}"
    temporary = root / f".{target.name}.{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        _write_files(trainer, temporary)
        sync_folder(temporary)
        if target.exists():  # a second save at the same step replaces the first
            retired = root / f".{target.name}.{os.getpid()}.old"
            target.rename(retired)
            temporary.rename(target)
            shutil.rmtree(retired, ignore_errors=True)
        else:
            temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _point_latest(root, target.name)
    sync_folder(root)
    for old in surplus(_folders(root), keep):
        shutil.rmtree(old, ignore_errors=True)
    return target


def surplus(folders: list[Path], keep: int, milestones: int = MILESTONES) -> list[Path]:
    """Checkpoints that may go: not the newest, and not among those that spread most evenly over the training.

    Args:
        folders: ``step_XXXXXXXX``, oldest first.
        keep: How many of the newest stay.
        milestones: How many of the older ones stay.
    """
    old = folders[:-keep]
    gone = []
    while len(old) > milestones:
        steps = [0, *(int(folder.name.removeprefix("step_")) for folder in old)]
        gaps = [after - before for before, after in zip(steps[:-1], steps[2:], strict=False)]
        gone.append(old.pop(gaps.index(min(gaps))))  # the last one is never among these
    return gone


def _write_files(trainer: Trainer, folder: Path) -> None:
    contents = {
        POLICY_FILE: trainer.peek_weights(evaluated=True).data,
        MODEL_FILE: safetensors.torch.save(_plain(trainer.model_state())),
        OPTIMIZER_FILE: safetensors.torch.save(_plain(trainer.optimizer_state())),
    }
    for name, data in contents.items():
        _write(folder / name, data)
    state = {
        "format": FORMAT,
        "spec_hash": trainer.spec.hash,
        "algorithm": trainer.method.name,
        "trained_step": trainer.trained_step,
        "counters": asdict(trainer.counters),
        "random": trainer.random_state(),
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()},
    }
    _write(folder / STATE_FILE, json.dumps(state, indent=1).encode())


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    # clone: parameters are views of one flat buffer, which safetensors refuses to save as they are.
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _point_latest(root: Path, name: str) -> None:
    temporary = root / f".{LATEST}.{os.getpid()}.tmp"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(name, target_is_directory=True)
    temporary.replace(root / LATEST)


def _folders(root: Path) -> list[Path]:
    """Checkpoints, oldest first."""
    return sorted(path for path in root.glob("step_*") if path.is_dir())


def has_checkpoints(root: Path) -> bool:
    """True if there is at least one checkpoint, damaged or not."""
    return bool(_folders(root)) if root.is_dir() else False


def load_latest(trainer: Trainer, root: Path) -> tuple[Path, list[str]]:
    """Restores the newest usable checkpoint.

    Returns:
        Its folder, and one line for each newer one that was damaged and passed over.

    Raises:
        CheckpointError: There is none, none is usable, or the newest belongs to another task or algorithm.
    """
    problems: list[str] = []
    for folder in reversed(_folders(root) if root.is_dir() else []):
        try:
            load(trainer, folder)
        except DamagedCheckpointError as error:
            problems.append(str(error))
        else:
            return folder, problems
    raise CheckpointError(
        "; ".join([*problems, f"no usable checkpoint in {root}; start without resume, in a new run folder"])
    )


class DamagedCheckpointError(CheckpointError):
    """Files of a checkpoint are missing or not what was written."""


def load(trainer: Trainer, folder: Path) -> None:
    """Restores one checkpoint into a trainer of the same task and algorithm.

    Raises:
        DamagedCheckpointError: Files are missing or damaged; the trainer is unchanged.
        CheckpointError: It belongs to another task spec, algorithm or version of this suite.
    """
    state, contents = read(folder, trainer.spec)
    if state["algorithm"] != trainer.method.name:
        raise CheckpointError(
            f"{folder} has algorithm {state['algorithm']}, this run has {trainer.method.name}; "
            "resume with the algorithm that the run began with"
        )
    try:
        model = safetensors.torch.load(contents[MODEL_FILE])
        optimizer = safetensors.torch.load(contents[OPTIMIZER_FILE])
        counters, trained_step = Counters.from_json(state["counters"]), _trained_step(state)
        trainer.restore(model, optimizer, counters, trained_step, state["random"])
    except (KeyError, TypeError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        raise _damaged(folder, error) from error


def _trained_step(state: Mapping[str, Any]) -> int:
    trained_step = state["trained_step"]
    if not isinstance(trained_step, int) or trained_step < 0:
        raise ValueError(f"trained_step is {trained_step!r}")
    return trained_step


def _damaged(folder: Path, error: Exception) -> DamagedCheckpointError:
    return DamagedCheckpointError(f"checkpoint {folder} is damaged: {type(error).__name__}: {error}")


def read(folder: Path, spec: TaskSpec) -> tuple[dict[str, Any], dict[str, bytes]]:
    """``state.json`` and the checked contents of the other files, by name.

    Raises:
        DamagedCheckpointError: Files are missing or damaged.
        CheckpointError: It belongs to another task spec or version of this suite.
    """
    state, contents = _read_checked(folder)
    if state.get("format") != FORMAT:
        raise CheckpointError(f"{folder} has format {state.get('format')}, this version reads {FORMAT}")
    # state.json has no checksum of its own: what is read of it has to be there.
    if missing := {"spec_hash", "algorithm", "trained_step", "counters", "random"} - set(state):
        raise DamagedCheckpointError(
            f"checkpoint {folder} is damaged: {STATE_FILE} lacks {', '.join(sorted(missing))}"
        )
    if state["spec_hash"] != spec.hash:
        raise CheckpointError(
            f"{folder} has spec_hash {state['spec_hash']}, this run has {spec.hash}; "
            "use the run's own task file"
        )
    return state, contents


def _read_checked(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    try:
        state = json.loads((folder / STATE_FILE).read_text())
        digests = dict(state["sha256"])
        missing = {POLICY_FILE, MODEL_FILE, OPTIMIZER_FILE} - set(digests)
        contents = {name: (folder / name).read_bytes() for name in digests}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, error) from error
    if missing:
        raise DamagedCheckpointError(f"checkpoint {folder} is damaged: {sorted(missing)} not listed")
    for name, data in contents.items():
        if hashlib.sha256(data).hexdigest() != digests[name]:
            raise DamagedCheckpointError(f"checkpoint {folder} is damaged: SHA-256 of {name} does not match")
    return state, contents
