# SPDX-License-Identifier: Apache-2.0
"""One process of a run, as the supervisor starts it and launch maps it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

Scalar = bool | int | float | str

#: OpenMP threads that spin while they wait take whole cores from the other processes, which makes the
#: control loop several times slower when there are fewer cores than processes. Nodes that need more
#: threads take a parameter.
THREAD_ENVIRONMENT: Mapping[str, str] = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
    "PYTHONFAULTHANDLER": "1",  # a crash in native code leaves its place in the log
}


@dataclass(frozen=True)
class ProcessSpec:
    """One node of a run as one process.

    Attributes:
        name: Node name, and the name of its log.
        package: ROS package that installs the executable.
        executable: File under `lib/<package>/` of the overlay.
        parameters: ROS parameters.
        remappings: ROS name -> ROS name.
        namespace: ROS namespace, empty for none.
        environment: Variables added to the process's environment.
        max_restarts: How often the process is started again after a failure before the run ends. Zero for
            nodes that hold state of the run: their failure is for a person to see. Device drivers may come
            back.
        ends_run: The run is complete when this process ends with exit code 0.
        interactive: The process reads the terminal (keyboard teleoperation).
    """

    name: str
    package: str
    executable: str
    parameters: Mapping[str, Scalar] = field(default_factory=dict)
    remappings: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    max_restarts: int = 0
    ends_run: bool = False
    interactive: bool = False

    def ros_arguments(self) -> list[str]:
        """Command-line arguments that give the node its name, namespace, parameters and remappings."""
        arguments = ["--ros-args", "-r", f"__node:={self.name}"]
        if self.namespace:
            arguments += ["-r", f"__ns:=/{self.namespace.strip('/')}"]
        for key, value in self.parameters.items():
            arguments += ["-p", f"{key}:={yaml_scalar(value)}"]
        for old, new in self.remappings.items():
            arguments += ["-r", f"{old}:={new}"]
        return arguments


def yaml_scalar(value: Scalar) -> str:
    """`value` as a YAML scalar that rcl reads as the same type, so that the string '1.0' stays a string."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a ROS parameter has to be finite, got {value}")
    if isinstance(value, str):  # always quoted; rcl takes an unquoted 1.0, true or null for another type
        return "'" + value.replace("'", "''") + "'"
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
