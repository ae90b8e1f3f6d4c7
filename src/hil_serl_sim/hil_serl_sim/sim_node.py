# SPDX-License-Identifier: Apache-2.0
"""The simulated cell as a ROS node, with the topics of a real one and ``sim/truth`` besides.

Two arms have their topics under ``left/`` and ``right/``.

Simulated time is the ROS time of everything published; ``/clock`` carries it at every speed, so clients run
with ``use_sim_time``. With ``speed: lockstep`` a state is published under one stamp, and the physics of the
next control period runs when every arm's target with that stamp (and a gripper command, where there is one) has
arrived: results depend on seeds, not on load.
"""

import math
import time
from functools import partial
from typing import Any, NoReturn

import numpy as np
from geometry_msgs.msg import PoseStamped, WrenchStamped
from rclpy.node import Node
from rclpy.publisher import Publisher
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Float64

from hil_serl_core.action import ArmCommand
from hil_serl_core.spec import TaskSpec, load_task
from hil_serl_msgs.msg import ArmState, SceneTruth
from hil_serl_msgs.srv import ResetEpisode
from hil_serl_ros import names, qos
from hil_serl_ros.clocks import STEADY
from hil_serl_ros.conversions import arm_state_to_message
from hil_serl_ros.geometry_messages import pose_from_array, pose_to_array, wrench_to_array
from hil_serl_ros.images import compressed_from_array, image_from_array
from hil_serl_ros.node_main import run_node
from hil_serl_ros.parameters import Parameters
from hil_serl_ros.stamps import stamp_from_ns, stamp_to_ns
from hil_serl_sim.gl import choose_backend, leave
from hil_serl_sim.pacing import Due, make_pacing

_DISPLAY = "display"


