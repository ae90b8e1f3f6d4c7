# SPDX-License-Identifier: Apache-2.0
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import DurabilityPolicy, QoSCompatibility, QoSProfile, ReliabilityPolicy, qos_check_compatible
from rclpy.serialization import deserialize_message, serialize_message
from rclpy.validate_topic_name import validate_topic_name

from hil_serl_ros import names, qos
from hil_serl_ros.diagnostics import Level, diagnostic_array, diagnostic_status


def test_all_names_are_valid_and_relative_but_the_global_ones() -> None:
    texts = [value for key, value in vars(names).items() if key.isupper() and isinstance(value, str)]
    assert len(texts) == len(set(texts)) > 15
    for name in [*texts, names.camera_image("wrist_1"), names.camera_compressed("wrist_1")]:
        assert validate_topic_name(name)
    assert {name for name in texts if name.startswith("/")} == {"/diagnostics", "/clock", "/tf", "/tf_static"}


def test_names_of_arms() -> None:
    assert names.for_arm(names.ARM_STATE, "left") == "left/arm_state"
    assert names.for_arm(names.ARM_STATE, None) == "arm_state"
    assert names.for_arm(names.DIAGNOSTICS, "left") == "/diagnostics"


def test_every_profile_fits_itself_and_ros_tools_that_ask_for_less() -> None:
    tool = QoSProfile(
        depth=10, reliability=ReliabilityPolicy.BEST_EFFORT, durability=DurabilityPolicy.VOLATILE
    )
    profiles = [value for value in vars(qos).values() if isinstance(value, QoSProfile)]
    assert len(profiles) >= 12
    for profile in profiles:
        assert qos_check_compatible(profile, profile)[0] != QoSCompatibility.ERROR
        assert qos_check_compatible(profile, tool)[0] != QoSCompatibility.ERROR


def test_late_joiners_get_weights_and_who_drives() -> None:
    for profile in (qos.POLICY_WEIGHTS, qos.INTERVENTION):
        assert profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
        assert (profile.reliability, profile.depth) == (ReliabilityPolicy.RELIABLE, 1)


def test_diagnostics_survive_the_wire() -> None:
    status = diagnostic_status("actor/cameras", Level.WARN, "slow; check the cable", rate=9.87654321, count=3)
    message = diagnostic_array(1_500_000_000, [status])
    result = deserialize_message(serialize_message(message), type(message))
    assert (result.header.stamp.sec, result.header.stamp.nanosec) == (1, 500_000_000)
    (got,) = result.status
    assert got.level == DiagnosticStatus.WARN
    assert {item.key: item.value for item in got.values} == {"rate": "9.877", "count": "3"}
