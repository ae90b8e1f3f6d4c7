# SPDX-License-Identifier: Apache-2.0
"""The command `hil-serl crop`: choose a camera's area of interest on its picture, and write it into the task file."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro
from PIL import Image as PillowImage
from rich.console import Console

from hil_serl_cli.crop.sources import PictureError, camera_named, picture_of
from hil_serl_cli.crop.square import Square, policy_view
from hil_serl_cli.crop.task_file import CropEdit, plan_crop
from hil_serl_cli.crop.terminal import choose, framed, render
from hil_serl_core.spec import CameraSpec, TaskSpec, load_task
from hil_serl_runs.terminal import plain_console
from hil_serl_tasks.finder import find_task_file


@dataclass
class Crop:
    """Choose what the policy sees of a camera.

    The square is moved on the camera's picture, and what the policy sees of it is shown at its size. The crop is written
    into the task file, comments stay.

    With a display in a window with the mouse, else in the terminal with the arrow keys. The closer to the task the better:
    the policy has few pixels.
    """

    camera: Annotated[str, tyro.conf.Positional]
    """Name of the camera in the task file."""
    task: str = "ram_insertion"
    """Name of a task or path of a task file."""
    simulated: bool = False
    """The file of the task's simulated twin instead of the real cell's."""
    picture: Path | None = None
    """Picture file, or bag with the camera's topic, instead of the camera itself."""
    namespace: str = ""
    """ROS namespace of the cell."""
    ui: Literal["auto", "window", "terminal"] = "auto"
    """How to choose."""
    at: tuple[int, int, int] | None = None
    """X Y SIDE: take this square without asking."""
    write: bool = True
    """Write the task file; otherwise the line is printed."""
    preview: Path | None = None
    """Also save the picture with the square, and what the policy sees, in this file."""

    def run(self) -> int:
        console = plain_console()
        file = find_task_file(self.task, self.simulated)
        spec = load_task(file)
        camera = camera_named(spec.cameras, self.camera)
        pixels = picture_of(camera, self.picture, self.namespace)
        square = self._choose(pixels, camera, console)
        if square is None:
            console.print("Nothing was changed.")
            return 0
        if self.preview is not None:
            save_preview(self.preview, pixels, camera, square)
            console.print(f"Preview: {self.preview}", highlight=False, soft_wrap=True)
        if square.crop == camera.crop:
            console.print(
                f"Camera '{camera.name}' has this crop already: {list(square.crop)}", highlight=False
            )
            return 0
        edit = plan_crop(file, camera.name, square.crop)
        self._apply(edit, file, spec, console)
        if square.side < camera.size:
            console.print(
                f"Note: {square.side} px are enlarged to the {camera.size} px that the policy sees; a closer camera, "
                "or delivers larger pictures, shows more.",
                highlight=False,
            )
        return 0

    def _choose(self, pixels: np.ndarray, camera: CameraSpec, console: Console) -> Square | None:
        square = Square.of(camera)
        if self.at is not None:
            asked, square = square, square.at(*self.at)
            if square.crop[:3] != tuple(self.at):
                raise PictureError(
                    f"the square {list(self.at)} (x, y, side) does not fit into {asked.width}x{asked.height} px; the "
                    f"nearest that does is {list(square.crop[:3])}"
                )
            console.print(render(pixels, camera, square, console.width, " "))
            return square
        if self.ui == "window" or (self.ui == "auto" and has_window()):
            from hil_serl_cli.crop.window import CropWindow

            return CropWindow(pixels, camera, square).show()
        if not (sys.stdin.isatty() and console.is_terminal):
            raise PictureError(
                "there is neither a display nor a terminal to choose in; give the square: --at X Y SIDE"
            )
        return choose(pixels, camera, square, console)

    def _apply(self, edit: CropEdit, file: Path, spec: TaskSpec, console: Console) -> None:
        def say(text: str) -> None:
            console.print(text, markup=False, highlight=False, soft_wrap=True)

        say(f"{edit.path}:{edit.line}\n- {edit.before.strip()}\n+ {edit.after.strip()}")
        if edit.path.resolve() != file.resolve():
            say(f"The cameras of {file} are those of {edit.path}; every task that extends it changes too.")
        if not self.write:
            say("Not written, as asked.")
            return
        try:
            edit.write()
        except OSError as error:
            say(f"{edit.path} cannot be written ({error.strerror}); put the line there yourself.")
            return
        changed = load_task(file)
        say(
            f"Written. The task's hash is now {changed.hash[:12]}, it was {spec.hash[:12]}: recordings, classifiers and "
            "checkpoints made with the other crop show the policy something else and are refused; record anew."
        )


def has_window() -> bool:
    """Whether a window can be opened here."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    import matplotlib
    from matplotlib.backends import BackendFilter, backend_registry

    return matplotlib.get_backend().lower() in backend_registry.list_builtin(BackendFilter.INTERACTIVE)


def save_preview(path: Path, pixels: np.ndarray, camera: CameraSpec, square: Square) -> None:
    """Save the picture with the square, and what the policy sees beside it at the same height."""
    height = pixels.shape[0]
    view = PillowImage.fromarray(policy_view(pixels, camera, square))
    beside = np.asarray(view.resize((height, height), PillowImage.Resampling.NEAREST))
    gap = np.full((height, 8, 3), 255, np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(np.concatenate([framed(pixels, square), gap, beside], axis=1)).save(path)
