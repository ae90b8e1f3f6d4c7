# SPDX-License-Identifier: Apache-2.0
"""What a robot file can say: how a cell comes to publish and serve the suite's topics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    model_validator,
)

from hil_serl_bringup.graph.process import Value
from hil_serl_ros.scheduling import VARIABLE, Scheduling
from hil_serl_teleop.layouts import DeviceLayout, PadName

Transport = Literal["raw", "compressed"]
"""How pictures travel, in image_transport's words."""
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class RobotFileError(ValueError):
    """A robot file that cannot be used; the message names file, key and remedy."""


def flattened(values: dict[str, JsonValue]) -> dict[str, Value]:
    """Nested parameters by their dotted names, as ROS has them; ValueError for what no parameter can hold."""
    flat: dict[str, Value] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": item for inner, item in flattened(value).items()}
        elif value is None or (isinstance(value, list) and any(isinstance(v, (list, dict)) for v in value)):
            raise ValueError(f"parameter '{key}' is {value!r}; give a boolean, number, text or a flat list")
        elif isinstance(value, list) and len({type(item) for item in value}) != 1:
            raise ValueError(f"the items of parameter '{key}' have to be of one type, and there must be one")
        else:
            flat[key] = value  # type: ignore[assignment]
    return flat


Parameters = Annotated[dict[str, JsonValue], AfterValidator(flattened)]
"""ROS parameters; nested mappings become dotted names."""


def _quoted(value: object) -> object:
    if isinstance(value, int):
        raise ValueError(f"write {value} in quotes: YAML would change a number that begins with 0")
    return value


