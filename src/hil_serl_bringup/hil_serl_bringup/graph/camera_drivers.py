# SPDX-License-Identifier: Apache-2.0
"""Camera drivers of a robot file as processes that publish ``camera/NAME/image_raw``."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path

from hil_serl_bringup.graph.process import THREAD_ENVIRONMENT, ProcessSpec, Value
from hil_serl_bringup.graph.robot_model import Camera, RobotFileError
from hil_serl_core.spec import CameraSpec, TaskSpec

BY_ID = Path("/dev/v4l/by-id")
"""Where Linux names video devices by maker and serial number."""


def camera_processes(
    cameras: Mapping[str, Camera],
    task: TaskSpec,
    task_file: str,
    namespace: str = "",
    compressed: bool = False,
) -> list[ProcessSpec]:
    """Drivers of the task's cameras.

    Args:
        cameras: Those of the robot file; empty if they are started elsewhere.
        task: The task, which names cameras and the size of their images.
        task_file: Its path.
        namespace: ROS namespace of the run.
        compressed: Pictures of cameras that do not say otherwise are taken compressed.

    Raises:
        RobotFileError: The robot file lacks a camera of the task, or has another image size.
    """
    if not cameras:
        return []
    chosen: list[tuple[CameraSpec, Camera]] = []
    for spec in task.cameras:
        if spec.name not in cameras:
            near = difflib.get_close_matches(spec.name, cameras, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(cameras)}"
            raise RobotFileError(f"task '{task.name}' needs a camera '{spec.name}' in the robot file; {hint}")
        camera = _sized(spec, cameras[spec.name], task.name)
        if camera.transport is None and compressed:
            camera = camera.model_copy(update={"transport": "compressed"})
        chosen.append((spec, camera))
    processes = [_driver(spec.name, camera, namespace) for spec, camera in chosen if camera.driver != "mock"]
    mocks = {spec.name: camera for spec, camera in chosen if camera.driver == "mock"}
    return [*processes, _mock(mocks, task_file, namespace)] if mocks else processes


def _sized(spec: CameraSpec, camera: Camera, task: str) -> Camera:
    """The camera with the task's image size where it has none of its own."""
    size = camera.width or spec.source_width, camera.height or spec.source_height
    if size != (spec.source_width, spec.source_height):
        raise RobotFileError(
            f"camera '{spec.name}' delivers {size[0]}x{size[1]} by the robot file, but task '{task}' crops images of "
            f"{spec.source_width}x{spec.source_height}; make source_width and source_height of the task and width and "
            "height of the robot file equal"
        )
    return camera.model_copy(update={"width": size[0], "height": size[1]})


def _driver(name: str, camera: Camera, namespace: str) -> ProcessSpec:
    executable, topics, make = _DRIVERS[camera.driver]
    target = f"camera/{name}"
    remappings = {
        f"{prefix}{image}{suffix}": f"{target}/image_raw{suffix}"
        for prefix, image in topics
        for suffix in ("", "/compressed")  # image_transport makes this name before the first is remapped
    }
    remappings[f"{topics[0][0]}camera_info"] = f"{target}/camera_info"
    return ProcessSpec(
        f"camera_{name}",
        camera.driver,
        executable,
        {**make(name, camera), **camera.ros_parameters},
        remappings,
        namespace,
        dict(THREAD_ENVIRONMENT),
        camera.max_restarts,
    )


def _mock(cameras: Mapping[str, Camera], task_file: str, namespace: str) -> ProcessSpec:
    """One process draws them all, because all follow the same arm."""
    parameters: dict[str, Value] = {
        "task": task_file,
        "cameras": list(cameras),
        "fps": max(camera.fps for camera in cameras.values()),
    }
    compressed = [name for name, camera in cameras.items() if camera.transport == "compressed"]
    if compressed:
        parameters["compressed"] = compressed
    return ProcessSpec(
        "mock_cameras",
        "hil_serl_robot",
        "mock_cameras",
        parameters,
        namespace=namespace,
        environment=dict(THREAD_ENVIRONMENT),
    )


