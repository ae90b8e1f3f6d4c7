# SPDX-License-Identifier: Apache-2.0
"""Every topic and every field that a layout names exists, with a type that its panel can show."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from ast import literal_eval
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
import yaml

from hil_serl_cli.commands import layouts as layouts_command
from hil_serl_monitor.layouts import (
    FOXGLOVE_LIVE,
    FOXGLOVE_RUN,
    PLOTJUGGLER,
    RQT,
    RVIZ,
    Cell,
    layouts,
    write_layouts,
)
from hil_serl_monitor.layouts.cell import FIELD_OF_VIEW
from hil_serl_monitor.layouts.foxglove_scripts import camera_script, script_topic
from hil_serl_ros import names
from hil_serl_tasks.finder import find_task, tasks

SOURCE = Path(__file__).resolve().parents[2] / "hil_serl_bringup"

ARM_TOPICS = {names.ARM_STATE: "hil_serl_msgs/ArmState", "robot_description": "std_msgs/String"}
RUN_TOPICS = {
    names.STEP: "hil_serl_msgs/Step",
    names.RUN_STATUS: "hil_serl_msgs/RunStatus",
    names.LEARNER_STATUS: "hil_serl_msgs/LearnerStatus",
    names.INTERVENTION: "hil_serl_msgs/InterventionState",
    names.STOPPED: "std_msgs/Bool",
    names.MARKERS: "visualization_msgs/MarkerArray",
    names.DIAGNOSTICS: "diagnostic_msgs/DiagnosticArray",
}
NUMBERS = re.compile(r"(double|float|boolean|octet|u?int\d+|uint8)$")

CELLS = [
    ("ram_insertion", "", ""),
    ("object_handover", "cell_a", ""),
    ("object_flip", "", ""),
    ("object_relocation", "", "forward"),
]


def topics_of(cell):
    """Full topic name -> type, of a run of the task."""
    types = {cell.topic(name): kind for name, kind in RUN_TOPICS.items()}
    for name in (names.STEP, names.LEARNER_STATUS):
        types[cell.agent_topic(name)] = types.pop(cell.topic(name))
    for arm in cell.arms:
        types |= {cell.topic(name, arm): kind for name, kind in ARM_TOPICS.items()}
    for camera in cell.cameras:
        types[cell.topic(names.camera_image(camera))] = "sensor_msgs/Image"
        types[cell.topic(names.camera_compressed(camera))] = "sensor_msgs/CompressedImage"
    return types


def fields_of(kind):
    package, name = kind.split("/")
    return getattr(import_module(f"{package}.msg"), name).get_fields_and_field_types()


def type_at(kind, path):
    """Type of a field such as ``state[:]{name=="tcp_pose"}.values[0]`` in a message; KeyError if there is none."""
    for part in path:
        name, indexed = re.match(r"(\w+)(.*)", part).groups()
        kind = fields_of(kind)[name]
        for key in re.findall(r"\{(\w+)==", indexed):
            assert key in fields_of(re.sub(r"(sequence<|>|\[\d+\])", "", kind)), f"{part}: no field {key}"
        if indexed:
            assert kind.startswith("sequence<") or kind.endswith("]"), f"{part}: {kind} is no list"
            kind = re.sub(r"(sequence<|>|\[\d+\])", "", kind)
    return kind


def is_number(kind):
    return NUMBERS.match(kind) is not None


@pytest.fixture(params=CELLS, ids=lambda one: one[0])
def cell(request):
    task, namespace, agent = request.param
    return Cell.of(find_task(task, simulated=False), namespace, ["side"], agent)


def slashed(cell, name):
    """Topic and field path of a name such as /run_status/success_rate."""
    topic = max((t for t in topics_of(cell) if name.startswith(t + "/")), key=len, default=None)
    assert topic is not None, f"no topic of a run begins {name}"
    return topic, name[len(topic) + 1 :].split("/")


def dotted(cell, name):
    """The same of a Foxglove path such as /step.state[:]{name=="a"}.values[0]."""
    topic, _, rest = name.partition(".")
    assert topic in topics_of(cell), f"no topic of a run is {topic}"
    return topic, re.findall(r"\w+(?:\[[^]]*\]|\{[^}]*\})*", rest)


# ---------------------------------------------------------------------- what the tools are told


def test_the_files_that_lie_ready_are_those_of_ram_insertion():
    for name, content in layouts(Cell.of(find_task("ram_insertion", simulated=False))).items():
        assert (SOURCE / name).read_text() == content, f"run: hil-serl layouts --output {SOURCE.name}"


def test_rviz(cell):
    content = yaml.safe_load(layouts(cell)[RVIZ])["Visualization Manager"]
    assert content["Global Options"]["Fixed Frame"] == cell.frame
    kinds = {"MarkerArray": ["visualization_msgs/MarkerArray"], "RobotModel": ["std_msgs/String"]}
    kinds["Image"] = ["sensor_msgs/Image", "sensor_msgs/CompressedImage"]  # the transport is in the name
    shown = []
    for display in content["Displays"]:
        kind = display["Class"].removeprefix("rviz_default_plugins/")
        topic = display.get("Topic", display.get("Description Topic"))
        if topic is None:
            continue
        full = topic["Value"] if cell.namespace else f"/{topic['Value']}"
        assert topics_of(cell)[full] in kinds[kind], full
        shown.append((kind, full))
        if kind == "Image":
            assert topic["Reliability Policy"] == "Best Effort", "as cameras publish"
    assert [topic for kind, topic in shown if kind == "Image"] == [
        cell.topic(cell.picture(camera)) for camera in cell.cameras
    ]
    assert sum(kind == "RobotModel" for kind, _ in shown) == len(cell.arms)


# Names of dock windows on argv; prints where Qt puts them with the state on standard input.
PLACE_DOCKS = """
import json, sys
from PyQt5 import QtCore, QtWidgets
app = QtWidgets.QApplication([])
window = QtWidgets.QMainWindow()
bar = window.addToolBar("Tools")
bar.setObjectName("Tools")
window.setCentralWidget(QtWidgets.QTextEdit())
docks = {name: QtWidgets.QDockWidget(name) for name in sys.argv[1:]}
for name, dock in docks.items():
    dock.setObjectName(name)
    dock.setWidget(QtWidgets.QLabel(name))
    window.addDockWidget(QtCore.Qt.LeftDockWidgetArea, dock)
