# SPDX-License-Identifier: Apache-2.0
"""What a trainer takes over from a checkpoint: all of it or nothing, also from another kind of device."""

from __future__ import annotations

import copy
import itertools
import json
import logging
from dataclasses import asdict

import numpy as np
import pytest
import safetensors.torch
import torch

from hil_serl_learner import checkpoint
from hil_serl_learner.checkpoint import DamagedCheckpointError
from hil_serl_learner.counters import Counters
from hil_serl_learner.relabelling import relabeller_for

CUDA_STATE_BYTES = 16
"""Size of the state of a CUDA generator: seed and offset, 8 bytes each."""


def trained(toy, spec, records=24, **options):
    return toy.trained(spec, itertools.islice(toy.episodes(spec, 9), records), **options)


def as_bytes(tensors):
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


def everything(trainer):
    """All that a checkpoint restores, as plain values."""
    return {
        "model": as_bytes(trainer.model_state()),
        "optimizer": as_bytes(trainer.optimizer_state()),
        "random": copy.deepcopy(trainer.random_state()),
        "counters": asdict(trainer.counters),
        "trained_step": trainer.trained_step,
        "rates": {name: adam.learning_rate for name, adam in trainer.algorithm.optimizers.items()},
    }


def contents(trainer):
    """What ``Trainer.restore`` is given, copied."""
    return (
        {name: tensor.clone() for name, tensor in trainer.model_state().items()},
        {name: tensor.clone() for name, tensor in trainer.optimizer_state().items()},
        copy.deepcopy(trainer.counters),
        trainer.trained_step,
        copy.deepcopy(trainer.random_state()),
    )


def tensor_damages(tensor):
    """The tensor missing, of another shape, of another type, and with a number that is none."""
    yield None
    yield torch.zeros(*tensor.shape, 2, dtype=tensor.dtype)
    yield tensor.to(torch.int32 if tensor.is_floating_point() else torch.float64)
    if tensor.is_floating_point():
        yield torch.full_like(tensor, float("nan"))


def damages(parts):
    """Each tensor and each section of a checkpoint's contents spoilt in turn: what it was, and the contents."""
    model, optimizer, counters, trained_step, random = parts
    for index, tensors in ((0, model), (1, optimizer)):
        for name, tensor in tensors.items():
            for changed in tensor_damages(tensor):
                if changed is None and name == "average_updates":
                    continue  # a checkpoint without an average: it begins with the policy
                spoilt = dict(tensors)
                spoilt.pop(name) if changed is None else spoilt.update({name: changed})
                yield name, (*parts[:index], spoilt, *parts[index + 1 :])
    garbage = torch.full_like(optimizer.get("generator", torch.zeros(1, dtype=torch.uint8)), 255)
    if "generator" in optimizer:
        yield "generator", (model, {**optimizer, "generator": garbage}, counters, trained_step, random)
    for section in random:
        without = {key: value for key, value in random.items() if key != section}
        yield section, (model, optimizer, counters, trained_step, without)
        yield section, (model, optimizer, counters, trained_step, {**random, section: "x"})
    torn = {**random["numpy"], "state": {"state": 1}}
    yield "numpy", (model, optimizer, counters, trained_step, {**random, "numpy": torn})


@pytest.mark.parametrize(
    ("algorithm", "gripper", "reward"),
    [
        ("hil_serl", True, "ground_truth"),
        ("hil_serl", False, "vice"),
        ("hg_dagger", True, "ground_truth"),
    ],
)
def test_whatever_does_not_fit_nothing_is_changed(toy, algorithm, gripper, reward):
    spec = toy.spec(gripper=gripper, reward=reward)
    options = {"algorithm": algorithm, "relabeller": relabeller_for(spec)}
    parts = contents(trained(toy, spec, **options))
    fresh, used = toy.prepared(spec, seed=5, **options), trained(toy, spec, 12, seed=7, **options)
    for trainer in (fresh, used):
        before, count = everything(trainer), 0
        for name, spoilt in damages(parts):
            with pytest.raises((KeyError, TypeError, ValueError)):  # noqa: PT012 - names what was taken over
                trainer.restore(*spoilt)
                pytest.fail(name)
            assert everything(trainer) == before, name
            count += 1
        assert count > 100
        trainer.restore(*parts)  # what is whole is taken
        assert everything(trainer)["optimizer"] == as_bytes(parts[1])
        assert everything(trainer)["model"] == as_bytes(parts[0])


def test_a_restored_trainer_does_not_share_memory_with_what_it_was_given(toy, spec):
    parts = contents(trained(toy, spec))
    trainer = toy.prepared(spec)
    trainer.restore(*parts)
    before = everything(trainer)
    for tensors in parts[:2]:
        for tensor in tensors.values():
            tensor.zero_()
    assert everything(trainer) == before


def rewritten(folder, generator):
    """The checkpoint with another generator state, as the process on the other device would have written it."""
    path, state_path = folder / checkpoint.OPTIMIZER_FILE, folder / checkpoint.STATE_FILE
    tensors = safetensors.torch.load_file(path)
    tensors["generator"] = generator
    path.write_bytes(safetensors.torch.save(tensors))
    state = json.loads(state_path.read_text())
    state["sha256"][path.name] = checkpoint.hashlib.sha256(path.read_bytes()).hexdigest()
    state_path.write_text(json.dumps(state))


