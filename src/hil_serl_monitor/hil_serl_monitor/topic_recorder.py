# SPDX-License-Identifier: Apache-2.0
"""Recording topics into a bag where ``ros2 bag record`` is not installed: the same MCAP, which survives ``kill -9``.

Steps are in the run's own bags already; this is for what is not part of a step, such as whole camera pictures.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from hil_serl_ros.bag import BagError, BagWriteError, BagWriter
from hil_serl_ros.bag.definitions import message_class
from hil_serl_ros.clocks import STEADY
from hil_serl_ros.node_main import run_node
from hil_serl_ros.parameters import Parameters

_LOOK = 0.5  # s between two looks for topics that have appeared
_DEPTH = 100


class TopicRecorder(Node):
    """Writes every message of some topics as it came, with its time of arrival.

    Parameters:
        output: folder of the bag; it must not exist.
        topics: topics to record; ones that do not exist yet are waited for.
    """

    def __init__(self) -> None:
        super().__init__("topic_recorder")
        read = Parameters(self)
        folder = read.path("output", description="folder of the bag; must not exist")
        self._wanted = [self.resolve_topic_name(topic) for topic in read.strings("topics")]
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._bag = BagWriter(Path(folder))
        self._listening: dict[str, Subscription | None] = {}
        self.create_timer(_LOOK, self._look, clock=STEADY)
        self.get_logger().info(f"recording {len(self._wanted)} topics into {folder}")

    def _look(self) -> None:
        for topic in self._wanted:
            if topic not in self._listening and (publishers := self.get_publishers_info_by_topic(topic)):
                self._listen(topic, publishers[0].topic_type, [info.qos_profile for info in publishers])

    def _listen(self, topic: str, kind: str, offered: list[QoSProfile]) -> None:
        reliable = all(profile.reliability is ReliabilityPolicy.RELIABLE for profile in offered)
        latched = all(profile.durability is DurabilityPolicy.TRANSIENT_LOCAL for profile in offered)
        profile = QoSProfile(  # what every publisher offers, so that nobody is refused
            history=HistoryPolicy.KEEP_LAST,
            depth=_DEPTH,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )
        try:
            message = message_class(kind)
            self._bag.add_topic(topic, message, profile)
        except BagWriteError as error:
            self._warn_full(error)  # tried again
            return
        except BagError as error:
            self.get_logger().error(f"{topic} is not recorded: {error}")
            self._listening[topic] = None
            return
        write = partial(self._write, topic)
        self._listening[topic] = self.create_subscription(message, topic, write, profile, raw=True)

    def _write(self, topic: str, data: bytes) -> None:
        try:
            self._bag.write(topic, bytes(data), self.get_clock().now().nanoseconds)
        except BagWriteError as error:
            self._warn_full(error)

    def _warn_full(self, error: BagWriteError) -> None:
        self.get_logger().error(
            f"not recorded: {error}", throttle_duration_sec=5.0, throttle_time_source_type=STEADY
        )

    def destroy_node(self) -> None:
        """Finish the bag."""
        if hasattr(self, "_bag"):
            try:
                self._bag.close()
            finally:
                self._bag.abandon()
        super().destroy_node()


def main() -> None:
    """Entry point of the executable."""
    sys.exit(run_node(TopicRecorder))


if __name__ == "__main__":
    main()
