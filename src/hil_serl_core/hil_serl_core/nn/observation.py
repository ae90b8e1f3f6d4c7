# SPDX-License-Identifier: Apache-2.0
"""Flat, scaled state vector of the networks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hil_serl_core.spec import TaskSpec


class StateLayout:
    """Concatenates the named state parts in the task's order, each divided by its fixed scale.

    The scale of ``left/tcp_pose`` is that of ``tcp_pose``.

    Attributes:
        slices: Part name to its slice of the flat vector.
        size: Length of the flat vector.
    """

    def __init__(self, spec: TaskSpec) -> None:
        self.slices: dict[str, slice] = {}
        start = 0
        for part, size in spec.state_sizes.items():
            self.slices[part] = slice(start, start + size)
            start += size
        self.size = start
        self._inverse_scale = np.concatenate(
            [
                np.full(size, 1.0 / spec.learner.state_scale[part.rpartition("/")[2]], np.float32)
                for part, size in spec.state_sizes.items()
            ]
        )

    def flatten(self, state: Mapping[str, np.ndarray]) -> np.ndarray:
        """Scaled state (size,) float32.

        Raises:
            ValueError: A part is missing, has another length, or is not finite.
        """
        flat = np.empty(self.size, np.float32)
        for part, where in self.slices.items():
            if part not in state:
                raise ValueError(f"state part '{part}' is missing; got {sorted(state)}")
            values = np.asarray(state[part], np.float32)
            if values.shape != (where.stop - where.start,):
                raise ValueError(
                    f"state part '{part}' has shape {values.shape}, expected ({where.stop - where.start},)"
                )
            flat[where] = values
        if not np.isfinite(flat).all():
            bad = next(part for part, where in self.slices.items() if not np.isfinite(flat[where]).all())
            raise ValueError(f"state part '{bad}' is not finite")
        return flat * self._inverse_scale
