# SPDX-License-Identifier: Apache-2.0
"""The actor's policy with its weights: from a checkpoint, or from the learner's messages."""

from __future__ import annotations

from pathlib import Path

from hil_serl_actor.loop.policy_source import PolicySource, VersionedWeights, WeightSchedule
from hil_serl_actor.options import BACKWARD, ActorOptions, AgentOptions
from hil_serl_core.episode import Mode
from hil_serl_core.policy import Policy
from hil_serl_core.weights import PackedWeights, read_file, unpack
from hil_serl_msgs.msg import PolicyWeights
from hil_serl_ros.conversions import weights_from_message


class ActingPolicy:
    """Checks weights before they act.

    Attributes:
        source: What the control loop asks for actions.
    """

    def __init__(self, options: ActorOptions, agent: AgentOptions) -> None:
        """Builds the networks, and loads the checkpoint if the options name one.

        Raises:
            WeightsError: The checkpoint cannot be used.
            ValueError: An evaluation without a checkpoint.
        """
        self._spec = agent.spec
        self._network = Policy(agent.spec, options.device)
        learner = agent.spec.learner
        # Only a training in lockstep has a schedule to keep; otherwise the newest weights act.
        lag = learner.lockstep_lag if options.lockstep and options.mode is Mode.TRAIN else None
        schedule = WeightSchedule(lag, learner.publish_every)
        self.source = PolicySource(self._network, schedule, options.deterministic, options.seed)
        if agent.checkpoint:
            packed = read_file(Path(agent.checkpoint))
            # An evaluation may be judged by another than the training was; its rewards train nobody.
            same = options.mode is Mode.EVAL and packed.spec_hash in agent.spec.policy_hashes
            self._take(packed, packed.spec_hash if same else agent.spec.hash)
        elif options.mode is Mode.EVAL:
            parameter = "partner_checkpoint" if agent.name == BACKWARD else "checkpoint"
            raise ValueError(
                f"mode eval needs the parameter '{parameter}': a policy file or a checkpoint folder"
            )

    def receive(self, message: PolicyWeights) -> None:
        """Take the learner's weights.

        Raises:
            WeightsError, ValueError: They are refused; the present policy goes on.
        """
        self._take(weights_from_message(message), self._spec.hash)

    def _take(self, packed: PackedWeights, spec_hash: str) -> None:
        tensors = unpack(packed, spec_hash, self._network.shapes)
        self.source.put(VersionedWeights(packed.version, packed.trained_step, tensors))