class RobotModel(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class WithParameters(RobotModel):
    """Something that takes ROS parameters."""

    parameters: Parameters = Field(default={}, description="ROS parameters, nested or dotted")

    @property
    def ros_parameters(self) -> dict[str, Value]:
        """Parameters by their dotted names."""
        return cast(dict[str, Value], self.parameters)


class File(RobotModel):
    """A file of an installed package (below its share folder), or beside the robot file."""

    package: str = Field(
        default="", description="package that installs it; empty: relative to the robot file"
    )
    file: str = Field(
        min_length=1, description="path below the package's share folder, or from the robot file"
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        return {"file": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _beside_the_robot_file(self, info: ValidationInfo) -> File:
        folder = (info.context or {}).get("folder")
        if not self.package and folder is not None:
            object.__setattr__(self, "file", str((Path(folder) / self.file).absolute()))
        return self


class Driver(WithParameters):
    """A process of the cell: a node, a component, or a launch file of another package."""

    name: Name = Field(description="node name, and name of its log")
    package: str = Field(min_length=1, description="ROS package of the driver")
    executable: str = Field(default="", description="program of a node")
    component: str = Field(
        default="", description="or: plugin name of a component, in a container of its own"
    )
    launch_file: str = Field(default="", description="or: a launch file of the package")
    launch_arguments: dict[str, str] = Field(default={}, description="arguments of the launch file")
    parameter_files: tuple[File, ...] = Field(default=(), description="ROS parameter files; 'parameters' win")
    remappings: dict[str, str] = Field(default={}, description="ROS name to ROS name")
    environment: dict[str, str] = Field(default={}, description="variables of the process")
    max_restarts: int = Field(default=10, ge=0, description="starts after a failure before the run ends")

    @model_validator(mode="after")
    def _one_kind(self) -> Driver:
        if sum(map(bool, (self.executable, self.component, self.launch_file))) != 1:
            raise ValueError("name one of executable, component and launch_file")
        if self.launch_file and (self.parameters or self.parameter_files or self.remappings):
            raise ValueError("a launch_file takes launch_arguments, no parameters or remappings")
        if self.launch_arguments and not self.launch_file:
            raise ValueError("launch_arguments belong to a launch_file")
        return self


class Camera(WithParameters):
    """One camera, published as ``camera/NAME/image_raw``."""

    driver: Literal["realsense2_camera", "usb_cam", "v4l2_camera", "mock"] = Field(
        description="its package; mock: pictures drawn from the arm's pose"
    )
    serial: Annotated[str, BeforeValidator(_quoted)] = Field(
        default="",
        description="which device: a RealSense's serial number (rs-enumerate-devices -s); of a USB camera the part of its "
        "name in /dev/v4l/by-id that no other camera has",
    )
    device: str = Field(default="", description="USB cameras instead: path such as /dev/v4l/by-path/...")
    width: int | None = Field(default=None, ge=16, description="null: the task's source_width [px]")
    height: int | None = Field(default=None, ge=16, description="null: the task's source_height [px]")
    fps: float = Field(default=30.0, gt=0.0, le=200.0, description="[Hz]")
    exposure: int | None = Field(
        default=None,
        ge=100,
        description="locks the exposure [us]; null: automatic, so that light and the arm change pictures",
    )
    gain: int | None = Field(default=None, ge=0, description="locks the gain, driver's unit")
    white_balance: int | None = Field(default=None, ge=1000, description="locks the white balance [K]")
    transport: Transport | None = Field(
        default=None, description="how its pictures reach the actor; null: the robot's image_transport"
    )
    max_restarts: int = Field(default=10, ge=0, description="starts after a failure before the run ends")

    @model_validator(mode="after")
    def _device_of_its_kind(self) -> Camera:
        if self.driver == "realsense2_camera" and self.device:
            raise ValueError("a RealSense is named by its serial")
        if self.serial and self.device:
            raise ValueError("name the camera by serial or by device, not by both")
        if self.driver in ("usb_cam", "v4l2_camera") and not (self.serial or self.device):
            raise ValueError(f"a {self.driver} needs serial or device, else the order of plugging decides")
        return self


class Description(File):
    """Source of ``robot_description``: a xacro or URDF file."""

    arguments: dict[str, str] = Field(default={}, description="xacro arguments, e.g. robot_ip")


class Gripper(WithParameters):
    """How ``gripper/command`` reaches the gripper; see the gripper adapter."""

    kind: str = Field(min_length=1, description="kind of adapter: control_msgs, franka, robotiq")
    controllers: tuple[str, ...] = Field(
        default=(), description="controllers to start where a task moves the gripper"
    )


class Arm(RobotModel):
    """One arm under ros2_control, with a controller manager of its own."""

    description: Description = Field(description="source of robot_description")
    controllers: File = Field(
        description="ROS parameter file of controller manager and controllers; node names in it without namespace"
    )
    joint_prefix: str = Field(default="", description="put before the joints' names in the controller file")
    base_link: str = Field(
        default="",
        description="link of the description that is the task's base_frame; empty: it has that name",
    )
    tcp_link: str = Field(
        default="", description="link that is the task's tcp_frame; empty: it has that name"
    )
    active: tuple[str, ...] = Field(
        default=("joint_state_broadcaster", "cartesian_controller"), description="controllers to start"
    )
    inactive: tuple[str, ...] = Field(default=(), description="controllers to load for later")
    remappings: dict[str, str] = Field(default={}, description="of controller manager and controllers")
    gripper: Gripper | None = Field(default=None, description="null: no gripper that a task could move")
    drivers: tuple[Driver, ...] = Field(default=(), description="further drivers in the arm's namespace")


class CellNode(WithParameters):
    """Node of the cell that serves resets and recovery."""


class Schedule(RobotModel):
    """How the system schedules a process; what it does not grant is said in the log, and the run goes on without it."""

    nice: int = Field(
        default=0,
        ge=-20,
        le=19,
        description="-20 (first) to 19 (last); 0: as it is. Below 0 the account needs a limit that allows it",
    )
    realtime: int = Field(
        default=0,
        ge=0,
        le=90,
        description="priority of SCHED_FIFO, above every ordinary process; 0: ordinary scheduling. Stay below the "
        "controller manager's (50) and the arm's driver",
    )
    cpus: tuple[int, ...] = Field(default=(), description="CPUs that it may use, by number; empty: all")

    @property
    def environment(self) -> dict[str, str]:
        """Variables of the process that ask for it."""
        text = Scheduling(self.nice, self.realtime, self.cpus).text
        return {VARIABLE: text} if text else {}


class Schedules(RobotModel):
    """Who goes first on a busy machine; for real cells, where time waits for nobody."""

    actor: Schedule = Field(default=Schedule(nice=-10), description="control loop")
    cell: Schedule = Field(default=Schedule(nice=-10), description="node of the cell, which moves resets")
    learner: Schedule = Field(
        default=Schedule(nice=10), description="learner, where it runs on the actor's machine"
    )


class OperatorDevice(WithParameters):
    """How one operator's device is told from another: joy by its parameters device_id or device_name."""

    environment: dict[str, str] = Field(
        default={}, description="spacenav: SPNAV_SOCKET, socket of the spacenavd that holds this device"
    )
    layout: PadName | DeviceLayout | None = Field(
        default=None,
        description="where its driver puts the axes: a known gamepad (game_controller also starts that node of joy instead "
        "of joy_node), or written out; null: joy xbox, spacenav six axes in order",
    )


class GymEnvironment(RobotModel):
    """A Gymnasium environment in the place of the cell."""

    environment: str = Field(min_length=1, description="Gymnasium id, or module:Class")
    adapter: str = Field(
        default="", description="file that maps its observation to the task; empty: SERL's names"
    )


class Robot(RobotModel):
    """One cell."""

    name: Name = Field(description="as the file is called")
    description: str = Field(description="one line for people")
    simulated: bool = Field(default=False, description="the simulator publishes the cell's topics")
    gym: GymEnvironment | None = Field(
        default=None, description="simulated by this environment, not by a twin"
    )
    arm: Arm | None = Field(default=None, description="the arm of a cell with one")
    arms: dict[Literal["left", "right"], Arm] = Field(default={}, description="the arms of a cell with two")
    joints: int | dict[Literal["left", "right"], int] | None = Field(
        default=None,
        description="joints of each arm, the size of joint_position and joint_velocity in the state; null: as many as its "
        "cartesian_controller has, 7 where arms are started elsewhere",
    )
    cell: CellNode = Field(
        default=CellNode(), description="node that resets the cell; runs where there are arms"
    )
    cameras: dict[Name, Camera] = Field(
        default={}, description="by the name the task files use; only those a task names are started"
    )
    image_transport: Transport = Field(
        default="raw",
        description="compressed: the actor takes the cameras' image_raw/compressed; for networks and many cameras",
    )
    spacenav: dict[Literal["single", "left", "right"], OperatorDevice] = Field(
        default={}, description="SpaceMice: single, or left and right for two arms"
    )
    joy: dict[Literal["single", "left", "right"], OperatorDevice] = Field(
        default={}, description="gamepads, alike"
    )
    drivers: tuple[Driver, ...] = Field(default=(), description="further drivers")
    scheduling: Schedules = Field(default=Schedules(), description="who goes first on a busy machine")
    remappings: dict[str, str] = Field(default={}, description="remappings of the actor")

    @property
    def has_twin(self) -> bool:
        """The task's twin stands for the cell, so that the twin's task file is used."""
        return self.simulated and self.gym is None

    @property
    def arms_by_name(self) -> dict[str, Arm]:
        """Arms by the names a task has for them; ``""`` for a single one, none where they are started elsewhere."""
        return {"": self.arm} if self.arm is not None else {str(name): arm for name, arm in self.arms.items()}

    @model_validator(mode="after")
    def _consistent(self) -> Robot:
        if self.arm is not None and self.arms:
            raise ValueError("give 'arm' for a cell with one arm, 'arms' for one with two, not both")
        if self.simulated and (self.arms_by_name or self.cameras or self.drivers):
            raise ValueError(
                "a simulated cell has no arms, cameras or drivers: its simulator publishes the topics"
            )
        stated = self.joints.values() if isinstance(self.joints, dict) else filter(None, [self.joints])
        if not all(1 <= count <= 32 for count in stated) or self.joints == 0:
            raise ValueError("'joints' has to be from 1 to 32 for each arm")
        if self.has_twin and self.joints is not None:
            raise ValueError("the twins' arm has its own joints: leave 'joints' out")
        if self.gym is not None and not self.simulated:
            raise ValueError("'gym' needs 'simulated: true'")
        return self
