# SPDX-License-Identifier: Apache-2.0
"""Who runs which command of the docs: the pages' stories (test_docs_commands.py), and commands that other tests run.

A story is the commands of a page in its order, in one folder, as one person would type them. Where a command would take
long as printed, ``more`` says with how much less it is run; where a page leaves a name open, ``becomes`` fills it in, and
a word with ``...`` becomes the first thing of that name that is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CTRL_C = 130
ROS_CTRL_C = 2  # of the ros2 tool
TRAINS = r"Training by .* updates [1-9]"
EPISODE_OF_TRAINING = r"Training by .* episodes [1-9]"


@dataclass(frozen=True)
class Run:
    """A printed command, and what a person who types it should see.

    Attributes:
        text: As the page prints it.
        becomes: What is typed instead of a part of it.
        more: What is added, so that it takes seconds.
        says: Regular expression in its output, spaces and line ends being one.
        leaves: Patterns of files that are there afterwards, below the story's folder.
        code: Its exit status.
        until: Expression in its output; then what stands in ``beside`` is run, and Ctrl-C pressed.
        within: File below the story's folder in which ``until`` is looked for instead.
        beside: Commands typed in another terminal meanwhile.
        keys: Keys that are pressed in its terminal until then.
        page: Page that prints it, if it is another than its story's.
    """

    text: str
    becomes: Mapping[str, str] = field(default_factory=dict)
    more: str = ""
    says: str = ""
    leaves: tuple[str, ...] = ()
    code: int = 0
    until: str = ""
    within: str = ""
    beside: tuple[Run, ...] = ()
    keys: str = ""
    page: str = ""

    @property
    def typed(self) -> str:
        """The command line of the test."""
        line = self.text
        for old, new in self.becomes.items():
            line = line.replace(old, new)
        return f"{line} {self.more}".strip()


#: The line that opens every terminal of a story.
ENVIRONMENT = "source tools/env.sh"

#: Page -> its commands that run on any machine.
STORIES: dict[str, tuple[Run, ...]] = {
    "README.md": (
        Run("make help", says=r"demo +the main job"),
        Run("make doctor", says="ROS 2"),
        Run("hil-serl tasks", says=r"ram_insertion +Insert a RAM card .* HIL-SERL, Table 2"),
        Run("hil-serl train --seed 1", more="--demonstrations 2", until=TRAINS, code=CTRL_C,
            says="To go on from here: hil-serl train --resume", leaves=("runs/ram_insertion-*/checkpoints/step_*",)),
        Run("hil-serl train --operator keyboard", more="--demos {run} --run-dir runs/by_hand", keys="s",
            until=r"Training by .* episodes [1-9]\S* .* intervened [1-9]", code=CTRL_C, says="hold a key to move the tool"),
        Run("hil-serl train --algorithm serl", more="--demos {run} --run-dir runs/serl",
            until=EPISODE_OF_TRAINING, code=CTRL_C, beside=(
                Run("hil-serl stop", says="(?i)stopped"),
                Run("hil-serl clear-stop", page="docs/operators_guide.md", says="cleared"),
                Run("hil-serl pause", page="docs/operators_guide.md", says="paused"),
                Run("hil-serl unpause", page="docs/operators_guide.md", says="the actor is"),
            )),
        Run("hil-serl eval runs/ram_insertion-...", more="--episodes 1", says="of 1 ",
            leaves=("runs/ram_insertion-*/eval_1.json",)),
        Run("hil-serl eval runs/... --perturb move_target", becomes={"runs/...": "{run}"}, more="--episodes 1",
            says="the scripted expert, which sees everything, solves [01] of 1 from the same states",
            leaves=("runs/ram_insertion-*/eval_2.json",)),
        Run("hil-serl expert --task usb_insertion", more="--steps 8 --episodes 1",
            says="usb_insertion, open_gripper at step 8: the scripted expert solves [01] of 1 "),
        Run("hil-serl analyse runs/ram_insertion-...", says="heat_maps.png",
            leaves=("runs/ram_insertion-*/analysis/heat_maps.png",)),
        Run("hil-serl replay runs/ram_insertion-...", says=r"actor_0 . +0 "),
        # A training that was interrupted ends within an episode, which the check reports.
        Run("hil-serl dataset check runs/ram_insertion-...", more="--mode record_demos", says="Nothing is wrong"),
        Run("hil-serl fig3", says="fig3.png", leaves=("fig3.png",)),
    ),
    "docs/add_your_own_task.md": (
        Run("hil-serl tasks button_press", says=r"button_press +Press a button .* yes, with wrist_1 \(64 px\)"),
        Run("hil-serl record-demos --task button_press --episodes 10", more="--episodes 1", says="1 demonstration, "),
        Run("hil-serl replay RUN --phase record_demos --video demo.mp4", becomes={"RUN": "runs/button_press-..."},
            says=r"demo.mp4: \d+ pictures", leaves=("demo.mp4",)),
        Run("hil-serl train --task button_press --demos runs/button_press-... --minutes 10 --run-dir runs/pressing",
            until=TRAINS, code=CTRL_C),
        Run("hil-serl eval runs/pressing", more="--episodes 1", says="of 1 "),
    ),
    "docs/docker.md": (Run("mkdir -p runs docker/overlay", leaves=("runs", "docker/overlay")),),
    "docs/monitoring.md": (
        Run("hil-serl layouts --task usb_insertion --output layouts", says="rviz2 -d layouts/rviz/hil_serl.rviz",
            leaves=("layouts/rviz/hil_serl.rviz", "layouts/rqt/hil_serl.perspective",
                    "layouts/plotjuggler/hil_serl.xml", "layouts/foxglove/live.json", "layouts/foxglove/run.json")),
    ),
    "docs/new_camera.md": (
        Run("hil-serl crop wrist_1 --task ram_insertion --picture scene.png",
            more="--at 190 150 250 --no-write --preview crop.png", says=r"\+ .*\[190, 150, 250, 250\]",
            leaves=("crop.png",)),
        Run("hil-serl record-demos --task ram_insertion --episodes 5 --record --record-images compressed",
            more="--episodes 1", says="1 demonstration, ", leaves=("runs/ram_insertion-*/record/*/*.mcap",)),
        Run("hil-serl crop wrist_1 --picture RUN/record/...", becomes={"RUN": "runs/..."},
            more="--simulated --at 8 0 64 --no-write", says="has this crop already"),
    ),
    "docs/operators_guide.md": (
        Run("hil-serl teleop-check --operator spacenav --task usb_insertion", becomes={"spacenav": "keyboard"},
            keys="wsadfrjlikqeco", until="✓ usable"),
    ),
    "docs/task_schema.md": (
        Run("hil-serl schema --output docs/task_schema.md", becomes={"docs/": ""}, leaves=("task_schema.md",)),
        Run("hil-serl schema --of robot --output docs/robot_file.md", page="docs/robot_file.md", becomes={"docs/": ""},
            leaves=("robot_file.md",)),
    ),
    "docs/troubleshooting.md": (Run("hil-serl doctor", says="ROS 2"),),
    "docs/rewards.md": (
        Run("hil-serl classifier record --task ram_insertion --seed 3 --run-dir runs/clf", more="--episodes 6",
            says="labelled steps: .* of 'failure', .* of 'success'"),
        Run("hil-serl classifier train runs/clf", more="--iterations 40", says="held-out",
            leaves=("runs/clf/classifier/mistakes.png",)),
        Run("hil-serl train --seed 0 --reward classifier --classifier runs/clf/classifier --minutes 20"
            " --run-dir runs/ram_clf",
            more="--demonstrations 1", until=TRAINS, code=CTRL_C),
        Run("hil-serl classifier check runs/.../classifier runs/ANOTHER",
            becomes={"runs/...": "runs/clf", "ANOTHER": "ram_clf"}, says="checked",
            leaves=("runs/clf/classifier/check.png",)),
        Run("hil-serl classifier retrain runs/.../classifier --mistakes-of runs/ANOTHER",
            becomes={"runs/...": "runs/clf", "ANOTHER": "ram_clf"}, more="--iterations 40",
            says="steps of runs/ram_clf are misjudged"),
        Run("hil-serl train --task ram_insertion --reward vice --minutes 52 --run-dir runs/vice",
            more="--demonstrations 1", until=TRAINS, code=CTRL_C),
        Run("hil-serl eval runs/vice --reward ground_truth", more="--episodes 1", says="of 1 "),
        Run("hil-serl eval runs/ram_clf", more="--episodes 1", says="of 1 "),
        Run("hil-serl eval runs/ram_clf --reward ground_truth", more="--episodes 1", says="of 1 "),
    ),
    "docs/two_machines.md": (
        Run("hil-serl network learner", until="learner serves", code=CTRL_C, beside=(
            Run("hil-serl network robot --seconds 60", more="--seconds 3 --patience 300",
                says=r"records made / lost . +30 / 0"),
        )),
    ),
}  # fmt: skip

_DATASETS = "src/hil_serl_cli/test/test_dataset_docs.py::test_every_printed_command_works"
_CLASSIFIER = "src/hil_serl_cli/test/test_classifier_integration.py::"
_LABELS = _CLASSIFIER + "test_every_step_is_labelled_by_the_truth_and_episodes_run_on_after_success"
_REWARD = _CLASSIFIER + "test_policy_trains_on_the_classifier_and_the_truth_is_kept_beside_it"
_STOP = "src/hil_serl_cli/test/test_stop_commands.py::test_a_command_asks_its_service_and_shows_the_answer"
_LINTED = "tests/test_docker.py::test_linted"
_SCHEMA = "src/hil_serl_cli/test/test_schema.py::test_the_committed_reference_is_that_of_the_models"
_ROSBAG2 = "src/hil_serl_ros/test/test_rosbag2.py::"
_GROUPS = (
    "src/hil_serl_bringup/test/test_diagnostics_groups.py::"
    "test_every_line_is_in_its_group_and_a_group_is_as_bad_as_its_worst_line"
)
_REPLAYED = "src/hil_serl_cli/test/test_replay.py::test_markers_show_the_recorded_arm_and_who_drove"
_TWO_HOSTS = "src/hil_serl_cli/test/test_two_machines_network.py::"

#: (page, command) -> the test that runs it, as file::function. Those of a page that needs what is not everywhere (linters,
#: network namespaces) are skipped where it is not.
ELSEWHERE: dict[tuple[str, str], str] = {
    (
        "README.md",
        "make demo",
    ): "tests/test_learning.py::test_a_short_training_on_a_wide_slot_ends_in_autonomous_success",
    ("README.md", "hil-serl train --resume runs/ram_insertion-..."): (
        "src/hil_serl_cli/test/test_integration.py::test_ctrl_c_ends_training_in_order_and_resume_goes_on"
    ),
    **{
        ("docs/datasets.md", f"hil-serl dataset {rest}"): _DATASETS
        for rest in (
            "list runs/demos",
            "check runs/demos",
            "trim runs/demos --output runs/good --drop 1 3-4",
            "trim runs/demos --output runs/short --keep 0 --skip-last 2",
            "trim runs/demos --output runs/solved --only success --as-mode record_demos",
            "relabel runs/demos --output runs/judged --success 1 --failure 2",
            "relabel runs/demos --output runs/mended --mend-rewards",
            "merge runs/good runs/more --output runs/all",
            "convert runs/demos --to lerobot --output lerobot_demos",
            "convert runs/demos --to lerobot --output lerobot_images --images",
            "import-hilserl demos.pkl --task ram_insertion --output runs/imported",
        )
    },
    ("docs/datasets.md", "ros2 bag info"): _ROSBAG2 + "test_ros2_bag_info_tells_what_is_in_ours",
    ("docs/datasets.md", "ros2 bag record"): _ROSBAG2
    + "test_we_read_what_ros2_bag_record_heard_of_the_topic_step",
    ("docs/docker.md", "hadolint --config docker/.hadolint.yaml docker/Dockerfile"): _LINTED,
    ("docs/docker.md", "shellcheck docker/*.sh tools/rosdep_skip_keys.sh"): _LINTED,
    (
        "docs/monitoring.md",
        "ros2 run diagnostic_aggregator aggregator_node --ros-args --params-file "
        "$(ros2 pkg prefix --share hil_serl_bringup)/config/diagnostics.yaml",
    ): _GROUPS,
    (
        "docs/monitoring.md",
        "ros2 run hil_serl_monitor markers_node --ros-args -p task:=$PWD/runs/my_run/task.yaml",
    ): "src/hil_serl_monitor/test/test_markers_node.py::test_what_the_topics_say_is_shown",
    ("docs/monitoring.md", "hil-serl replay runs/my_run --publish"): _REPLAYED,
    (
        "docs/monitoring.md",
        "ros2 run hil_serl_monitor markers_node --ros-args -r __ns:=/replay -p task:=$PWD/runs/my_run/task.yaml",
    ): _REPLAYED,
    ("docs/new_camera.md", "ros2 bag record"): _ROSBAG2
    + "test_we_read_what_ros2_bag_record_heard_of_the_topic_step",
    ("docs/new_robot.md", "hil-serl joint-reset"): _STOP,
    ("docs/new_robot.md", "hil-serl recover"): _STOP,
    ("docs/new_robot.md", "hil-serl unpause"): _STOP,
    ("docs/rewards.md", "hil-serl classifier record --task ram_insertion"): _LABELS,
    (
        "docs/rewards.md",
        "hil-serl classifier retrain runs/flip_clf --task object_flip --mistakes-of runs/flip_2",
    ): (
        "src/hil_serl_cli/test/test_classifier_commands.py::"
        "test_retraining_is_for_the_task_it_was_trained_for_or_another_version_of_it"
    ),
    ("docs/rewards.md", "hil-serl classifier train runs/ram_insertion-..."): _REWARD,
    (
        "docs/rewards.md",
        "hil-serl train --task ram_insertion --reward classifier --classifier runs/.../classifier",
    ): _REWARD,
    (
        "docs/two_machines.md",
        "export ROS_DOMAIN_ID=7 ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET",
    ): _TWO_HOSTS + "test_four_cameras_at_10_hz_and_weights_under_5_percent_loss",
    (
        "docs/two_machines.md",
        "fast-discovery-server -i 0 -l 192.168.1.20 -p 11811",
    ): _TWO_HOSTS + "test_discovery_server_where_the_network_has_no_multicast",
}

#: Commands without which no test would be running: the workspace they make, and the suite itself.
STARTS_THE_TESTS = ("make test", "make setup", "colcon build --symlink-install")

#: Commands in sentences that no test runs: (page, command) -> why.
NOT_RUN = {
    ("README.md", "make bench"): "takes minutes, and measures the machine that runs nothing else",
    ("docs/operators_guide.md", "hil-serl bench"): "as make bench",
    ("docs/troubleshooting.md", "hil-serl bench"): "as make bench",
    (
        "README.md",
        "hil-serl results --tasks object_relocation_forward --methods serl --steps 8000",
    ): "takes an hour and more; what it runs is tested in parts by test_results.py",
    ("docs/monitoring.md", "ros2 run foxglove_bridge foxglove_bridge"): "not run by us, as the page says",
    ("src/serl_impedance_controller/README.md", "colcon test --packages-select serl_impedance_controller"): (
        "its C++ tests are run by tests/test_cpp.py"
    ),
}

_LAUNCH = "ros2 launch hil_serl_bringup task.launch.py"
_SIMULATED = f"{_LAUNCH} operator:=scripted speed:=lockstep run_dir:=runs/ram"
_GRIPPER = "ros2 run hil_serl_robot gripper_node --ros-args -p kind:=mock"
_CONTROLLER = "src/serl_impedance_controller/README.md"

#: Page -> its commands that run where there is a full ROS 2.
ROS_STORIES: dict[str, tuple[Run, ...]] = {
    "README.md": (
        Run(f"{_LAUNCH} --show-args", says="name of a task"),
        Run("ros2 run hil_serl_cli hil-serl tasks", says="Insert a RAM card"),
        Run(f"{_SIMULATED} mode:=record_demos", more="episodes:=1",
            says=r"Recording demonstrations: .* actor finished .* 1 demonstration, ",
            leaves=("runs/ram/bags/record_demos/*/*/*.mcap",)),
        # Four episodes are more than the hundred steps before the first update, so that there is a checkpoint.
        Run(_SIMULATED, within="runs/ram/episodes.csv", until=r"(?s)(\ntrain,.*){4}", beside=(
            Run("ros2 topic list", page="docs/troubleshooting.md", says="/learner_status"),
            Run("ros2 service call /stop std_srvs/srv/Trigger", page="docs/operators_guide.md", says="success=True"),
            Run("ros2 service call /clear_stop std_srvs/srv/Trigger", page="docs/operators_guide.md", says="success=True"),
            Run('ros2 service call /pause std_srvs/srv/SetBool "{data: true}"', says="success=True"),
        ), leaves=("runs/ram/checkpoints/step_*",)),
        Run(f"{_LAUNCH} task:=ram_insertion robot:=fr3 reward:=pose run_dir:=runs/ram learner_only:=true",
            page="docs/two_machines.md", until="resumed from"),
        Run(f"{_LAUNCH} robot:=fr3 reward:=pose run_dir:=runs/ram learner_only:=true actors:=cell_1,cell_2",
            page="docs/two_machines.md", until="resumed from"),
        # The learner comes up last; that the controller is active is seen by arm_state.
        Run(f"{_LAUNCH} task:=ram_insertion robot:=mock operator:=none reward:=pose algorithm:=rlpd_scratch",
            more="run_dir:=runs/mock", within="runs/mock/learner-train.csv", until=r"\n.", beside=(
                Run("ros2 topic hz", page="docs/new_camera.md", more="/arm_state", until="average rate", code=ROS_CTRL_C),
                Run("ros2 control list_hardware_interfaces", page="docs/new_robot.md", says=r"effort \[available\]"),
                Run("ros2 param set /cartesian_controller profile precision", page=_CONTROLLER, says="successful"),
            )),
        Run("ros2 run serl_impedance_controller tick_benchmark", page=_CONTROLLER, says="p50"),
    ),
    "docs/new_robot.md": (
        Run(_GRIPPER, beside=(
            Run('ros2 topic pub -r 10 /gripper/command std_msgs/msg/Float64 "{data: 0.0}"', more="-w 1",
                until="publishing #3", code=ROS_CTRL_C, beside=(
                    Run("ros2 topic echo /gripper/state", more="--once", says=r"data: [01]\."),
                )),
        )),
    ),
    "docs/troubleshooting.md": (Run("colcon list", says=r"hil_serl_msgs src/hil_serl_msgs \(ros.ament_cmake\)"),),
}  # fmt: skip