def _realsense(name: str, camera: Camera) -> dict[str, Value]:
    """Colour only, 8-bit RGB. Names of realsense2_camera 4.55 and later."""
    parameters: dict[str, Value] = {
        "camera_name": name,
        "enable_color": True,
        "enable_depth": False,
        "enable_infra1": False,
        "enable_infra2": False,
        "enable_gyro": False,
        "enable_accel": False,
        "reconnect_timeout": 2.0,
    }
    if camera.serial:
        parameters["serial_no"] = camera.serial
    for module in ("rgb_camera", "depth_module"):  # a D405's depth module takes the colour pictures
        parameters[f"{module}.color_profile"] = f"{camera.width}x{camera.height}x{round(camera.fps)}"
        parameters[f"{module}.color_format"] = "RGB8"
        if camera.exposure is not None or camera.gain is not None:
            parameters[f"{module}.enable_auto_exposure"] = False
        if camera.exposure is not None:
            # A colour sensor counts in units of 100 us, a depth module in us.
            parameters[f"{module}.exposure"] = camera.exposure // (100 if module == "rgb_camera" else 1)
        if camera.gain is not None:
            parameters[f"{module}.gain"] = camera.gain
    if camera.white_balance is not None:
        parameters["rgb_camera.enable_auto_white_balance"] = False
        parameters["rgb_camera.white_balance"] = camera.white_balance
    return parameters


def _usb_cam(name: str, camera: Camera) -> dict[str, Value]:
    parameters: dict[str, Value] = {
        "camera_name": name,
        "frame_id": f"{name}_optical_frame",
        "video_device": video_device(name, camera),
        "image_width": camera.width or 0,
        "image_height": camera.height or 0,
        "framerate": float(camera.fps),
        # mjpeg: the camera's own JPEGs go to image_raw/compressed as they are, and nothing to image_raw.
        "pixel_format": "mjpeg" if camera.transport == "compressed" else "yuyv2rgb",
    }
    if camera.exposure is not None:
        parameters |= {"autoexposure": False, "exposure": camera.exposure // 100}
    if camera.gain is not None:
        parameters["gain"] = camera.gain
    if camera.white_balance is not None:
        parameters |= {"auto_white_balance": False, "white_balance": camera.white_balance}
    return parameters


def _v4l2_camera(name: str, camera: Camera) -> dict[str, Value]:
    """Its parameters for controls have the kernel's names (Linux 5.16 and later)."""
    parameters: dict[str, Value] = {
        "camera_frame_id": f"{name}_optical_frame",
        "video_device": video_device(name, camera),
        "image_size": [camera.width or 0, camera.height or 0],
        "time_per_frame": [1, round(camera.fps)],
        "pixel_format": "YUYV",
        "output_encoding": "rgb8",
    }
    if camera.exposure is not None:
        # 1: manual
        parameters |= {"auto_exposure": 1, "exposure_time_absolute": camera.exposure // 100}
    if camera.gain is not None:
        parameters["gain"] = camera.gain
    if camera.white_balance is not None:
        parameters |= {
            "white_balance_automatic": False,
            "white_balance_temperature": camera.white_balance,
        }
    return parameters


#: Driver -> (executable, (prefix, name) of its image topics, parameters).
_DRIVERS: Mapping[str, tuple[str, tuple[tuple[str, str], ...], Callable[[str, Camera], dict[str, Value]]]] = {
    "realsense2_camera": (
        "realsense2_camera_node",
        (("~/color/", "image_raw"), ("~/color/", "image_rect_raw")),  # the latter is a D405's
        _realsense,
    ),
    "usb_cam": ("usb_cam_node_exe", (("", "image_raw"),), _usb_cam),
    "v4l2_camera": ("v4l2_camera_node", (("", "image_raw"),), _v4l2_camera),
}


def video_device(name: str, camera: Camera, folder: Path = BY_ID) -> str:
    """Path of a USB camera's device.

    Args:
        name: Name of the camera, for messages.
        camera: With device or serial.
        folder: Where devices are named by serial.

    Raises:
        RobotFileError: No device, or more than one, has this serial.
    """
    if camera.device:
        return camera.device
    found = sorted(p for p in folder.glob("*-video-index0") if camera.serial in p.name)
    if len(found) != 1:
        there = ", ".join(sorted(p.name for p in folder.glob("*-video-index0"))) or "none"
        count = "no device" if not found else "more than one device"
        raise RobotFileError(
            f"camera '{name}': {count} in {folder} has '{camera.serial}' in its name; connected: {there}"
        )
    return str(found[0])
