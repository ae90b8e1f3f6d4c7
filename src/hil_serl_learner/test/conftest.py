# SPDX-License-Identifier: Apache-2.0
"""A small task, made-up experience, and one thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import hypothesis
import numpy as np
import pytest
import torch

from hil_serl_core.nn.encoder import NetworkConfig
from hil_serl_core.spec import TaskSpec
from hil_serl_core.step import Source, Step
from hil_serl_learner.batch import Batch
from hil_serl_learner.trainer import Trainer

torch.set_num_threads(1)
# A busy machine is no failure.
hypothesis.settings.register_profile("learner", deadline=None)
hypothesis.settings.load_profile("learner")


class Toy:
    """Makes specs and records.

    Attributes:
        NETWORKS: Sizes of an algorithm that is looked at by itself, fed with :meth:`batch`.
    """

    NETWORKS = NetworkConfig(
        cameras={"eye": (2, 2, 3)},
        state_size=5,
        action_size=2,
        camera_embedding=6,
        state_embedding=4,
        hidden=(8, 8),
    )

    @staticmethod
    def batch(rows: int = 7, seed: int = 0) -> Batch:
        """Random transitions of those sizes."""
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=generator)

        return Batch(
            features=normal(rows, 12),
            state=normal(rows, 5),
            action=torch.tanh(normal(rows, 2)),
            grasp=torch.randint(0, 3, (rows,), generator=generator),
            reward=normal(rows),
            grasp_penalty=-0.02 * (normal(rows) > 0).float(),
            mask=(normal(rows) > 0).float(),
            next_features=normal(rows, 12),
            next_state=normal(rows, 5),
        )

    @staticmethod
    def spec(*, gripper: bool = False, reward: str = "ground_truth", **learner: object) -> TaskSpec:
        """Two 32 px cameras, two state parts; small networks and buffers."""
        settings = {
            "batch_size": 16,
            "hidden": (32, 32),
            "grasp_hidden": (32, 32),
            "camera_embedding": 8,
            "state_embedding": 8,
            "pca_channels": 4,
            "augmented_views": 3,
            "replay_capacity": 300,
            "warmup_steps": 5,
            "update_to_data": 2.0,
            "publish_every": 10,
            **learner,
        }
        stiffness = {"translational_stiffness": (2000.0,) * 3, "rotational_stiffness": (150.0,) * 3}
        clips = {
            f"{kind}clip_{sign}": (0.01,) * 3
            for kind in ("", "rotation_")
            for sign in ("positive", "negative")
        }
        cameras = [
            {"name": name, "source_width": 32, "source_height": 32, "size": 32}
            for name in ("left_eye", "right_eye")
        ]
        zeros = (0.0,) * 3
        return TaskSpec.model_validate(
            {
                "name": "toy",
                "description": "toy",
                "cameras": cameras,
                "state": ["tcp_pose", "gripper"],
                "action": {
                    "translation_scale": 0.01,
                    "rotation_scale": 0.05,
                    "gripper": {} if gripper else None,
                },
                "control": {**stiffness, **clips},
                "workspace": {"lower": (-0.1,) * 3, "upper": (0.1,) * 3, "max_rotation": 1.0},
                "episode": {"max_steps": 50},
                "reset": {
                    "nominal_position": (0.5, 0.0, 0.2),
                    "position_range": zeros,
                    "rotation_range": zeros,
                },
                "reward": {"kind": reward, "classifier": {"cameras": ["left_eye"]}},
                "learner": settings,
            }
        )

    @staticmethod
    def step(spec: TaskSpec, sequence: int = 0, **changes: object) -> Step:
        """A valid record with content that depends on its sequence number; fields can be replaced."""
        rng = np.random.default_rng(sequence)
        state = {part: rng.normal(size=size).astype(np.float32) for part, size in spec.state_sizes.items()}
        fields: dict[str, object] = {
            "stamp": 0.1 * sequence,
            "actor_id": "actor",
            "sequence": sequence,
            "episode": 0,
            "step_index": sequence,
            "frames": {
                c.name: rng.integers(0, 256, (c.size, c.size, 3), dtype=np.uint8) for c in spec.cameras
            },
            "state": state,
            "tcp_poses": np.tile([0.5, 0.0, 0.2, 1.0, 0.0, 0.0, 0.0], (len(spec.arm_names), 1)),
            "action": np.concatenate(
                [rng.uniform(-1.0, 1.0, spec.continuous_size), rng.integers(-1, 2, spec.grippers)]
            ).astype(np.float32),
            "policy_action": None,
            "source": Source.POLICY,
            "reward": 0.0,
            "grasp_penalty": 0.0,
            "is_first": sequence == 0,
            "is_last": False,
            "is_terminal": False,
            "policy_version": -1,
            "spec_hash": spec.hash,
            **changes,
        }
        if fields["is_last"]:
            fields |= {"action": None, "source": Source.NONE}
        return Step(**fields)

    @classmethod
    def episodes(
        cls,
        spec: TaskSpec,
        count: int,
        length: int = 8,
        actor_id: str = "actor",
        source: Source = Source.POLICY,
    ) -> Iterator[Step]:
        """``count`` successful episodes of ``length`` transitions."""
        for sequence in range(count * (length + 1)):
            episode, index = divmod(sequence, length + 1)
            last = index == length
            yield cls.step(
                spec,
                sequence,
                actor_id=actor_id,
                episode=episode,
                step_index=index,
                source=source,
                is_first=index == 0,
                is_last=last,
                is_terminal=last,
                reward=float(last),
            )

    @classmethod
    def prepared(cls, spec: TaskSpec, seed: int = 0, demonstrations: int = 2, **options: object) -> Trainer:
        """A trainer that has read so many demonstrations."""
        trainer = Trainer(spec, seed, **options)
        for step in cls.episodes(spec, demonstrations, actor_id="demo"):
            trainer.add_demonstration(step)
        return trainer

    @classmethod
    def started(cls, spec: TaskSpec, seed: int = 0, demonstrations: int = 2, **options: object) -> Trainer:
        """The same, ready for online records."""
        trainer = cls.prepared(spec, seed, demonstrations, **options)
        trainer.begin()
        return trainer

    @classmethod
    def trained(cls, spec: TaskSpec, records: Iterable[Step], **options: object) -> Trainer:
        """The same, trained on online records in lockstep."""
        trainer = cls.started(spec, **options)
        for step in records:
            trainer.consume(step)
        return trainer


@pytest.fixture(scope="session")
def toy() -> type[Toy]:
    return Toy


@pytest.fixture(scope="session")
def spec() -> TaskSpec:
    return Toy.spec()
