# SPDX-License-Identifier: Apache-2.0
"""Nodes and tools on accounts without a home, and on terminals that are not UTF-8."""

import os
import subprocess
import sys

import pytest

from hil_serl_core.testing.waiting import PATIENCE
from hil_serl_ros import process_setup
from hil_serl_ros.process_setup import NO_LOG_FILE, drop_missing_middleware, log_arguments

NOWHERE = "/proc/nowhere"  # can be made by nobody, not even by root
NODE = """
import sys
from rclpy.node import Node
from hil_serl_ros.node_main import run_node

class Done(Node):
    def __init__(self):
        super().__init__("done")
        self.get_logger().info("it – runs")
        print("0.5 · 10 µm – ü \\udcff ▁█")
        self.create_timer(0.01, self.end)

    def end(self):
        raise SystemExit(0)

sys.exit(run_node(Done))
"""


def run(program, without=(), **variables):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    for name in without:
        environment.pop(name, None)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, env=environment, timeout=PATIENCE, check=False
    )


@pytest.mark.parametrize(
    ("without", "variables", "note"),
    [
        (("HOME", "ROS_HOME", "ROS_LOG_DIR"), {}, b"logs are in"),
        (("ROS_HOME", "ROS_LOG_DIR"), {"HOME": NOWHERE}, b"logs are in"),
        ((), {"ROS_LOG_DIR": NOWHERE}, b"logs are in"),
    ],
    ids=["no home", "a home that is not there", "a log folder that cannot be written"],
)
def test_a_node_without_its_log_folder_takes_a_temporary_one(tmp_path, without, variables, note):
    done = run(NODE, without, **{"TMPDIR": str(tmp_path), **variables})
    assert done.returncode == 0, done.stderr
    assert note in done.stderr
    assert list(tmp_path.glob("hil-serl-logs-*/*.log"))


def test_and_without_a_temporary_one_the_console(monkeypatch):
    monkeypatch.setattr(process_setup.tempfile, "gettempdir", lambda: NOWHERE)
    monkeypatch.setenv("ROS_LOG_DIR", NOWHERE)
    assert tuple(log_arguments()) == NO_LOG_FILE
    done = run(
        NODE.replace("import sys\n", f"import sys, tempfile\ntempfile.tempdir = {NOWHERE!r}\n", 1),
        ROS_LOG_DIR=NOWHERE,
    )
    assert done.returncode == 0, done.stderr
    assert "it – runs" in done.stderr.decode()


def test_a_folder_that_can_be_written_is_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "new"))
    assert log_arguments() == []
    assert os.environ["ROS_LOG_DIR"] == str(tmp_path / "new")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("ascii:strict", rb"0.5 | 10 um - \xfc \udcff 18"),
        ("latin-1:strict", "0.5 · 10 µm - ü \\udcff 18".encode("latin-1")),
        ("utf-8:strict", "0.5 · 10 µm – ü \\udcff ▁█".encode()),
    ],
)
def test_a_node_prints_on_every_terminal(encoding, expected):
    done = run(NODE, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout


def test_a_middleware_that_is_not_installed_is_dropped_with_a_word(monkeypatch, capsys):
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_of_another_workspace")
    drop_missing_middleware()
    assert "RMW_IMPLEMENTATION" not in os.environ
    assert "unset RMW_IMPLEMENTATION" in capsys.readouterr().err


@pytest.mark.parametrize("wheels", [True, False])
def test_one_that_is_installed_is_kept(monkeypatch, tmp_path, capsys, wheels):
    (tmp_path / "lib").mkdir()
    name = process_setup.MIDDLEWARE if wheels else "rmw_other_cpp"
    (tmp_path / "lib" / f"lib{name}.so").touch()
    monkeypatch.setattr(process_setup.importlib.util, "find_spec", lambda _name: object() if wheels else None)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    monkeypatch.setenv("RMW_IMPLEMENTATION", name)
    drop_missing_middleware()
    assert os.environ["RMW_IMPLEMENTATION"] == name
    assert capsys.readouterr().err == ""
