# SPDX-License-Identifier: Apache-2.0
"""Recorded episodes run again from seed and actions: equal seeds and targets give equal states, which is checked here."""

import numpy as np

TOLERANCE = 1e-4  # m; a repeated episode whose tcp is farther from the recorded one is not the same


class NotReproducedError(RuntimeError):
    """The simulator did not take the recorded course."""


def deviation(what: str, poses: np.ndarray, recorded: np.ndarray) -> float:
    """Largest distance of a repeated episode's tcps from the recorded ones [m].

    Args:
        what: Which state of which episode, for people.
        poses: (arms, 7) as they are, base frames.
        recorded: (arms, 7) as they were.

    Raises:
        NotReproducedError: It is larger than the tolerance.
    """
    distance = float(np.linalg.norm(poses[:, :3] - recorded[:, :3], axis=1).max())
    if distance > TOLERANCE:
        raise NotReproducedError(
            f"{what} is another one when the episode is repeated ({1000 * distance:.3f} mm away): it was recorded with "
            "another simulator, task file or speed than lockstep"
        )
    return distance
