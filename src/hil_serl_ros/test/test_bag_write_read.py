# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from geometry_msgs.msg import PoseStamped
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Image, Joy

from hil_serl_core.step import Step
from hil_serl_msgs.msg import Step as StepMessage
from hil_serl_ros import qos
from hil_serl_ros.bag import BagError, BagWriter, find_bag_files, read_messages, read_steps
from hil_serl_ros.bag.definitions import full_text, type_hash, type_name
from hil_serl_ros.conversions import step_to_message


def test_steps_come_back(
    tmp_path: Path, make_step: Callable, same_step: Callable, write_bag: Callable
) -> None:
    write_bag(tmp_path / "demo", 12)
    steps = list(read_steps(tmp_path / "demo"))
    assert len(steps) == 12
    for sequence, step in enumerate(steps):
        same_step(step, make_step(sequence))


def test_order_is_that_of_recording(tmp_path: Path, write_bag: Callable) -> None:
    for number in range(12):
        write_bag(tmp_path / "bags" / f"run_{number}", 2, first=2 * number)
    assert [step.sequence for step in read_steps(tmp_path)] == list(range(24))
    assert find_bag_files(tmp_path)[10].parent.name == "run_10"


def test_raw_topics_stand_beside_steps(tmp_path: Path, make_step: Callable[..., Step]) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/step", StepMessage, qos.STEP)
        writer.add_topic("/spacenav/joy", Joy, qos.OPERATOR)
        writer.add_topic("/target_pose", PoseStamped, qos.TARGET)
        writer.add_topic("/step", StepMessage, qos.STEP)
        writer.write("/spacenav/joy", Joy(axes=[0.5] * 6, buttons=[1, 0]), 5)
        writer.write("/step", step_to_message(make_step(0)), 6)
        writer.write("/target_pose", PoseStamped(), 7)
    assert [m.topic for m in read_messages(tmp_path)] == ["/spacenav/joy", "/step", "/target_pose"]
    (joy,) = read_messages(tmp_path, topics={"/spacenav/joy"})
    assert list(joy.deserialize().axes) == [0.5] * 6
    assert [m.stamp_ns for m in read_messages(tmp_path, types={"geometry_msgs/msg/PoseStamped"})] == [7]
    assert len(list(read_steps(tmp_path))) == 1


