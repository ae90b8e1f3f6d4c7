# SPDX-License-Identifier: Apache-2.0
"""A controller manager in a process of its own, and what a test needs to talk to it."""

from __future__ import annotations

import contextlib
import copy
import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
import xacro
import yaml
from ament_index_python.packages import get_package_prefix
from controller_manager_msgs.srv import ConfigureController, ListControllers, LoadController, SwitchController
from geometry_msgs.msg import Pose, PoseStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from std_msgs.msg import String
from std_srvs.srv import Trigger

from hil_serl_core.testing.waiting import PATIENCE
from hil_serl_msgs.msg import ArmState

PACKAGE = Path(__file__).parents[2]
NAMESPACE = "cell"
CONTROLLER = "cartesian_controller"


def mock_urdf(**arguments: str) -> str:
    """URDF of the mock arm."""
    return str(xacro.process_file(str(PACKAGE / "urdf" / "mock_arm.urdf.xacro"), mappings=arguments).toxml())


class ControlProcess:
    """``ros2_control_node`` of a package, with a description; states arrive while `spin` runs."""

    def __init__(self, urdf: str, parameters: Path, log: Path, package: str = "controller_manager") -> None:
        self.states: list[ArmState] = []
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        simulated = Parameter("use_sim_time", value=package != "controller_manager")
        self.node = rclpy.create_node(
            "test", namespace=NAMESPACE, context=self._context, parameter_overrides=[simulated]
        )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._description = self.node.create_publisher(String, "robot_description", latched)
        self._description.publish(String(data=urdf))
        self._target = self.node.create_publisher(PoseStamped, "target_pose", 1)
        self.node.create_subscription(ArmState, "arm_state", self.states.append, qos_profile_sensor_data)
        self.log = log
        program = Path(get_package_prefix(package)) / "lib" / package / "ros2_control_node"
        with log.open("w") as output:
            self._process = subprocess.Popen(
                [program, "--ros-args", "-r", f"__ns:=/{NAMESPACE}", "--params-file", parameters],
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def close(self) -> int:
        """Ends process and node; returns the process's exit status."""
        self._process.terminate()
        try:
            status = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()
        return status

    def call(self, kind: Any, name: str, /, **fields: Any) -> Any:
        """Response of a service."""
        client = self.node.create_client(kind, name)
        end = time.monotonic() + PATIENCE
        while not client.service_is_ready():
            assert self._process.poll() is None, f"the controller manager ended:\n{self.log.read_text()}"
            assert time.monotonic() < end, f"no service {name}:\n{self.log.read_text()}"
            self._executor.spin_once(0.05)
        future = client.call_async(kind.Request(**fields))
        self._executor.spin_until_future_complete(future, PATIENCE)
        self.node.destroy_client(client)
        assert future.done(), f"no answer from {name}:\n{self.log.read_text()}"
        return future.result()

    def load(self, controller: str = CONTROLLER) -> bool:
        """Loads and configures a controller."""
        return (
            self.call(LoadController, "controller_manager/load_controller", name=controller).ok
            and self.call(ConfigureController, "controller_manager/configure_controller", name=controller).ok
        )

    def switch(self, start: list[str] = [], stop: list[str] = []) -> bool:  # noqa: B006
        """Activates and deactivates controllers."""
        return self.call(
            SwitchController,
            "controller_manager/switch_controller",
            activate_controllers=start,
            deactivate_controllers=stop,
            strictness=SwitchController.Request.STRICT,
        ).ok

    def state_of(self, controller: str = CONTROLLER) -> str:
        """Lifecycle state of a loaded controller."""
        known = self.call(ListControllers, "controller_manager/list_controllers").controller
        return next(one.state for one in known if one.name == controller)

    def reset_fault(self) -> Trigger.Response:
        """Ends a latched fault."""
        return self.call(Trigger, "reset_fault")

    def stranger(self, name: str) -> Node:
        """Another node beside the test's own, which lives as long."""
        node = rclpy.create_node(name, namespace=NAMESPACE, context=self._context)
        self._executor.add_node(node)
        return node

    def send(self, pose: Pose, frame: str = "base") -> None:
        """One target, stamped now."""
        target = PoseStamped(pose=pose)
        target.header.frame_id = frame
        target.header.stamp = self.node.get_clock().now().to_msg()
        self._target.publish(target)

    def spin(self, seconds: float, target: Pose | None = None) -> list[ArmState]:
        """States of so much of the arm's time; a target is sent with each."""
        first = len(self.states)
        self.wait_for(lambda: len(self.states) > first, "arm_state")
        start, sent = stamp(self.states[first]), first
        end = time.monotonic() + PATIENCE
        while stamp(self.states[-1]) < start + seconds:
            assert time.monotonic() < end, f"arm_state stopped:\n{self.log.read_text()}"
            if target is not None and len(self.states) > sent:
                self.send(target)
                sent = len(self.states)
            self._executor.spin_once(0.02)
        return self.states[first:]

    def wait(self, seconds: float) -> None:
        """Lets so much wall time pass."""
        end = time.monotonic() + seconds
        self.wait_for(lambda: time.monotonic() >= end, "the end of the pause")

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Spins until a condition holds."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert self._process.poll() is None, f"the controller manager ended:\n{self.log.read_text()}"
            assert time.monotonic() < end, f"{what} did not come:\n{self.log.read_text()}"
            self._executor.spin_once(0.02)


def stamp(state: ArmState) -> float:
    """Sampling time [s]."""
    return state.header.stamp.sec + 1e-9 * state.header.stamp.nanosec


def position(state: ArmState) -> np.ndarray:
    """Tcp in base [m]."""
    at = state.tcp_pose.position
    return np.array([at.x, at.y, at.z])


def speed(state: ArmState) -> float:
    """Of the tcp [m/s]."""
    v = state.tcp_twist.linear
    return float(np.linalg.norm([v.x, v.y, v.z]))


def moved(pose: Pose, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Pose:
    """A pose further along the base axes."""
    result = copy.deepcopy(pose)
    result.position.x += x
    result.position.y += y
    result.position.z += z
    return result


def parameters_file(
    folder: Path, sim_time: bool = False, manager: Mapping[str, Any] = {}, file: str = "mock", **changes: Any
) -> Path:
    """A shipped controller file with changed parameters of the controller manager and of the cartesian controller."""
    content = yaml.safe_load((PACKAGE / "config" / f"{file}_controllers.yaml").read_text())
    content["controller_manager"]["ros__parameters"].update({"use_sim_time": sim_time, **manager})
    content[CONTROLLER]["ros__parameters"].update(changes)
    path = folder / "controllers.yaml"
    placed = {f"/{NAMESPACE}/{node}": value for node, value in content.items()}
    path.write_text(yaml.safe_dump(json.loads(json.dumps(placed))))  # rcl's files know no aliases
    return path


@contextlib.contextmanager
def control_process(
    urdf: str, parameters: Path, folder: Path, package: str = "controller_manager"
) -> Iterator[ControlProcess]:
    """A controller manager that ends with the block."""
    process = ControlProcess(urdf, parameters, folder / "controller_manager.log", package)
    try:
        yield process
    finally:
        process.close()