window.resize(1500, 950)
assert window.restoreState(QtCore.QByteArray.fromHex(sys.stdin.read().encode()))
window.show()
app.processEvents()
print(json.dumps({name: dock.geometry().getRect() for name, dock in docks.items() if dock.isVisible()}))
"""


@pytest.mark.parametrize("task", ["object_handover", "timing_belt"], ids=["three cameras", "four cameras"])
def test_rviz_shows_the_cameras_on_the_right_of_the_scene(task):
    pytest.importorskip("PyQt5")
    cell = Cell.of(find_task(task, simulated=False))
    window = yaml.safe_load(layouts(cell)[RVIZ])["Window Geometry"]
    docks = ["Time", *cell.cameras, "Displays"]  # RViz makes them in any order
    ran = subprocess.run(
        [sys.executable, "-c", PLACE_DOCKS, *docks],
        input=window["QMainWindow State"],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    places = json.loads(ran.stdout)
    assert set(places) == set(docks), "all are visible"
    assert places["Displays"][0] == 0
    assert places["Time"][1] > 800
    pictures = [places[camera] for camera in cell.cameras]
    assert all(x >= 750 and height > 200 and width > 200 for x, _, width, height in pictures)
    assert len({(x, y) for x, y, _, _ in pictures}) == len(pictures)


def test_the_view_holds_the_workspaces(cell):
    view = yaml.safe_load(layouts(cell)[RVIZ])["Visualization Manager"]["Views"]["Current"]
    assert list(view["Focal Point"].values()) == list(cell.centre)
    half = view["Distance"] * math.sin(math.radians(FIELD_OF_VIEW / 2))
    assert cell.reach < half < 2 * cell.reach + 0.15, "none is cut off, and none is tiny"


def test_two_arms_are_seen_side_by_side():
    spec = find_task(
        "object_handover", simulated=True
    )  # the left arm at y = 0.65 m of the world, the right at -0.65 m
    facing = Cell.of(spec).facing
    assert abs(math.cos(facing) + 1) < 1e-3, "from negative x: y is on the left"


def test_rviz_is_told_everything_that_it_takes_from_uninitialised_memory(cell):
    """`VisualizationFrame::loadWindowGeometry` of RViz 14 hides the docks or not by chance where these are missing."""
    window = yaml.safe_load(layouts(cell)[RVIZ])["Window Geometry"]
    assert window["Hide Left Dock"] is False
    assert window["Hide Right Dock"] is False


def test_rqt(cell):
    groups = json.loads(layouts(cell)[RQT])["groups"]
    manager = groups["pluginmanager"]
    running = literal_eval(manager["keys"]["running-plugins"]["repr"])
    assert running["rqt_robot_monitor/RobotMonitor"] == [1]
    drawn = []
    for number in running["rqt_plot/Plot"]:
        plugin = manager["groups"][f"plugin__rqt_plot__Plot__{number}"]["groups"]["plugin"]["keys"]
        drawn += literal_eval(plugin["topics"]["repr"])
    for name in drawn:
        topic, path = slashed(cell, name)
        assert is_number(type_at(topics_of(cell)[topic], path)), name
    fields = {name.rsplit("/", 1)[1] for name in drawn}
    assert {"success_rate", "intervention_rate", "mean_return", "cycle_time", "control_rate"} <= fields
    for key in ("geometry", "state"):
        value = groups["mainwindow"]["keys"][key]["repr(QByteArray.hex)"]
        assert bytes.fromhex(re.search(r"b'([0-9a-f]+)'", value).group(1))


def test_rqt_plots_stamps_are_of_one_clock(cell):
    """rqt_plot draws by the header's stamp; only the learner and the monitor use the clock of the wall in a simulation."""
    text = layouts(cell)[RQT]
    for name in re.findall(r"'(/[^']+)'", text):
        assert slashed(cell, name)[0] in {
            cell.topic(names.RUN_STATUS),
            cell.agent_topic(names.LEARNER_STATUS),
        }


