# SPDX-License-Identifier: Apache-2.0
"""Choosing a crop: squares, keys, mouse, the edit of the task file, and where the picture comes from."""

from __future__ import annotations

import array
import io
import os
import pty
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from rich.console import Console

from hil_serl_cli.cli import run
from hil_serl_cli.crop.keys import Choice, press
from hil_serl_cli.crop.sources import PictureError, picture_of
from hil_serl_cli.crop.square import Square, policy_view
from hil_serl_cli.crop.task_file import plan_crop
from hil_serl_cli.crop.terminal import keys_of, render, step
from hil_serl_core.spec import CameraSpec, TaskFileError, load_task
from hil_serl_core.testing.waiting import PATIENCE
from hil_serl_ros import names, qos
from hil_serl_ros.bag import BagWriter
from hil_serl_ros.images import compressed_from_array, image_from_array
from hil_serl_tasks.finder import find_task_file

RAM = find_task_file("ram_insertion", simulated=False)
CAMERA = CameraSpec(name="wrist_1", source_width=640, source_height=480, crop=(80, 0, 480, 480), size=128)


@pytest.fixture
def pixels():
    """Every pixel tells where it is: red the column, green the row."""
    x, y = np.meshgrid(np.arange(640) * 255 // 639, np.arange(480) * 255 // 479)
    return np.stack([x, y, np.zeros_like(x)], axis=2).astype(np.uint8)


@pytest.fixture
def picture(tmp_path, pixels):
    PillowImage.fromarray(pixels).save(tmp_path / "scene.png")
    return tmp_path / "scene.png"


@settings(deadline=None)
@given(
    start=st.tuples(*[st.integers(-50, 700)] * 3),
    changes=st.lists(st.tuples(st.floats(-700, 700), st.floats(-700, 700), st.floats(-700, 700)), max_size=5),
)
def test_a_square_stays_inside_the_picture(start, changes):
    square = Square.of(CAMERA).at(*start)
    for a, b, c in changes:
        square = square.moved(a, b).resized(c).spanned(square.x, square.y, square.x + a, square.y + c)
    x, y, w, h = square.crop
    assert w == h >= 16
    CameraSpec(**(CAMERA.model_dump() | {"crop": (x, y, w, h)}))  # what the task file accepts


def test_it_grows_around_its_middle_and_starts_at_the_present_crop():
    assert Square.of(CAMERA).crop == (80, 0, 480, 480)
    assert Square.of(CAMERA.model_copy(update={"crop": None})).crop == (80, 0, 480, 480)
    assert Square(640, 480, 200, 100, 100).resized(20).crop == (190, 90, 120, 120)


@pytest.mark.parametrize(
    ("key", "crop", "choice"),
    [
        ("left", (184, 100, 100, 100), Choice.GO_ON),
        ("shift+down", (200, 101, 100, 100), Choice.GO_ON),
        ("+", (184, 84, 132, 132), Choice.GO_ON),
        (",", (200, 100, 99, 99), Choice.GO_ON),
        ("enter", (200, 100, 100, 100), Choice.TAKE),
        ("escape", (200, 100, 100, 100), Choice.LEAVE),
        ("x", (200, 100, 100, 100), Choice.GO_ON),
    ],
)
def test_keys(key, crop, choice):
    square, decided = press(Square(640, 480, 200, 100, 100), key)
    assert (square.crop, decided) == (crop, choice)


def test_terminal_keys_and_numbers():
    assert keys_of("\x1b[A\x1b[1;2D+q\r\x1b") == ["up", "shift+left", "+", "q", "enter", "escape"]
    square, typed = Square(640, 480, 0, 0, 100), ""
    for key in keys_of("120 7 301\x7f0\r"):
        square, typed, choice = step(square, typed, key)
        assert choice is Choice.GO_ON
    assert (square.crop, typed) == ((120, 7, 300, 300), "")


def test_the_terminal_shows_picture_policy_view_and_numbers(pixels):
    console = Console(
        record=True, width=100, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(render(pixels, CAMERA, Square(640, 480, 320, 240, 240), console.width))
    text = console.export_text(styles=True)
    assert "what the policy sees, 128 px" in text
    assert "crop: [320, 240, 240, 240]" in text
    assert "255;220;0" in text, "the border"
    assert all(len(line) <= 100 for line in console.export_text().splitlines())


def test_the_policy_view_is_what_the_actor_makes_of_it(pixels):
    view = policy_view(pixels, CAMERA, Square(640, 480, 320, 240, 240))
    assert view.shape == (128, 128, 3)
    assert view[0, 0, 0] == pytest.approx(128, abs=2)
    assert view[-1, -1, 0] == pytest.approx(223, abs=2)


# ------------------------------------------------------------------ task file

FLOW = """# a comment
name: ram
cameras:   # two of them
  - {name: wrist_1, source_width: 640, source_height: 480, crop: [80, 0, 480, 480], size: 128}  # left
  - {name: wrist_2, source_width: 640, source_height: 480, size: 128}   # right
state: [tcp_pose]
"""
BLOCK = """cameras:
  - name: wrist_1      # left
    source_width: 640
    source_height: 480   # px
    size: 128
  - name: wrist_2
    crop:
      - 80   # x
      - 0
      - 480
      - 480  # height
    source_width: 640
    source_height: 480
"""


@pytest.mark.parametrize(
    ("text", "camera", "old", "new"),
    [
        (FLOW, "wrist_1", "crop: [80, 0, 480, 480]", "crop: [1, 2, 30, 30]"),
        (
            FLOW,
            "wrist_2",
            "source_height: 480, size: 128}   #",
            "source_height: 480, crop: [1, 2, 30, 30], size: 128}   #",
        ),
        (BLOCK, "wrist_1", "480   # px\n", "480   # px\n    crop: [1, 2, 30, 30]\n"),
        (BLOCK, "wrist_2", "- 80   # x\n      - 0\n      - 480\n      - 480", "[1, 2, 30, 30]"),
        (FLOW.replace("[80, 0, 480, 480]", "null"), "wrist_1", "crop: null", "crop: [1, 2, 30, 30]"),
        (BLOCK[: BLOCK.index("    size")], "wrist_1", "# px\n", "# px\n    crop: [1, 2, 30, 30]\n"),
        (
            BLOCK[: BLOCK.index("    size") - 1],
            "wrist_1",
            "480   # px",
            "480   # px\n    crop: [1, 2, 30, 30]\n",
        ),
        ("cameras:\n- name: a\n  crop:\n  source_height: 480\n", "a", "crop:", "crop: [1, 2, 30, 30]"),
    ],
)
def test_only_the_crop_changes_in_the_file(tmp_path, text, camera, old, new):
    file = tmp_path / "task.yaml"
    file.write_text(text)
    edit = plan_crop(file, camera, (1, 2, 30, 30))
    assert old in text
    assert edit.text == text.replace(old, new, 1) or edit.text == new.join(text.rsplit(old, 1))
    assert "[1, 2, 30, 30]" in edit.after
    file.chmod(0o640)
    edit.write()
    assert file.read_text() == edit.text
    assert file.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["task.yaml"]


def test_inherited_cameras_are_written_where_they_stand(tmp_path):
    (tmp_path / "base.yaml").write_text(
        RAM.read_text().replace("common/franka.yaml", str(RAM.parent / "common/franka.yaml"))
    )
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: base.yaml\ndescription: mine\n")
    before = load_task(mine)
    edit = plan_crop(mine, "wrist_2", (100, 40, 400, 400))
    assert edit.path.name == "base.yaml"
    edit.write()
    after = load_task(mine)
    assert after.cameras[1].crop == (100, 40, 400, 400)
    assert after.cameras[0] == before.cameras[0]
    assert after.hash != before.hash
    assert "# [T2]; driver's size and crop are our choice" in edit.path.read_text()


def test_every_task_file_of_the_suite_can_be_edited(tmp_path):
    for file in sorted(RAM.parent.rglob("*.yaml")):
        if file.parent.name == "common":
            continue
        for camera in load_task(file).cameras:
            edit = plan_crop(file, camera.name, (0, 0, 33, 33))
            assert edit.after.count("[0, 0, 33, 33]") == 1, file


def test_a_camera_that_the_file_lacks_is_named(tmp_path):
    file = tmp_path / "task.yaml"
    file.write_text("cameras: [{name: b}]\n")
    with pytest.raises(TaskFileError, match="no camera 'c'"):
        plan_crop(file, "c", (0, 0, 20, 20))


# -------------------------------------------------------------------- sources


def test_pictures_from_files_and_their_size(tmp_path, picture, pixels):
    np.testing.assert_array_equal(picture_of(CAMERA, picture), pixels)
    PillowImage.fromarray(pixels[:100]).save(tmp_path / "cut.png")
    with pytest.raises(PictureError, match=r"640x100 px.*640x480.*source_height"):
        picture_of(CAMERA, tmp_path / "cut.png")
    (tmp_path / "bad.png").write_bytes(b"nothing")
    with pytest.raises(PictureError, match="no picture that can be read"):
        picture_of(CAMERA, tmp_path / "bad.png")
    with pytest.raises(PictureError, match="there is no picture"):
        picture_of(CAMERA, tmp_path / "gone.png")


def test_damaged_jpegs_are_refused_from_files_and_bags(tmp_path, pixels):
    message = compressed_from_array(pixels, 10**9, "wrist_1")
    message.data = message.data[: len(message.data) // 2] + array.array("B", b"\xff\xd9")
    (tmp_path / "half.jpg").write_bytes(message.data)
    with BagWriter(tmp_path / "bag") as bag:
        topic = "/" + names.camera_topic("wrist_1", names.COMPRESSED)
        bag.add_topic(topic, type(message), qos.CAMERA)
        bag.write(topic, message, 10**9)
    for source in ("half.jpg", "bag"):
        with pytest.raises(PictureError, match=rf"{source}.*premature end of data"):
            picture_of(CAMERA, tmp_path / source)


@pytest.mark.parametrize("transport", names.TRANSPORTS)
def test_pictures_from_bags(tmp_path, pixels, transport):
    make = image_from_array if transport == names.RAW else compressed_from_array
    message = make(pixels, 10**9, "wrist_1")
    with BagWriter(tmp_path / "bag") as bag:
        topic = "/" + names.camera_topic("wrist_1", transport)
        bag.add_topic(topic, type(message), qos.CAMERA)
        bag.write(topic, message, 10**9)
    found = picture_of(CAMERA, tmp_path / "bag")
    assert np.abs(found.astype(int) - pixels).mean() < 5
    with pytest.raises(PictureError, match=r"no topic camera/wrist_9/image_raw.*it has /camera/wrist_1"):
        picture_of(CAMERA.model_copy(update={"name": "wrist_9"}), tmp_path / "bag")


def test_live_pictures_and_what_is_said_without_one(pixels):
    import threading

    import rclpy

    with pytest.raises(
        PictureError, match=r"no picture on /cell/camera/wrist_1/image_raw or .*nobody publishes"
    ):
        picture_of(CAMERA, None, "cell", patience=0.3)
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("driver", context=context)
    message = compressed_from_array(pixels, 0, "wrist_1")
    publisher = node.create_publisher(type(message), names.camera_compressed("wrist_1"), qos.CAMERA)
    over = threading.Event()

    def publish():
        while not over.wait(0.1):
            publisher.publish(message)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        found = picture_of(CAMERA, None, patience=PATIENCE)
    finally:
        over.set()
        thread.join()
        node.destroy_node()
        context.try_shutdown()
    assert np.abs(found.astype(int) - pixels).mean() < 5


# -------------------------------------------------------------------- command


@pytest.fixture
def task(tmp_path):
    file = tmp_path / "task.yaml"
    file.write_text(RAM.read_text().replace("common/franka.yaml", str(RAM.parent / "common/franka.yaml")))
    return file


def test_the_command_writes_the_square_and_says_what_that_means(task, picture, tmp_path, capsys):
    arguments = ["crop", "wrist_1", "--task", str(task), "--picture", str(picture)]
    preview = tmp_path / "out" / "preview.png"
    assert run([*arguments, "--at", "200", "100", "100", "--no-write", "--preview", str(preview)]) == 0
    printed = capsys.readouterr().out
    assert "crop: [200, 100, 100, 100]" in printed
    assert load_task(task).cameras[0].crop == (80, 0, 480, 480), "printed only"
    with PillowImage.open(preview) as image:
        assert image.size == (640 + 8 + 480, 480)

    old = load_task(task).hash
    assert run([*arguments, "--at", "200", "100", "100"]) == 0
    printed = capsys.readouterr().out
    assert load_task(task).cameras[0].crop == (200, 100, 100, 100)
    assert load_task(task).hash[:12] in printed
    assert old[:12] in printed
    assert "enlarged to the 128 px" in printed
    assert run([*arguments, "--at", "200", "100", "100"]) == 0
    assert "this crop already" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--at", "600", "0", "100"], "nearest that does is [540, 0, 100]"),
        (["--ui", "terminal"], "--at X Y SIDE"),
    ],
)
def test_what_cannot_be_done_is_said(task, picture, more, says, capsys):
    assert run(["crop", "wrist_1", "--task", str(task), "--picture", str(picture), *more]) == 2
    assert says in " ".join(capsys.readouterr().err.split())


def test_an_unknown_camera_is_named(task, picture, capsys):
    assert run(["crop", "wrist_3", "--task", str(task), "--picture", str(picture)]) == 2
    assert "it has wrist_1, wrist_2" in " ".join(capsys.readouterr().err.split())


def test_choosing_in_a_real_terminal(task, picture):
    """The command in a pseudo-terminal: an arrow, numbers, Enter twice."""
    controller, terminal = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    command = [sys.executable, "-m", "hil_serl_cli.cli", "crop", "wrist_2", "--task", str(task)]
    process = subprocess.Popen(
        [*command, "--picture", str(picture)],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**environment, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"},
    )
    os.close(terminal)
    shown = b""
    try:
        for awaited, then in (
            ("x y side", "\x1b[C"),
            ("", "120 60 300\r"),
            ("[120, 60, 300, 300]", "\r"),
            ("Written", ""),
        ):
            while awaited.encode() not in shown:
                shown += os.read(controller, 65536)  # fails when the command has ended
            os.write(controller, then.encode())
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        os.close(controller)
    assert load_task(task).cameras[1].crop == (120, 60, 300, 300)


def test_the_mouse_in_a_window(pixels, monkeypatch):
    """The window's handlers, called by matplotlib with events at pixels of the figure."""
    matplotlib = pytest.importorskip("matplotlib")
    monkeypatch.setattr(matplotlib, "get_backend", lambda: "agg")
    matplotlib.use("agg")
    from matplotlib.backend_bases import KeyEvent, MouseEvent

    from hil_serl_cli.crop.window import CropWindow

    window = CropWindow(pixels, CAMERA, Square(640, 480, 200, 100, 100))
    canvas = window.figure.canvas
    canvas.draw()

    def mouse(name, x, y, **more):
        at = window.picture.transData.transform((x, y))
        canvas.callbacks.process(name, MouseEvent(name, canvas, *at, **more))

    mouse("button_press_event", 250, 150, button=1)
    mouse("motion_notify_event", 300, 170)
    mouse("button_release_event", 300, 170, button=1)
    assert window.square.crop == (250, 120, 100, 100), "dragged"
    mouse("motion_notify_event", 500, 400)
    assert window.square.crop == (250, 120, 100, 100), "let go"
    mouse("button_press_event", 10, 20, button=1)
    mouse("motion_notify_event", 210, 120)
    mouse("button_release_event", 210, 120, button=1)
    assert window.square.crop == (10, 20, 200, 200), "drawn anew"
    mouse("scroll_event", 100, 100, step=-1)
    assert window.square.crop == (18, 28, 184, 184)
    for key in ("shift+right", "enter"):
        canvas.callbacks.process("key_press_event", KeyEvent("key_press_event", canvas, key))
    assert window.chosen is not None
    assert window.chosen.crop == (19, 28, 184, 184)