class SimNode(Node):
    """Wires a :class:`~hil_serl_sim.cell.Cell` to topics.

    Parameters:
        task: path of the task file.
        speed: 'lockstep', or simulated over wall time as a number.
        seed: of the cell's own resets (``reset_episode`` with seed -1).
        perturbation: 'none', 'move_target' or 'open_gripper', once in every episode.
        perturbation_step: control step at which that happens.
        display: also publish ``camera/display/image_raw``, with meshes and shadows, once per control period.
        compressed: also publish JPEGs on ``camera/NAME/image_raw/compressed``, while somebody listens.
    """

    def __init__(self) -> None:
        super().__init__("sim")
        parameters = Parameters(self)
        self._spec = load_task(parameters.path("task", must_exist=True))
        speed = parameters.string("speed", "lockstep")
        seed = parameters.integer("seed", 0, minimum=0)
        self._display = parameters.boolean("display", False)
        self._compressed = parameters.boolean("compressed", False, description="also publish JPEGs")
        self._cell = self._make_cell(self._spec, parameters, seed)
        self._pacing = make_pacing(self._cell, speed, self._spec.arm_names, self._spec.grippers > 0)
        self._make_interfaces()
        self._publish(self._pacing.poll(time.monotonic()))
        self.create_timer(0.05 if speed == "lockstep" else 0.002, self._on_timer, clock=STEADY)

    def _make_cell(self, spec: TaskSpec, parameters: Parameters, seed: int) -> Any:
        """What stands behind the topics."""
        kind = parameters.string("perturbation", "none", choices=("none", "move_target", "open_gripper"))
        step = parameters.integer("perturbation_step", 10, minimum=0)
        choose_backend()
        from hil_serl_sim.cell import Cell  # imports mujoco, which reads the choice

        return Cell(spec, seed=seed, perturbation=None if kind == "none" else (kind, step))

    def _make_interfaces(self) -> None:
        self._clock_publisher = self.create_publisher(ClockMessage, names.CLOCK, qos.CLOCK)
        self._truth = self.create_publisher(SceneTruth, names.SCENE_TRUTH, qos.SCENE_TRUTH)
        cameras = [c.name for c in self._spec.cameras] + ([_DISPLAY] if self._display else [])
        self._images = {c: self.create_publisher(Image, names.camera_image(c), qos.CAMERA) for c in cameras}
        self._jpegs = {
            c: self.create_publisher(CompressedImage, names.camera_compressed(c), qos.CAMERA)
            for c in (cameras if self._compressed else ())
        }
        self._arms = {arm: self._make_arm_interfaces(arm) for arm in self._spec.arm_names}
        self.create_service(ResetEpisode, names.RESET_EPISODE, self._on_reset)

    def _make_arm_interfaces(self, arm: str) -> Publisher:
        """Commands of one arm, and the publisher of its state."""
        topic = names.for_arm(names.TARGET_POSE, arm)  # a wrench task is held by it
        self.create_subscription(PoseStamped, topic, partial(self._on_pose, arm), qos.TARGET)
        if self._spec.action.kind == "wrench":
            topic = names.for_arm(names.TARGET_WRENCH, arm)
            self.create_subscription(WrenchStamped, topic, partial(self._on_wrench, arm), qos.TARGET)
        if self._spec.grippers:
            topic = names.for_arm(names.GRIPPER_COMMAND, arm)
            self.create_subscription(Float64, topic, partial(self._on_gripper, arm), qos.GRIPPER_COMMAND)
        return self.create_publisher(ArmState, names.for_arm(names.ARM_STATE, arm), qos.ARM_STATE)

    def _on_pose(self, arm: str, message: PoseStamped) -> None:
        command = ArmCommand(pose=pose_to_array(message.pose))
        stamp = stamp_to_ns(message.header.stamp)
        self._publish(self._pacing.target(arm, command, stamp, message.header.frame_id))

    def _on_wrench(self, arm: str, message: WrenchStamped) -> None:
        command = ArmCommand(wrench=wrench_to_array(message.wrench))
        stamp = stamp_to_ns(message.header.stamp)
        self._publish(self._pacing.target(arm, command, stamp, message.header.frame_id))

    def _on_gripper(self, arm: str, message: Float64) -> None:
        if not math.isfinite(message.data):
            self.get_logger().warning(
                f"{names.for_arm(names.GRIPPER_COMMAND, arm)} carries {message.data}; expected an opening from "
                "0 (closed) to 1 (open), so it is ignored",
                throttle_duration_sec=5.0,
                throttle_time_source_type=STEADY,
            )
            return
        self._publish(self._pacing.gripper(arm, message.data))

    def _on_reset(
        self, request: ResetEpisode.Request, response: ResetEpisode.Response
    ) -> ResetEpisode.Response:
        seed, goal = None if request.seed < 0 else request.seed, request.goal or None
        try:
            due = self._pacing.reset(seed, request.arm_only, goal)
        except ValueError as error:
            response.message = str(error)
            return response
        response.success = True
        response.objects_reset = self._cell.objects_put_back
        response.message = f"initial state of seed {self._cell.seed}"
        if request.arm_only:
            response.message += (
                ", the objects were lost and put back" if self._cell.objects_put_back else ", arms only"
            )
        response.stamp = stamp_from_ns(self._pacing.stamp_ns)
        response.tcp_poses = [pose_from_array(self._cell.arm_state(arm).pose) for arm in self._spec.arm_names]
        self._publish(due)
        return response

    def _on_timer(self) -> None:
        # A slow subscriber must not keep the executor from targets and resets: a few slices, then back to it.
        for _ in range(5):
            due = self._pacing.poll(time.monotonic())
            if not due:
                return
            self._publish(due)

    def _publish(self, due: Due) -> None:
        """Cameras, arm, truth under one stamp, then the clock."""
        if not due:
            return
        stamp = self._pacing.stamp_ns
        if due.scene:
            for camera in self._spec.cameras:
                self._publish_image(camera.name, self._cell.render(camera.name), stamp)
            if self._display and self._cell.ticks % self._cell.period_ticks == 0:
                self._publish_image(_DISPLAY, self._cell.render_display(), stamp)
        if due.arm:
            for arm, publisher in self._arms.items():
                publisher.publish(self._arm_message(arm, stamp))
        if due.scene:
            self._truth.publish(self._truth_message(stamp))
        self._clock_publisher.publish(ClockMessage(clock=stamp_from_ns(stamp)))
        self._pacing.shown(time.monotonic())

    def _publish_image(self, camera: str, pixels: np.ndarray, stamp: int) -> None:
        frame = f"{camera}_optical_frame"
        self._images[camera].publish(image_from_array(pixels, stamp, frame))
        if camera in self._jpegs and self._jpegs[camera].get_subscription_count():
            self._jpegs[camera].publish(compressed_from_array(pixels, stamp, frame))

    def _arm_message(self, arm: str, stamp: int) -> ArmState:
        state, spec = self._cell.arm_state(arm), self._spec.arm(arm)
        return arm_state_to_message(
            state.sample(stamp * 1e-9, spec.base_frame),
            tcp_frame=spec.tcp_frame,
            target_pose=state.target,
            joint_effort=state.joint_effort,
            stamp_ns=stamp,
        )

    def _truth_message(self, stamp: int) -> SceneTruth:
        truth = self._cell.truth()
        message = SceneTruth(
            resets=self._cell.resets,
            success=truth.success,
            failure=truth.failure,
            names=list(truth.poses),
            poses=[pose_from_array(pose) for pose in truth.poses.values()],
            goals=list(truth.goals),
            reached=[bool(reached) for reached in truth.goals.values()],
        )
        message.header.stamp = stamp_from_ns(stamp)
        message.header.frame_id = self._spec.base_frame if self._spec.arms is None else "world"
        return message

    def destroy_node(self) -> None:
        """Free the renderer."""
        if hasattr(self, "_cell"):
            self._cell.close()
        super().destroy_node()


def main(args: list[str] | None = None) -> NoReturn:
    """Entry point; ends the process."""
    leave(run_node(SimNode, args=args))


if __name__ == "__main__":
    main()