def test_plotjuggler(cell):
    root = Xml.fromstring(layouts(cell)[PLOTJUGGLER])
    curves = [curve.get("name") for curve in root.iter("curve")]
    subscribed = root.find("Plugins/plugin/selected_topics").get("value").split(";")
    assert len(root.findall("tabbed_widget/Tab")) == 1 + len(cell.arms)
    for name in curves:
        topic, path = slashed(cell, name)
        assert is_number(type_at(topics_of(cell)[topic], path)), name
        assert topic in subscribed
    assert {slashed(cell, name)[0] for name in curves} == set(subscribed)
    for splitter in root.iter("DockSplitter"):
        assert int(splitter.get("count")) == len(splitter) == len(splitter.get("sizes").split(";"))


def panels(tree):
    return [tree] if isinstance(tree, str) else panels(tree["first"]) + panels(tree["second"])


@pytest.mark.parametrize("name", [FOXGLOVE_LIVE, FOXGLOVE_RUN])
def test_foxglove(cell, name):
    content = json.loads(layouts(cell)[name])
    configs = content["configById"]
    assert sorted(panels(content["layout"])) == sorted(configs), "each panel has its place"
    scripted = {
        re.search(r'output = "([^"]+)"', script["sourceCode"]).group(1)
        for script in content["userNodes"].values()
    }
    types = topics_of(cell)
    pictures = []
    for panel, config in configs.items():
        kind = panel.split("!")[0]
        if kind in ("Plot", "StateTransitions"):
            for path in config["paths"]:
                topic, parts = dotted(cell, path["value"])
                assert is_number(type_at(types[topic], parts)), path["value"]
        elif kind in ("Indicator", "RawMessages"):
            topic, parts = dotted(cell, config.get("path", config.get("topicPath")))
            type_at(types[topic], parts)
        elif kind == "Image":
            pictures.append(config["imageMode"]["imageTopic"])
        elif kind == "3D":
            assert set(config["topics"]) <= {*types, *scripted}
            assert config["followTf"] == cell.frame
        else:
            assert kind == "DiagnosticSummary"
            assert types[config["topicToRender"]] == "diagnostic_msgs/DiagnosticArray"
    assert len(pictures) == len(cell.cameras)
    assert set(pictures) <= {*types, *scripted}


def test_a_camera_is_shown_as_it_travels():
    cell = Cell.of(find_task("object_handover", simulated=False), compressed=["side"])
    text = layouts(cell)[FOXGLOVE_LIVE]
    assert "/camera/side/image_raw/compressed" in text
    assert "/camera/wrist_1/image_raw/compressed" not in text


