# SPDX-License-Identifier: Apache-2.0
"""One process of a run, as the supervisor starts it and launch maps it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import yaml

Scalar = bool | int | float | str
Value = Scalar | Sequence[Scalar]
"""Value of a ROS parameter."""

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
    """One process of a run: a node, or a program of a ROS package.

    Attributes:
        name: Name of the process, of its log, and (unless `node` says otherwise) of its node.
        package: ROS package that installs the executable.
        executable: File under `lib/<package>/` of the overlay; with `ros` false also a program on the PATH.
        parameters: ROS parameters.
        remappings: ROS name -> ROS name.
        namespace: ROS namespace, empty for none.
        environment: Variables added to the process's environment.
        max_restarts: How often the process is started again after a failure before the run ends. Zero for
            nodes that hold state of the run: their failure is for a person to see. Device drivers may come
            back.
        ends_run: The run is complete when this process ends with exit code 0.
        interactive: The process reads the terminal (keyboard teleoperation).
        arguments: Command line before the ROS arguments.
        parameter_files: Files of ROS parameters; `parameters` win over them.
        node: Node name where it differs from `name`.
        several_nodes: The process holds several nodes, so none of them is named from outside.
        ros: It takes ROS arguments.
        one_shot: It has done its work when it ends with exit code 0, and the run goes on.
        optional: Its end, however, never ends the run (windows that a person closes).
        requires: Further packages it needs, looked for before anything starts.
    """

    name: str
    package: str
    executable: str
    parameters: Mapping[str, Value] = field(default_factory=dict)
    remappings: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    max_restarts: int = 0
    ends_run: bool = False
    interactive: bool = False
    arguments: Sequence[str] = ()
    parameter_files: Sequence[str] = ()
    node: str = ""
    several_nodes: bool = False
    ros: bool = True
    one_shot: bool = False
    optional: bool = False
    requires: Sequence[str] = ()

    @property
    def node_name(self) -> str:
        """Name given to its node, empty if the process names its nodes itself."""
        return "" if self.several_nodes or not self.ros else self.node or self.name

    def parameter_arguments(self) -> list[str]:
        """ROS arguments of files and parameters."""
        words = [word for file in self.parameter_files for word in ("--params-file", file)]
        for key, value in self.parameters.items():
            words += ["-p", f"{key}:={yaml_value(value)}"]
        return words

    def ros_arguments(self) -> list[str]:
        """Command-line arguments that give the node its name, namespace, parameters and remappings."""
        if not self.ros:
            return []
        arguments = ["--ros-args"]
        if self.node_name:
            arguments += ["-r", f"__node:={self.node_name}"]
        if self.namespace:
            arguments += ["-r", f"__ns:=/{self.namespace.strip('/')}"]
        arguments += self.parameter_arguments()
        for old, new in self.remappings.items():
            arguments += ["-r", f"{old}:={new}"]
        return arguments

    def command_line(self, program: Sequence[str]) -> list[str]:
        """Whole command line of the program found for it."""
        return [*program, *self.arguments, *self.ros_arguments()]


def yaml_value(value: Value) -> str:
    """`value` as YAML that rcl reads as the same type; a sequence in flow style."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(yaml_scalar(item) for item in value) + "]"
    return yaml_scalar(value)


def yaml_scalar(value: Scalar) -> str:
    """`value` as a YAML scalar that rcl reads as the same type, so that the string '1.0' stays a string."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a ROS parameter has to be finite, got {value}")
    if isinstance(value, str):  # always quoted; rcl takes an unquoted 1.0, true or null for another type
        return "'" + value.replace("'", "''") + "'"
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
