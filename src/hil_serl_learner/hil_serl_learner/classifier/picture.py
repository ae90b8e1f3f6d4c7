# SPDX-License-Identifier: Apache-2.0
"""Picture of the samples that a classifier is most wrong about, for a person to see why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hil_serl_learner.classifier.samples import LabelledStep

COLUMNS = 4
ROWS = 3


def worst_first(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N,) indices by the probability given to the right class, smallest first."""
    return np.argsort(probabilities[np.arange(len(labels)), labels], kind="stable")


def draw_mistakes(
    path: Path,
    samples: Sequence[LabelledStep],
    probabilities: np.ndarray,
    held: np.ndarray,
    classes: Sequence[str],
    threshold: float,
) -> int:
    """Draws the worst mistakes, held-out samples before those trained on; the closest calls if there are none.

    Args:
        path: PNG to write.
        samples: All samples.
        probabilities: (N, classes).
        held: (N,) bool, held out.
        classes: Class names.
        threshold: Of p(success).

    Returns:
        How many of the pictures are mistakes.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    labels = np.array([sample.label for sample in samples])
    success = list(classes).index("success")
    wrong = (probabilities[:, success] >= threshold) != (labels == success)
    order = worst_first(probabilities, labels)
    ranked = sorted(order.tolist(), key=lambda i: (not wrong[i], not held[i]))[: ROWS * COLUMNS]
    figure, axes = pyplot.subplots(ROWS, COLUMNS, figsize=(3.4 * COLUMNS, 2.3 * ROWS), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, index in zip(axes.flat, ranked, strict=False):
        sample = samples[index]
        axis.imshow(_side_by_side(list(sample.frames.values())))
        verdict = "WRONG" if wrong[index] else "right"
        where = "held out" if held[index] else "trained on"
        axis.set_title(
            f"{verdict}: labelled {classes[sample.label]}, p(success) {probabilities[index, success]:.3f}\n"
            f"episode {sample.episode}, step {sample.step_index} ({where})\n{Path(sample.recording).parts[0]}",
            fontsize=7,
            color="#b00020" if wrong[index] else "black",
        )
    count = int(wrong[ranked].sum())
    text = f"{int(wrong[held].sum())} mistakes among {int(held.sum())} held-out samples"
    if not held.all():
        text += f", {int(wrong[~held].sum())} among {int((~held).sum())} trained on"
    text += f"; threshold {threshold:.3f}"
    figure.suptitle(text, fontsize=9)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return count


def _side_by_side(frames: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures of several cameras in one, at the height of the tallest."""
    height = max(frame.shape[0] for frame in frames)
    padded = []
    for frame in frames:
        scale = max(1, height // frame.shape[0])
        enlarged = frame.repeat(scale, 0).repeat(scale, 1)
        padded.append(np.pad(enlarged, ((0, height - enlarged.shape[0]), (0, 0), (0, 0))))
        padded.append(np.full((height, 2, 3), 255, np.uint8))
    return np.concatenate(padded[:-1], axis=1)