def test_topic_cannot_change_its_type(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/step", StepMessage, qos.STEP)
        with pytest.raises(BagError, match=r"/step has type hil_serl_msgs/msg/Step, not sensor_msgs/msg/Joy"):
            writer.add_topic("/step", Joy, qos.STEP)


def test_existing_bag_is_not_overwritten(tmp_path: Path, write_bag: Callable) -> None:
    write_bag(tmp_path / "demo", 1)
    with pytest.raises(BagError, match=r"demo exists already"):
        BagWriter(tmp_path / "demo")
    assert len(list(read_steps(tmp_path / "demo"))) == 1


def test_other_readers_decode_it_by_its_own_definitions(
    tmp_path: Path, make_step: Callable, write_bag: Callable
) -> None:
    """``rosbags`` knows our messages only from the text in the bag."""
    write_bag(tmp_path / "demo", 5)
    with AnyReader([tmp_path / "demo"]) as reader:
        assert reader.message_count == 5
        assert reader.topics["/step"].msgtype == "hil_serl_msgs/msg/Step"
        for sequence, (connection, stamp, raw) in enumerate(reader.messages()):
            message = reader.deserialize(raw, connection.msgtype)
            expected = make_step(sequence)
            assert message.sequence == sequence
            assert stamp == round(expected.stamp * 1e9)
            assert message.header.frame_id == "base"
            assert message.frames[1].camera == "wrist_2"
            assert bytes(message.frames[1].data) == expected.frames["wrist_2"].tobytes()
            assert message.state[0].values.tolist() == expected.state["tcp_pose"].tolist()
            assert message.tcp_poses[0].orientation.w == 1.0
        (offered,) = reader.connections[0].ext.offered_qos_profiles
        assert (offered.depth, offered.reliability.name, offered.durability.name) == (
            200,
            "RELIABLE",
            "VOLATILE",
        )


def test_mcap_library_finds_summary_and_checksums_in_order(tmp_path: Path, write_bag: Callable) -> None:
    write_bag(tmp_path / "demo", 5)
    with (tmp_path / "demo" / "demo_0.mcap").open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        assert reader.get_header().profile == "ros2"
        summary = reader.get_summary()
        assert summary is not None
        assert summary.statistics is not None
        assert summary.statistics.message_count == 5
        assert (summary.statistics.message_start_time, summary.statistics.message_end_time) == (
            10_000_000_000,
            10_400_000_000,
        )
        assert [m.sequence for _, _, m in reader.iter_messages()] == list(range(5))
        (metadata,) = reader.iter_metadata()
        beside = yaml.safe_load((tmp_path / "demo" / "metadata.yaml").read_text())
        inside = yaml.safe_load(metadata.metadata["serialized_metadata"])
        assert (
            inside == beside["rosbag2_bagfile_information"]
        )  # 'ros2 bag play' reads it without the key around


def test_metadata_is_what_rosbag2_expects(tmp_path: Path, write_bag: Callable) -> None:
    write_bag(tmp_path / "demo", 5)
    text = (tmp_path / "demo" / "metadata.yaml").read_text()
    assert "&" not in text  # no YAML anchors
    information = yaml.safe_load(text)["rosbag2_bagfile_information"]
    assert information["version"] == 9
    assert information["storage_identifier"] == "mcap"
    assert information["relative_file_paths"] == ["demo_0.mcap"]
    assert information["duration"] == {"nanoseconds": 400_000_000}
    assert information["starting_time"] == {"nanoseconds_since_epoch": 10_000_000_000}
    assert information["message_count"] == 5
    (topic,) = information["topics_with_message_count"]
    assert topic["message_count"] == 5
    assert topic["topic_metadata"]["type"] == "hil_serl_msgs/msg/Step"
    assert topic["topic_metadata"]["type_description_hash"] == type_hash("hil_serl_msgs/msg/Step")
    (offered,) = topic["topic_metadata"]["offered_qos_profiles"]
    assert offered["history"] == "keep_last"
    assert offered["deadline"] == {"sec": 9223372036, "nsec": 854775807}
    assert offered["liveliness"] == "automatic"


def test_empty_bag_is_a_bag(tmp_path: Path) -> None:
    BagWriter(tmp_path / "empty").close()
    assert list(read_steps(tmp_path / "empty")) == []
    with AnyReader([tmp_path / "empty"]) as reader:
        assert reader.message_count == 0


def test_bags_of_the_usual_chunked_kind_are_read(
    tmp_path: Path, make_step: Callable, same_step: Callable
) -> None:
    """As ``ros2 bag record -s mcap`` writes them: chunks, compressed."""
    from mcap.writer import Writer
    from rclpy.serialization import serialize_message

    path = tmp_path / "chunked.mcap"
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=4096)
        writer.start(profile="ros2", library="libmcap")
        name = "hil_serl_msgs/msg/Step"
        schema = writer.register_schema(name, "ros2msg", full_text(name).encode())
        channel = writer.register_channel("/step", "cdr", schema, {"topic_type_hash": type_hash(name)})
        for sequence in range(30):
            data = serialize_message(step_to_message(make_step(sequence)))
            writer.add_message(channel, sequence, data, sequence)
        writer.finish()
    steps = list(read_steps(path))
    assert len(steps) == 30
    same_step(steps[17], make_step(17))
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    problems: list = []
    some = list(read_steps(cut, on_problem=problems.append))
    assert 0 < len(some) < 30
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("message_class", "name"), [(StepMessage, "hil_serl_msgs/msg/Step"), (Image, "sensor_msgs/msg/Image")]
)
def test_definition_holds_every_type_once(message_class: type, name: str) -> None:
    assert type_name(message_class) == name
    text = full_text(name)
    parts = [line[5:] for line in text.splitlines() if line.startswith("MSG: ")]
    assert len(parts) == len(set(parts))
    assert {"std_msgs/Header", "builtin_interfaces/Time"} <= set(parts)
    assert type_hash(name).startswith("RIHS01_")


def test_other_definition_of_the_step_is_refused(
    tmp_path: Path, write_bag: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bag(tmp_path / "old", 1)
    monkeypatch.setattr("hil_serl_ros.bag.definitions.type_hash", lambda name: "RIHS01_other")
    with pytest.raises(BagError, match=r"old_0\.mcap was recorded with another definition.*RIHS01_other"):
        list(read_steps(tmp_path))


def test_missing_package_is_named() -> None:
    with pytest.raises(BagError, match="no_such_msgs"):
        full_text("no_such_msgs/msg/Thing")
