# SPDX-License-Identifier: Apache-2.0
"""Choosing the square with the mouse, in a matplotlib window."""

from __future__ import annotations

from typing import Any

import numpy as np

from hil_serl_cli.crop.keys import HELP, Choice, press
from hil_serl_cli.crop.square import Square, policy_view
from hil_serl_core.spec import CameraSpec


class CropWindow:
    """The picture with the square on the left, what the policy sees on the right.

    Dragging in the square moves it, dragging elsewhere draws a new one, the wheel resizes it; keys as in ``keys``.

    Attributes:
        square: As it is now.
        chosen: What was taken; None until then, and if the person leaves.
    """

    def __init__(self, pixels: np.ndarray, camera: CameraSpec, square: Square) -> None:
        from matplotlib import pyplot
        from matplotlib.patches import Rectangle

        self._pixels, self._camera, self._pyplot = pixels, camera, pyplot
        self.square = square
        self.chosen: Square | None = None
        self._drag: tuple[float, float, Square | None] | None = None
        self.figure, (self.picture, view) = pyplot.subplots(1, 2, figsize=(12, 5.5), width_ratios=(1.6, 1))
        self.figure.suptitle(
            f"camera {camera.name}: drag the square; the wheel resizes it\n{HELP}", fontsize=9
        )
        self.picture.imshow(pixels)
        self._border = Rectangle((0, 0), 1, 1, fill=False, edgecolor="yellow", linewidth=2)
        self.picture.add_patch(self._border)
        self._view = view.imshow(policy_view(pixels, camera, square), interpolation="nearest")
        self._view_title = view.set_title("")
        for axes in (self.picture, view):
            axes.set_axis_off()
        canvas = self.figure.canvas
        if canvas.manager is not None and canvas.manager.key_press_handler_id is not None:
            canvas.mpl_disconnect(canvas.manager.key_press_handler_id)  # matplotlib's own keys: q, s, ...
        canvas.mpl_connect("button_press_event", self._on_press)
        canvas.mpl_connect("motion_notify_event", self._on_motion)
        canvas.mpl_connect("button_release_event", self._on_release)
        canvas.mpl_connect("scroll_event", self._on_scroll)
        canvas.mpl_connect("key_press_event", self._on_key)
        self._draw()

    def show(self) -> Square | None:
        """Wait until the person has decided or closed the window."""
        self._pyplot.show()
        return self.chosen

    def _draw(self) -> None:
        square = self.square
        self._border.set_bounds(square.x - 0.5, square.y - 0.5, square.side, square.side)
        self._view.set_data(policy_view(self._pixels, self._camera, square))
        size = self._camera.size
        self._view_title.set_text(
            f"what the policy sees, {size} px\ncrop: [{', '.join(map(str, square.crop))}]"
        )
        self.figure.canvas.draw_idle()

    def _on_press(self, event: Any) -> None:
        if event.inaxes is self.picture and event.button == 1:
            inside = self.square.contains(event.xdata, event.ydata)
            self._drag = event.xdata, event.ydata, self.square if inside else None

    def _on_motion(self, event: Any) -> None:
        if self._drag is None or event.inaxes is not self.picture:
            return
        x, y, moved = self._drag
        if moved is not None:
            self.square = moved.moved(event.xdata - x, event.ydata - y)
        else:
            self.square = self.square.spanned(x, y, event.xdata, event.ydata)
        self._draw()

    def _on_release(self, event: Any) -> None:
        self._drag = None

    def _on_scroll(self, event: Any) -> None:
        self.square = self.square.resized(event.step * max(2, self.square.width // 40))
        self._draw()

    def _on_key(self, event: Any) -> None:
        self.square, choice = press(self.square, event.key or "")
        self._draw()
        if choice is not Choice.GO_ON:
            self.chosen = self.square if choice is Choice.TAKE else None
            self._pyplot.close(self.figure)
