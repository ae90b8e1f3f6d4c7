# SPDX-License-Identifier: Apache-2.0
"""What a trained agent thinks of recorded steps: the quantities of Sec. 5 (Figs. 6 and 7), without pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from hil_serl_core.action import ActionLayout
from hil_serl_core.nn.critic import CriticEnsemble
from hil_serl_core.nn.encoder import NetworkConfig, ObservationEncoder
from hil_serl_core.nn.features import FeatureExtractor
from hil_serl_core.nn.observation import StateLayout
from hil_serl_core.policy import PolicyNetwork, policy_state
from hil_serl_core.spec import TaskSpec
from hil_serl_core.step import Step
from hil_serl_core.weights import read_file, unpack
from hil_serl_learner import checkpoint
from hil_serl_learner.algorithms import create_algorithm

NOISE = 0.2
SAMPLES = 100
"""Half width c and number of samples of eq. (4), as in the paper."""

# Rows evaluated together; bounds the memory of the Monte Carlo samples.
_ROWS = 8192


class AnalysisError(ValueError):
    """A question that this checkpoint or these steps cannot answer; the message says why."""


@dataclass(frozen=True)
class Embedded:
    """Recorded steps as the networks see them.

    Attributes:
        embedding: (N, Z) output of the encoder that the critics share.
        policy_embedding: (N, Z) output of the evaluated policy's own encoder.
        actions: (N, C) continuous components of the executed actions; NaN rows for last records.
    """

    embedding: Tensor
    policy_embedding: Tensor
    actions: np.ndarray


@dataclass(frozen=True)
class TrainedAgent:
    """Networks of one checkpoint.

    Attributes:
        spec: The task.
        algorithm: Method it was trained with.
        trained_step: Online transitions whose updates are in it.
        policy: The one that evaluations run, from the checkpoint's policy file. With ``learner.policy_average`` that is
            an average of the exploring policy over its last updates, with an encoder of its own.
        encoder: Encoder of the latest networks, which the critics share.
        critics: None for an algorithm without.
    """

    spec: TaskSpec
    algorithm: str
    trained_step: int
    extractor: FeatureExtractor
    policy: PolicyNetwork
    encoder: ObservationEncoder
    critics: CriticEnsemble | None
    device: torch.device

    @classmethod
    def load(cls, folder: Path, spec: TaskSpec, device: str = "cpu") -> TrainedAgent:
        """Opens a checkpoint folder; no replay is reserved.

        Raises:
            CheckpointError: It is damaged, or belongs to another task.
            BackboneError: The trunk's weights are missing.
        """
        state, contents = checkpoint.read(folder, spec)
        extractor = FeatureExtractor.from_spec(spec).to(device)
        config = NetworkConfig.from_spec(spec, extractor.cameras)
        algorithm = create_algorithm(state["algorithm"], config, spec.learner, 0, device)
        model = safetensors.torch.load(contents[checkpoint.MODEL_FILE])
        policy = PolicyNetwork(config).to(device).requires_grad_(False)
        try:
            algorithm.load_model_state(model)
            targets = policy_state(policy, extractor)
            shapes = {name: tuple(tensor.shape) for name, tensor in targets.items()}
            tensors = unpack(read_file(folder), spec.hash, shapes)
        except (KeyError, ValueError, RuntimeError) as error:  # among them WeightsError
            raise checkpoint.DamagedCheckpointError(
                f"checkpoint {folder} is damaged: {type(error).__name__}: {error}"
            ) from error
        for name, target in targets.items():
            target.copy_(tensors[name])
        return cls(
            spec,
            state["algorithm"],
            int(state["trained_step"]),
            extractor,
            policy,
            algorithm.policy.encoder,
            algorithm.critics,
            torch.device(device),
        )

    @torch.inference_mode()
    def embed(self, steps: Sequence[Step]) -> Embedded:
        """Encodes recorded steps, frames unshifted.

        Raises:
            AnalysisError: No steps.
            ValueError: A frame or state part does not fit the task.
        """
        if not steps:
            raise AnalysisError("there are no recorded steps to look at")
        layout, actions = StateLayout(self.spec), ActionLayout(self.spec)
        continuous = np.full((len(steps), actions.continuous_size), np.nan, np.float32)
        rows, policy_rows = [], []
        for index, step in enumerate(steps):
            self.extractor.check(step.frames)
            if step.action is not None:
                continuous[index] = actions.split(step.action)[0]
            frames = {
                name: torch.from_numpy(np.ascontiguousarray(step.frames[name])[None]).to(self.device)
                for name in self.extractor.cameras
            }
            state = torch.from_numpy(layout.flatten(step.state)[None]).to(self.device)
            features = self.extractor(frames).half().float()
            rows.append(self.encoder(features, state))
            policy_rows.append(self.policy.encoder(features, state))
        return Embedded(torch.cat(rows), torch.cat(policy_rows), continuous)

    def _critics(self) -> CriticEnsemble:
        if self.critics is None:
            raise AnalysisError(
                f"algorithm '{self.algorithm}' has no critic; its policy alone can be looked at"
            )
        return self.critics

    @torch.inference_mode()
    def values(self, steps: Embedded, actions: np.ndarray) -> np.ndarray:
        """Q(o, a), mean over the ensemble.

        Args:
            steps: N embedded steps.
            actions: (N, C), e.g. ``steps.actions``, or what :meth:`policy_distribution` gives.

        Returns:
            (N,) float32, NaN where the action is NaN.

        Raises:
            AnalysisError: The algorithm has no critic.
        """
        tensor = torch.from_numpy(np.asarray(actions, np.float32)).to(self.device)
        return self._critics()(steps.embedding, tensor).mean(dim=0).cpu().numpy()

    @torch.inference_mode()
    def value_variances(
        self,
        steps: Embedded,
        actions: np.ndarray,
        rng: np.random.Generator,
        noise: float = NOISE,
        samples: int = SAMPLES,
    ) -> np.ndarray:
        """Var[Q(o, a + e)] over e ~ U[-noise, noise] in every component, eq. (4), by Monte Carlo.

        Args:
            steps: N embedded steps.
            actions: (N, C) actions the noise is added to.
            rng: Source of the noise.
            noise: Half width c of the uniform noise.
            samples: Samples per step.

        Returns:
            (N,) float32, NaN where the action is NaN. Large where a slightly different action is much worse.

        Raises:
            AnalysisError: The algorithm has no critic.
        """
        critics, result = self._critics(), []
        chunk = max(1, _ROWS // samples)
        for start in range(0, len(actions), chunk):
            part = np.asarray(actions[start : start + chunk], np.float32)
            disturbed = part[:, None] + rng.uniform(-noise, noise, (len(part), samples, part.shape[1]))
            flat = torch.from_numpy(disturbed.astype(np.float32).reshape(-1, part.shape[1])).to(self.device)
            projected = critics.project(steps.embedding[start : start + chunk])
            q = critics.evaluate(projected.repeat_interleave(samples, dim=1), flat).mean(dim=0)
            result.append(q.view(-1, samples).var(dim=1, correction=0).cpu().numpy())
        return np.concatenate(result)

    @torch.inference_mode()
    def policy_distribution(self, steps: Embedded) -> tuple[np.ndarray, np.ndarray]:
        """The evaluated Gaussian policy over steps (Fig. 7): tanh of its mean, its standard deviation before the tanh.

        Returns:
            (N, C) in [-1, 1] and (N, C), float32.
        """
        mean, std = self.policy.actor(steps.policy_embedding)
        return torch.tanh(mean).cpu().numpy(), std.cpu().numpy()

    @torch.inference_mode()
    def grasp_values(self, steps: Embedded) -> np.ndarray:
        """(N, K) values that the evaluated policy gives the discrete gripper actions, scores for a cloned policy.

        Raises:
            AnalysisError: The task moves no gripper.
        """
        if self.policy.grasp is None:
            raise AnalysisError(f"task '{self.spec.name}' moves no gripper, so there is no grasp critic")
        return self.policy.grasp(steps.policy_embedding).cpu().numpy()
