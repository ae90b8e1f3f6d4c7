# SPDX-License-Identifier: Apache-2.0
"""The learner without ROS: records in, weights out, deterministic for a seed and an order of records."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hil_serl_core.methods import method_named
from hil_serl_core.nn.encoder import NetworkConfig
from hil_serl_core.nn.features import FeatureExtractor
from hil_serl_core.policy import policy_state
from hil_serl_core.spec import TaskSpec
from hil_serl_core.step import Step
from hil_serl_core.weights import PackedWeights, pack
from hil_serl_learner.algorithms import create_algorithm
from hil_serl_learner.counters import Counters
from hil_serl_learner.observations import CachedObservations, PlainObservations, gather
from hil_serl_learner.preparation import Preparation
from hil_serl_learner.replay import Replay
from hil_serl_learner.restoring import check_random_state, check_tensor
from hil_serl_learner.reward_hook import RelabellerFactory, RewardContext
from hil_serl_learner.schedule import LearningRateSchedule

# Online transitions they are fitted on, at least, when there are no demonstrations.
PCA_WARMUP = 50


class DivergedError(RuntimeError):
    """The networks hold NaN or infinity; nothing can be learnt or sent any more."""


class Trainer:
    """Replay, algorithm and counters of one training.

    Order of use: :meth:`add_demonstration` for each demonstration record, :meth:`begin` once, then per online
    record either :meth:`consume` (lockstep: all updates owed are done before the next record) or
    :meth:`add_step` with :meth:`update` as long as :attr:`update_due` (free running under the same limit of
    updates per record).
    """

    def __init__(
        self,
        spec: TaskSpec,
        seed: int = 0,
        device: str = "cpu",
        algorithm: str = "hil_serl",
        relabeller: RelabellerFactory | None = None,
        feature_file: Path | None = None,
    ) -> None:
        """Loads the backbone and reserves the replay.

        Args:
            spec: The task.
            seed: Of networks, samples and views.
            device: PyTorch's name of it.
            algorithm: A name in ``hil_serl_core.methods``.
            relabeller: Makes the model that replaces recorded rewards; None to train on those.
            feature_file: Keeps the features of records for a resume; None to compute them again then. Not used where
                no features are cached.

        Raises:
            MethodError, BackboneError, ReplayFullError: See there; the message names the remedy.
        """
        self.spec = spec
        self.method = method_named(algorithm)
        self.method.check(spec)
        self.counters = Counters()
        self._device = torch.device(device)
        self._rng = np.random.default_rng(seed)
        self.extractor = FeatureExtractor.from_spec(spec).to(self._device)
        config = NetworkConfig.from_spec(spec, self.extractor.cameras)
        self.algorithm = create_algorithm(algorithm, config, spec.learner, seed, device)
        if spec.learner.bounded_targets:
            self.algorithm.return_bounds = spec.return_bounds
            self.algorithm.grasp_return_bounds = spec.grasp_return_bounds
        cached = spec.learner.feature_cache
        self.replay = Replay(
            spec,
            interventions_are_demonstrations=self.algorithm.interventions_are_demonstrations,
            pauses_are_demonstrations=self.algorithm.pauses_are_demonstrations,
            keeps_frames=not cached,
        )
        parts = self.replay, self.extractor, spec.learner, seed, device
        self._observations: CachedObservations | PlainObservations = (
            CachedObservations(*parts, feature_file) if cached else PlainObservations(*parts)
        )
        self._preparation = Preparation(self.extractor, self._observations)
        self.relabeller = None
        if relabeller is not None:
            context = RewardContext(spec, self.extractor, self.replay, self._observations, seed, self._device)
            self.relabeller = relabeller(context)
        self._schedule = LearningRateSchedule(spec.learner)
        self._begun = False
        self._first_update = spec.learner.warmup_steps
        self._trained_before = 0
        self._metrics: dict[str, Tensor] = {}

    def add_demonstration(self, step: Step) -> None:
        """Stores a record of a demonstration; before or after :meth:`begin`."""
        slot = self.replay.add(step, demonstration=True)
        self._preparation.add(slot, step, wait=not self._begun)

    def begin(self) -> None:
        """Fits the principal components on the demonstrations (unless restored) and computes their features.

        A method without demonstrations fits them on its first online frames, before its first update. Until
        then they are zero and the policy acts blindly, as an untrained one does anyway.

        Raises:
            ValueError: The method needs demonstrations and there are none.
        """
        waiting = self._preparation.waiting
        if self.method.uses_demonstrations and not waiting:
            raise ValueError(
                f"algorithm '{self.method.name}' learns from demonstrations; record demonstrations first"
            )
        if not self.extractor.fitted and not waiting:
            self._first_update = max(self._first_update, PCA_WARMUP)
        else:
            self._preparation.compute()
        self._begun = True

    def add_step(self, step: Step) -> None:
        """Stores an online record, the next in its actor's order, and owes its updates."""
        if not self._begun:
            raise RuntimeError("begin() must come before online records")
        slot = self.replay.add(step, demonstration=False)
        self._preparation.add(slot, step, wait=not self.extractor.fitted)
        if self._schedule.add(step):
            self.algorithm.set_learning_rate(self._schedule.rate)
        # A learner that was killed has sent weights since its last checkpoint; their numbers are taken.
        self.counters.version = max(self.counters.version, step.policy_version)
        if step.is_last:
            self.counters.episodes += 1
        if step.action is None:
            return
        self.counters.environment_steps += 1
        if self.counters.environment_steps > max(self._first_update, self._trained_before):
            self.counters.owe(self.spec.learner.update_to_data)
        if self._preparation.waiting and self.counters.environment_steps >= self._first_update:
            self._preparation.compute()

    @property
    def update_due(self) -> bool:
        """True while updates are owed and there is something to train on."""
        ready = len(self.replay.online) > 0 or self.algorithm.demonstration_share == 1.0
        return self.counters.credit >= 1.0 and ready

    @property
    def trained_step(self) -> int:
        """Online records with an action that owe no update any more: done, or skipped (``counters.skipped_updates``)."""
        # The networks stay as old as the checkpoint while the records before it are read again.
        return max(self._trained_before, self.counters.trained(self.spec.learner.update_to_data))

    def limit_credit(self, records: int) -> None:
        """Free running: what is owed beyond the given number of records is skipped, so that a slow learner keeps up.

        Skipped updates are counted; the records they belonged to owe nothing any more.
        """
        self.counters.skip_beyond(records * self.spec.learner.update_to_data)

    def update(self) -> None:
        """One gradient update, of a learnt reward first."""
        if self.relabeller is not None:
            self._metrics |= self.relabeller.update(self._rng)
        sample = self.replay.sample(
            self._rng, self.spec.learner.batch_size, self.algorithm.demonstration_share
        )
        batch = gather(self.replay, self._observations, sample, self._rng, self._device)
        if self.relabeller is not None:
            reward = self.relabeller.reward(batch.next_features, batch.reward)
            # Paid at every step, so an end that counts as worth 0 would be sought (log p < 0) or shunned (1).
            batch = replace(batch, reward=reward, mask=torch.ones_like(batch.mask))
        self._metrics |= self.algorithm.update(batch)
        self.counters.updates += 1
        self.counters.credit = max(0.0, self.counters.credit - 1.0)

    def check_finite(self) -> None:
        """Before weights leave or replace what is on the disk.

        Raises:
            DivergedError: A tensor of the model holds NaN or infinity; names it and the remedy.
        """
        for name, tensor in self.model_state().items():
            if not torch.isfinite(tensor).all():
                raise DivergedError(
                    f"the training has diverged: '{name}' is not finite after {self.counters.updates} updates. The "
                    "checkpoints before are kept: look at critic_loss in the training curves, lower "
                    "learner.learning_rate, then resume"
                )

    def consume(self, step: Step) -> bool:
        """Lockstep: stores one online record and does every update it owes.

        Returns:
            True if weights are due: ``publish_every`` more records are trained on.
        """
        self.add_step(step)
        while self.update_due:
            self.update()
        return step.action is not None and self.trained_step % self.spec.learner.publish_every == 0

    def weights(self) -> PackedWeights:
        """Packs the policy under the next version."""
        self.counters.version += 1
        return self.peek_weights()

    def peek_weights(self, evaluated: bool = False) -> PackedWeights:
        """Packs a policy as it is, under the version packed last (0 if there was none).

        Args:
            evaluated: The one for evaluations (:attr:`Algorithm.evaluated`) instead of the one that explores.
        """
        policy = self.algorithm.evaluated if evaluated else self.algorithm.policy
        return pack(
            policy_state(policy, self.extractor),
            version=max(0, self.counters.version),
            trained_step=self.trained_step,
            update=self.counters.updates,
            spec_hash=self.spec.hash,
        )

    @property
    def metrics(self) -> dict[str, float]:
        """Latest scalars of the algorithm, and the counters."""
        scalars = {name: float(value) for name, value in self._metrics.items()}
        counters = {name: float(value) for name, value in asdict(self.counters).items()}
        return {**scalars, **counters, "learning_rate": self._schedule.rate}

    def close(self) -> None:
        """Lets go of the file of features; nothing can be added afterwards."""
        self._observations.close()

    def model_state(self) -> dict[str, Tensor]:
        """Every tensor a checkpoint needs.

        Networks, temperature, learnt reward and principal components, never the trunk.
        """
        features = {f"features.{name}": tensor for name, tensor in self.extractor.trainable_state().items()}
        reward = {} if self.relabeller is None else _prefixed(self.relabeller.model_state())
        return {**self.algorithm.model_state(), **features, **reward}

    def optimizer_state(self) -> dict[str, Tensor]:
        """Optimiser moments, random state and counters of algorithm and learnt reward."""
        reward = {} if self.relabeller is None else _prefixed(self.relabeller.optimizer_state())
        return {**self.algorithm.optimizer_state(), **reward}

    def random_state(self) -> dict[str, Any]:
        """State of the sampler as JSON values; the algorithm's own is with the optimisers."""
        return {"numpy": self._rng.bit_generator.state, "views": self._observations.seed}

    def restore(
        self,
        model: dict[str, Tensor],
        optimizer: dict[str, Tensor],
        counters: Counters,
        trained_step: int,
        random: dict[str, Any],
    ) -> None:
        """Takes over a checkpoint's contents; before :meth:`begin`.

        The online records are added again from the bags and counted again; the first ``trained_step`` of them
        owe no updates, because the restored networks have had those.

        Raises:
            KeyError, TypeError, ValueError: Something is missing or does not fit; nothing is changed.
        """
        model = self.algorithm.complete(model)
        targets = self.model_state()
        for name, target in targets.items():
            check_tensor(name, model, target)
        self.algorithm.check_optimizer_state(optimizer)
        check_random_state(random)
        if self.relabeller is not None:
            own = {name: value for name, value in optimizer.items() if name.startswith(_REWARD)}
            self.relabeller.load_optimizer_state(
                {name.removeprefix(_REWARD): value for name, value in own.items()}
            )
        # All of it is known to fit from here on.
        self.algorithm.load_optimizer_state(optimizer)
        for name, target in targets.items():
            target.copy_(model[name])
        self._rng.bit_generator.state = random["numpy"]
        self._observations.seed = random["views"]
        self.counters = counters.to_read_again(trained_step, self.spec.learner.update_to_data)
        self._trained_before = trained_step


_REWARD = "reward."


def _prefixed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{_REWARD}{name}": tensor for name, tensor in tensors.items()}
