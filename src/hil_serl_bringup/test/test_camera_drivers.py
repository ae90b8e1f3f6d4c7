# SPDX-License-Identifier: Apache-2.0
"""Cameras of a robot file as drivers that publish the suite's topics."""

import pytest

from hil_serl_bringup.graph.camera_drivers import camera_processes, video_device
from hil_serl_bringup.graph.robot_model import Camera, RobotFileError
from hil_serl_tasks.finder import find_task

TASK = find_task("ram_insertion", simulated=False)  # wrist_1 and wrist_2, 640 x 480


def processes(namespace="", **cameras):
    return {spec.name: spec for spec in camera_processes(cameras, TASK, "/task.yaml", namespace)}


def real(**fields):
    return Camera(driver="realsense2_camera", serial="01", **fields)


def test_a_realsense_is_chosen_by_serial_and_locked():
    camera = real(exposure=8000, gain=16, white_balance=4600, parameters={"enable_sync": True})
    spec = processes("cell", wrist_1=camera, wrist_2=real())["camera_wrist_1"]
    assert (spec.package, spec.executable, spec.namespace) == (
        "realsense2_camera",
        "realsense2_camera_node",
        "cell",
    )
    expected = {
        "serial_no": "01",
        "rgb_camera.color_profile": "640x480x30",
        "rgb_camera.enable_auto_exposure": False,
        "rgb_camera.exposure": 80,
        "depth_module.exposure": 8000,
        "rgb_camera.gain": 16,
        "rgb_camera.white_balance": 4600,
        "rgb_camera.enable_auto_white_balance": False,
        "enable_depth": False,
        "enable_sync": True,
    }
    assert expected.items() <= spec.parameters.items()
    assert spec.remappings["~/color/image_raw"] == "camera/wrist_1/image_raw"
    assert spec.remappings["~/color/image_rect_raw"] == "camera/wrist_1/image_raw"
    assert spec.remappings["~/color/image_raw/compressed"] == "camera/wrist_1/image_raw/compressed"


def test_without_a_lock_the_driver_keeps_its_automatic_exposure():
    spec = processes(wrist_1=real(), wrist_2=real())["camera_wrist_1"]
    assert not any("exposure" in name for name in spec.parameters)


def test_usb_cameras_keep_the_size_the_task_crops():
    cameras = {
        "wrist_1": Camera(driver="usb_cam", device="/dev/video4", exposure=12000),
        "wrist_2": Camera(driver="v4l2_camera", device="/dev/video6", exposure=12000, fps=15.0),
    }
    nodes = processes(**cameras)
    first, second = nodes["camera_wrist_1"], nodes["camera_wrist_2"]
    assert first.parameters["video_device"] == "/dev/video4"
    assert (first.parameters["image_width"], first.parameters["framerate"]) == (640, 30.0)
    assert (first.parameters["autoexposure"], first.parameters["exposure"]) == (False, 120)
    assert first.remappings["image_raw"] == "camera/wrist_1/image_raw"
    assert second.parameters["image_size"] == [640, 480]
    assert second.parameters["time_per_frame"] == [1, 15]


def test_mock_cameras_are_one_process_and_unused_cameras_none():
    mock = Camera(driver="mock", fps=10.0)
    nodes = processes(wrist_1=mock, wrist_2=mock, side=mock)
    assert list(nodes) == ["mock_cameras"]
    assert nodes["mock_cameras"].parameters == {
        "task": "/task.yaml",
        "cameras": ["wrist_1", "wrist_2"],
        "fps": 10.0,
    }


def test_cameras_that_are_started_elsewhere_are_left_alone():
    assert processes() == {}


def test_a_camera_that_does_not_fit_the_task_is_named():
    with pytest.raises(RobotFileError, match="'wrist_2' in the robot file; did you mean 'wrist_1'"):
        processes(wrist_1=real())
    with pytest.raises(RobotFileError, match=r"camera 'wrist_1' delivers 848x480 .* 640x480"):
        processes(wrist_1=real(width=848), wrist_2=real())


def test_a_usb_camera_is_found_by_its_serial(tmp_path):
    for name in (
        "usb-Maker_Cam_AA11-video-index0",
        "usb-Maker_Cam_AA11-video-index1",
        "usb-X_BB-video-index0",
    ):
        (tmp_path / name).touch()
    camera = Camera(driver="usb_cam", serial="AA11")
    assert video_device("w", camera, tmp_path) == str(tmp_path / "usb-Maker_Cam_AA11-video-index0")
    with pytest.raises(
        RobotFileError, match=r"no device .*connected: usb-Maker_Cam_AA11-video-index0, usb-X"
    ):
        video_device("w", Camera(driver="usb_cam", serial="CC"), tmp_path)
    with pytest.raises(RobotFileError, match="more than one"):
        video_device("w", Camera(driver="usb_cam", serial="usb"), tmp_path)


def test_a_usb_camera_that_is_taken_compressed_sends_its_own_jpegs():
    def pixel_format(compressed, **camera):
        cameras = {
            name: Camera(driver="usb_cam", device="/dev/video4", **camera) for name in ("wrist_1", "wrist_2")
        }
        specs = camera_processes(cameras, TASK, "/task.yaml", compressed=compressed)
        return {spec.parameters["pixel_format"] for spec in specs}

    assert pixel_format(False) == {"yuyv2rgb"}
    assert pixel_format(True) == {"mjpeg"}
    assert pixel_format(False, transport="compressed") == {"mjpeg"}
    assert pixel_format(True, transport="raw") == {"yuyv2rgb"}
    mock, raw = Camera(driver="mock"), Camera(driver="mock", transport="raw")
    (drawn,) = camera_processes({"wrist_1": mock, "wrist_2": raw}, TASK, "/task.yaml", compressed=True)
    assert drawn.parameters["compressed"] == ["wrist_1"]