def test_the_scripts_read_fields_that_exist(cell):
    content = json.loads(layouts(cell)[FOXGLOVE_RUN])
    for script in content["userNodes"].values():
        source = script["sourceCode"]
        assert f'inputs = ["{cell.agent_topic(names.STEP)}"]' in source
        for path in re.findall(r"event\.message\.([\w.]+)", source):
            type_at("hil_serl_msgs/Step", path.split("."))
        for field in re.findall(r"\bframe\.(\w+)", source):
            type_at("hil_serl_msgs/Frame", [field])


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_a_camera_script_makes_a_picture_of_the_right_record(tmp_path):
    source = camera_script("/step", "wrist_2", 1)
    plain = re.sub(r"^import .*$", "", source, flags=re.M)
    plain = re.sub(r"\(event: .*\| undefined \{", "(event) {", plain)
    (tmp_path / "script.mjs").write_text(plain)
    (tmp_path / "try.mjs").write_text(
        """
        import script, { inputs, output } from "./script.mjs";
        const frame = { camera: "wrist_2", height: 2, width: 3, data: new Uint8Array(18).fill(7) };
        const event = { receiveTime: { sec: 1, nsec: 2 }, message: { frames: [{ camera: "wrist_1" }, frame] } };
        const other = { receiveTime: {}, message: { frames: [] } };
        console.log(JSON.stringify([inputs, output, script(event), script(other) === undefined]));
        """
    )
    ran = subprocess.run(["node", tmp_path / "try.mjs"], capture_output=True, text=True, check=True)
    inputs, output, picture, nothing = json.loads(ran.stdout)
    assert (inputs, output, nothing) == (["/step"], script_topic("wrist_2"), True)
    assert (picture["width"], picture["height"], picture["step"], picture["encoding"]) == (3, 2, 9, "rgb8")
    assert len(picture["data"]) == 18


def test_a_renamed_field_is_noticed():
    assert is_number(type_at("hil_serl_msgs/RunStatus", ["success_rate"]))
    with pytest.raises(KeyError):
        type_at("hil_serl_msgs/RunStatus", ["succes_rate"])
    with pytest.raises(AssertionError, match="no field label"):
        type_at("hil_serl_msgs/Step", ['state[:]{label=="tcp_pose"}', "values[0]"])
    with pytest.raises(AssertionError, match="is no list"):
        type_at("hil_serl_msgs/Step", ["reward[0]"])


# ---------------------------------------------------------------------- groups of diagnostics


def test_every_diagnostics_line_of_the_suite_has_its_group():
    content = yaml.safe_load((SOURCE / "config" / "diagnostics.yaml").read_text())["/**"]["ros__parameters"]
    groups = {key: value for key, value in content.items() if isinstance(value, dict)}
    assert all(group["type"] == "diagnostic_aggregator/GenericAnalyzer" for group in groups.values())
    package_sources = [*SOURCE.parent.glob("*/hil_serl_*/**/*.py")]
    lines = {
        match
        for path in package_sources
        for match in re.findall(
            r'f?"((?:actor|monitor|learner|cell|gripper)/?[\w/]*)[^"]*"', path.read_text()
        )
        if "diagnostic_status" in path.read_text() and "/" in match
    }
    assert {
        "actor/control_loop",
        "actor/stop",
        "actor/camera/",
        "monitor/advice",
        "learner/training",
    } <= lines
    for line in lines:
        starts = [start for group in groups.values() for start in group.get("startswith", ())]
        assert any(line.startswith(start) for start in starts), f"{line} would appear under Other"


# ---------------------------------------------------------------------- the command


def test_the_command_writes_them_for_every_task(tmp_path, capsys):
    for task in tasks():
        command = layouts_command.Layouts(task=task, output=tmp_path / task, namespace="/a/")
        assert command.run() == 0
        assert json.loads((tmp_path / task / FOXGLOVE_LIVE).read_text())["configById"]
    assert "rviz2 -d" in capsys.readouterr().out


def test_an_older_layout_is_replaced(tmp_path):
    cell = Cell.of(find_task("ram_insertion", simulated=False))
    write_layouts(cell, tmp_path)
    (tmp_path / RVIZ).write_text("old")
    write_layouts(cell, tmp_path)
    assert (tmp_path / RVIZ).read_text() == layouts(cell)[RVIZ]
