# SPDX-License-Identifier: Apache-2.0
"""control_msgs for machines without it: its GripperCommand, built from the definition, so that tests have a real action.

Processes that use it need its library on their path before they start: the tests give them ``environment()``.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
_PACKAGE = """<?xml version="1.0"?>
<package format="3">
  <name>control_msgs</name><version>0.0.0</version><description>GripperCommand for tests</description>
  <maintainer email="tests@example.com">tests</maintainer><license>Apache-2.0</license>
  <buildtool_depend>ament_cmake</buildtool_depend>
  <build_depend>rosidl_default_generators</build_depend>
  <depend>action_msgs</depend>
  <member_of_group>rosidl_interface_packages</member_of_group>
  <export><build_type>ament_cmake</build_type></export>
</package>
"""
_CMAKE = """cmake_minimum_required(VERSION 3.16)
project(control_msgs)
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
find_package(action_msgs REQUIRED)
rosidl_generate_interfaces(${PROJECT_NAME}
  msg/GripperCommand.msg action/GripperCommand.action DEPENDENCIES action_msgs)
ament_package()
"""
_STATE = "float64 position\nfloat64 effort\nbool stalled\nbool reached_goal\n"
_FILES = {
    "package.xml": _PACKAGE,
    "CMakeLists.txt": _CMAKE,
    "msg/GripperCommand.msg": "float64 position\nfloat64 max_effort\n",
    "action/GripperCommand.action": f"GripperCommand command\n---\n{_STATE}---\n{_STATE}",
}


def environment(folder: Path) -> dict[str, str]:
    """Variables of a process that imports ``control_msgs.action``: the installed one, else one built in ``folder``."""
    if importlib.util.find_spec("control_msgs") is not None:
        return dict(os.environ)
    for name, text in _FILES.items():
        path = folder / "src" / "control_msgs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    command = [
        sys.executable,
        "-m",
        "colcon",
        "--log-base",
        "log",
        "build",
        "--base-paths",
        "src",
        "--cmake-args",
    ]
    command += [f"-DPython3_EXECUTABLE={sys.executable}", "-DBUILD_TESTING=OFF", "-DCMAKE_BUILD_TYPE=Debug"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    prefix = folder / "install" / "control_msgs"
    (packages,) = prefix.glob("lib/python3*/site-packages")
    added = {
        "AMENT_PREFIX_PATH": str(prefix),
        "LD_LIBRARY_PATH": str(prefix / "lib"),
        "PYTHONPATH": str(packages),
    }
    paths = {
        name: os.pathsep.join(filter(None, (path, os.environ.get(name)))) for name, path in added.items()
    }
    return {**os.environ, **paths}


SERVER = """
import sys, time, rclpy
from control_msgs.action import GripperCommand
from rclpy.action import ActionServer

answers = sys.argv[1] == "answers"
rclpy.init()
node = rclpy.create_node("hand")

def execute(handle):
    print("goal", handle.request.command.position, flush=True)
    while not answers:
        time.sleep(0.1)
    handle.succeed()
    return GripperCommand.Result(reached_goal=True)

server = ActionServer(node, GripperCommand, "hand/cmd", execute)
print("ready", flush=True)
rclpy.spin(node)
"""
"""Source of an action server for ``sys.argv[1]``: ``answers`` or ``hangs``; it prints the goals that it gets."""
