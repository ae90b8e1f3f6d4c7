# SPDX-License-Identifier: Apache-2.0
"""rosbag2's ``metadata.yaml`` (version 9, as Jazzy writes it) and its QoS notation."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from rclpy.duration import Duration
from rclpy.qos import QoSProfile

from hil_serl_ros.bag.index import BagIndex

METADATA_FILE = "metadata.yaml"
_KEY = "rosbag2_bagfile_information"
_NS = 1_000_000_000
_INFINITE_NS = 2**63 - 1


def _duration(duration: Duration) -> dict[str, int]:
    # rmw writes "unspecified" as zero and records it as infinite.
    nanoseconds = duration.nanoseconds or _INFINITE_NS
    return {"sec": nanoseconds // _NS, "nsec": nanoseconds % _NS}


def qos_to_yaml(profile: QoSProfile) -> str:
    """One-element list of offered QoS profiles, as in a channel's ``offered_qos_profiles``."""
    entry = {
        "history": profile.history.name.lower(),
        "depth": profile.depth,
        "reliability": profile.reliability.name.lower(),
        "durability": profile.durability.name.lower(),
        "deadline": _duration(profile.deadline),
        "lifespan": _duration(profile.lifespan),
        "liveliness": "automatic" if profile.liveliness.value == 0 else profile.liveliness.name.lower(),
        "liveliness_lease_duration": _duration(profile.liveliness_lease_duration),
        "avoid_ros_namespace_conventions": profile.avoid_ros_namespace_conventions,
    }
    return yaml.safe_dump([entry], sort_keys=False)


def _topics(index: BagIndex) -> list[dict[str, Any]]:
    return [
        {
            "topic_metadata": {
                "name": channel.topic,
                "type": index.schemas[channel.schema_id].name,
                "serialization_format": channel.message_encoding,
                "offered_qos_profiles": yaml.safe_load(channel.metadata.get("offered_qos_profiles", "[]")),
                "type_description_hash": channel.metadata.get("topic_type_hash", ""),
            },
            "message_count": index.counts.get(channel.id, 0),
        }
        for channel in index.channels.values()
    ]


def to_yaml(index: BagIndex, file_name: str) -> str:
    """Text of ``metadata.yaml`` for a bag of one file."""

    def span() -> dict[str, Any]:
        return {
            "starting_time": {"nanoseconds_since_epoch": index.start_ns},
            "duration": {"nanoseconds": index.end_ns - index.start_ns},
            "message_count": index.message_count,
        }

    information = {
        "version": 9,
        "storage_identifier": "mcap",
        **span(),
        "topics_with_message_count": _topics(index),
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [file_name],
        "files": [{"path": file_name, **span()}],
        "custom_data": None,
        "ros_distro": os.environ.get("ROS_DISTRO", "jazzy"),
    }
    return yaml.safe_dump({_KEY: information}, sort_keys=False)


def embedded(metadata_yaml: str) -> str:
    """The same as rosbag2 keeps it inside the file: without the key around it. ``ros2 bag play`` reads this one."""
    return yaml.safe_dump(yaml.safe_load(metadata_yaml)[_KEY], sort_keys=False)


def write_metadata(folder: Path, text: str) -> None:
    """Write ``metadata.yaml`` so that a reader sees the old one, the new one, or none, never half of one."""
    target = folder / METADATA_FILE
    temporary = folder / f".{METADATA_FILE}.tmp"
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(target)