def cuda_state():
    return torch.from_numpy(np.array([1, 4096], np.int64).view(np.uint8).copy())


def test_a_checkpoint_of_a_gpu_is_gone_on_with_on_a_cpu(toy, spec, tmp_path, caplog):
    first = trained(toy, spec)
    folder = checkpoint.save(first, tmp_path)
    rewritten(folder, cuda_state())
    assert len(cuda_state()) == CUDA_STATE_BYTES != len(first.optimizer_state()["generator"])
    resumed = []
    for _ in range(2):
        trainer = toy.prepared(spec)
        with caplog.at_level(logging.WARNING):
            caplog.clear()
            assert checkpoint.load_latest(trainer, tmp_path) == (folder, [])
        assert len(caplog.records) == 1
        assert "seeded anew" in caplog.text
        assert "everything else is restored exactly" in caplog.text
        resumed.append(trainer)
    ours, theirs = everything(first), everything(resumed[0])
    for name in set(ours["optimizer"]) - {"generator"}:
        assert theirs["optimizer"][name] == ours["optimizer"][name], name
    for part in ("model", "random", "trained_step"):
        assert theirs[part] == ours[part], part
    assert theirs["optimizer"]["generator"] != ours["optimizer"]["generator"]
    for trainer in resumed:
        trainer.begin()
        for step in itertools.islice(toy.episodes(spec, 9), 40):
            trainer.consume(step)
    assert resumed[0].counters.updates > first.counters.updates
    assert resumed[0].weights().data == resumed[1].weights().data, "the new seed follows from the checkpoint"


def test_other_seeds_and_other_steps_have_other_noise_after_a_change_of_device(toy, spec):
    states = set()
    for seed, records in ((0, 24), (1, 24), (0, 12)):
        model, optimizer, *rest = contents(trained(toy, spec, records))
        trainer = toy.prepared(spec, seed=seed)
        trainer.restore(model, {**optimizer, "generator": cuda_state()}, *rest)
        states.add(bytes(trainer.optimizer_state()["generator"]))
    assert len(states) == 3


class _GpuGenerator:
    """A generator whose state has a CUDA generator's size, over a CPU's that draws."""

    def __init__(self):
        self.drawn, self.device, self.state = torch.Generator(), torch.device("cpu"), cuda_state()

    def get_state(self):
        return self.state.clone()

    def set_state(self, state):
        if len(state) != CUDA_STATE_BYTES:
            raise RuntimeError("RNG state is wrong size")
        self.state = state.clone()

    def manual_seed(self, seed):
        self.state = torch.from_numpy(np.array([seed, 0], np.int64).view(np.uint8).copy())


def test_a_checkpoint_of_a_cpu_is_gone_on_with_on_a_gpu(toy, spec, tmp_path, caplog):
    first = trained(toy, spec)
    checkpoint.save(first, tmp_path)
    trainer = toy.prepared(spec)
    trainer.algorithm._generator = _GpuGenerator()
    assert checkpoint.load_latest(trainer, tmp_path)[1] == []
    assert caplog.text.count("seeded anew") == 1
    assert trainer.optimizer_state()["generator"].tolist() != cuda_state().tolist()
    assert everything(trainer)["model"] == everything(first)["model"]


@pytest.mark.parametrize("section", ["spec_hash", "algorithm", "trained_step", "counters", "random"])
def test_a_state_file_without_a_section_is_a_damaged_checkpoint(toy, spec, tmp_path, section):
    good = checkpoint.save(trained(toy, spec, 15), tmp_path)
    bad = checkpoint.save(trained(toy, spec, 20), tmp_path)
    state = json.loads((bad / checkpoint.STATE_FILE).read_text())
    del state[section]
    (bad / checkpoint.STATE_FILE).write_text(json.dumps(state))
    folder, problems = checkpoint.load_latest(toy.prepared(spec), tmp_path)
    assert folder == good
    assert len(problems) == 1
    assert section in problems[0]


@pytest.mark.parametrize(
    "values",
    [
        {"updates": -1},
        {"updates": 1.5},
        {"version": -2},
        {"credit": float("nan")},
        {"episodes": "3"},
        {"laps": 1},
    ],
)
def test_impossible_counters_are_refused(toy, spec, tmp_path, values):
    folder = checkpoint.save(trained(toy, spec, 15), tmp_path)
    state = json.loads((folder / checkpoint.STATE_FILE).read_text())
    state["counters"] |= values
    (folder / checkpoint.STATE_FILE).write_text(json.dumps(state))
    trainer = toy.prepared(spec)
    before = everything(trainer)
    with pytest.raises(DamagedCheckpointError, match=next(iter(values))):
        checkpoint.load(trainer, folder)
    assert everything(trainer) == before


def test_counters_of_a_version_that_counted_less_are_read(toy):
    old = {"environment_steps": 9, "episodes": 1, "updates": 20, "version": 3, "credit": 0.5}
    assert Counters.from_json(old) == Counters(9, 1, 20, 3, 0.5, 0.0, 0.0)
