# SPDX-License-Identifier: Apache-2.0
"""The doctor: findings on machines that have and lack things, and that a bare Python is enough for it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hil_serl_cli.doctor import hardware, software
from hil_serl_cli.doctor import report as doctor
from hil_serl_cli.doctor.machine import Check, Machine, Status
from hil_serl_core.testing.waiting import PATIENCE

PACKAGE = Path(doctor.__file__).resolve().parents[2]


def machine(tmp_path: Path, answers=lambda command, env, timeout: (0, ""), programs=(), **fields) -> Machine:
    """A machine with an empty file system, the given programs and answers to commands."""
    fields = {"env": {}, "version": (3, 11, 7), **fields}
    which = {name: f"/usr/bin/{name}" for name in programs}.get
    return Machine(workspace=tmp_path, python="python", root=tmp_path, run=answers, which=which, **fields)


@pytest.mark.parametrize(
    ("version", "status"),
    [((3, 10, 1), Status.MISSING), ((3, 12, 3), Status.OK), ((3, 13, 0), Status.MISSING)],
)
def test_python_versions(tmp_path, version, status):
    check = software.python(machine(tmp_path, version=version))
    assert check.status is status
    assert check.blocks == (status is Status.MISSING)


def test_missing_compiler_blocks_and_names_its_package(tmp_path):
    check = software.compiler(machine(tmp_path))
    assert check.blocks
    assert "g++" in check.remedy


def test_compiler_is_named(tmp_path):
    check = software.compiler(machine(tmp_path, lambda *_: (0, "g++ 12.2.0\nmore"), programs=["g++"]))
    assert (check.status, check.finding) == (Status.OK, "g++ 12.2.0")


def test_ros_tells_wheels_from_an_installation(tmp_path):
    def answer(path):
        return lambda *_: (0, f"{path}\nrmw_fastrtps_cpp")

    wheels = software.ros(machine(tmp_path, answer("/clone/.venv/lib/rclpy/__init__.py")))
    installed = software.ros(machine(tmp_path, answer("/opt/ros/jazzy/lib/rclpy/__init__.py")))
    assert "wheels" in wheels.finding
    assert "installed" in installed.finding


def test_broken_ros_reports_the_last_line_of_the_error(tmp_path):
    text = "Traceback (most recent call last):\nImportError: librmw.so: cannot open"
    check = software.ros(machine(tmp_path, lambda *_: (1, text)))
    assert check.blocks
    assert check.finding == "ImportError: librmw.so: cannot open"


def test_unused_gpu_is_a_note_with_the_command(tmp_path):
    check = software.torch(machine(tmp_path, lambda *_: (0, "2.13.0+cpu"), programs=["nvidia-smi"]))
    assert check.status is Status.NOTE
    assert "TORCH=cuda" in check.remedy


def test_gpu_in_use_is_fine(tmp_path):
    check = software.torch(machine(tmp_path, lambda *_: (0, "2.13.0\nNVIDIA H200")))
    assert check.status is Status.OK
    assert "H200" in check.finding


def gl(working):
    """Answers as a machine does on which only the back-ends in `working` draw."""
    return lambda command, env, timeout: (
        (0, "llvmpipe") if env["MUJOCO_GL"] in working else (1, "Error: no display")
    )


def test_renderer_falls_back_to_osmesa(tmp_path):
    check = software.renderer(machine(tmp_path, gl({"osmesa"})))
    assert check.status is Status.OK
    assert check.finding.startswith("osmesa")


def test_renderer_names_every_reason(tmp_path):
    check = software.renderer(machine(tmp_path, gl(set())))
    assert check.blocks
    assert "egl" in check.finding
    assert "osmesa" in check.finding
    assert "libegl1" in check.remedy


@pytest.mark.parametrize("chosen", ["osmesa", "glfw", "GLFW ", "disabled", "vulkan"])
def test_a_renderer_that_is_set_and_does_not_draw_is_not_ready(tmp_path, chosen):
    """The simulator takes what is set, and nothing else."""
    check = software.renderer(machine(tmp_path, gl({"egl"}), env={"MUJOCO_GL": chosen}))
    assert check.blocks
    assert f"MUJOCO_GL={chosen} does not work here" in check.finding
    assert check.remedy == "unset MUJOCO_GL (or: export MUJOCO_GL=egl)"
    assert doctor.verdict([check]).startswith("Not ready: GL renderer")


def test_a_renderer_that_is_set_and_draws_is_fine(tmp_path):
    check = software.renderer(machine(tmp_path, gl({"glfw"}), env={"MUJOCO_GL": "GLFW"}))
    assert (check.status, check.finding) == (Status.OK, "glfw: llvmpipe")


def test_a_middleware_that_is_not_installed_is_told_from_a_broken_ros(tmp_path):
    def answer(command, env, timeout):
        found = env.get("RMW_IMPLEMENTATION") in ("", "rmw_fastrtps_cpp")
        return (
            (0, "/opt/ros/jazzy/rclpy/__init__.py\nrmw_fastrtps_cpp") if found else (102, "exiting with 102")
        )

    left_over = software.ros(machine(tmp_path, answer, env={"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}))
    assert left_over.blocks
    assert left_over.finding.startswith("RMW_IMPLEMENTATION=rmw_cyclonedds_cpp")
    assert left_over.remedy.startswith("unset RMW_IMPLEMENTATION")
    assert not software.ros(machine(tmp_path, answer, env={"RMW_IMPLEMENTATION": "rmw_fastrtps_cpp"})).blocks


def test_a_clone_that_lies_where_it_cannot_be_set_up(tmp_path):
    (tmp_path / "my clone").mkdir()
    check = software.location(machine(tmp_path / "my clone"))
    assert check.blocks
    assert check.remedy.startswith(f"move it: mv '{tmp_path}/my clone' {tmp_path}/my_clone")
    assert software.location(machine(tmp_path)).status is Status.OK


@pytest.mark.parametrize(
    ("env", "status"),
    [
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, Status.OK),
        ({}, Status.NOTE),
        ({"ROS_DOMAIN_ID": "150"}, Status.NOTE),
        ({"ROS_DOMAIN_ID": "233"}, Status.MISSING),
        ({"ROS_DOMAIN_ID": "my robot"}, Status.MISSING),
        ({"ROS_DOMAIN_ID": "-1"}, Status.MISSING),
    ],
)
def test_domain(tmp_path, env, status):
    assert software.domain(machine(tmp_path, env=env)).status is status


def plug_in(root: Path, uevent: str, node: str = "hidraw3") -> None:
    folder = root / "sys/class/hidraw" / node / "device"
    folder.mkdir(parents=True)
    (folder / "uevent").write_text(uevent)


def test_spacemouse_is_told_from_a_mouse_of_the_same_maker(tmp_path):
    plug_in(tmp_path, "HID_ID=0003:0000046D:0000C077\nHID_NAME=Logitech USB Optical Mouse\n")
    assert "none" in hardware.spacemouse(machine(tmp_path)).finding


def test_spacemouse_without_and_with_its_driver(tmp_path):
    plug_in(tmp_path, "HID_ID=0003:0000256F:0000C635\nHID_NAME=3Dconnexion SpaceMouse Compact\n")
    check = hardware.spacemouse(machine(tmp_path))
    assert check.status is Status.NOTE
    assert "spacenavd" in check.remedy
    (tmp_path / "run").mkdir()
    (tmp_path / "run/spnav.sock").touch()
    assert hardware.spacemouse(machine(tmp_path)).status is Status.OK


def test_gamepad(tmp_path):
    assert hardware.gamepad(machine(tmp_path)).status is Status.NOTE
    (tmp_path / "dev/input").mkdir(parents=True)
    (tmp_path / "dev/input/js0").touch()
    assert hardware.gamepad(machine(tmp_path)).finding == "js0"


def test_no_shared_memory_is_a_note(tmp_path):
    assert hardware.shared_memory(machine(tmp_path)).status is Status.NOTE


def test_a_check_that_crashes_is_a_finding(tmp_path, monkeypatch):
    def crash(_machine):
        raise RuntimeError("sensor on fire")

    monkeypatch.setattr(doctor, "CHECKS", (crash, software.python))
    checks = doctor.run_doctor(machine(tmp_path))
    assert "sensor on fire" in checks[0].finding
    assert checks[1].status is Status.OK


def test_whatever_is_not_well_names_its_cost_and_a_remedy(tmp_path):
    bare = machine(tmp_path, lambda *_: (1, "not found"), version=(3, 9, 0), env={"ROS_DOMAIN_ID": "x"})
    checks = doctor.run_doctor(bare)
    ill = [check for check in checks if check.status is not Status.OK]
    assert len(ill) > 8
    assert all(check.cost and check.remedy for check in ill)
    assert doctor.verdict(checks).startswith("Not ready: Python")


def test_verdict_and_text():
    well = Check("A", Status.OK, "there", required=True)
    note = Check("B", Status.NOTE, "half [there]", "slow", "buy one")
    assert doctor.verdict([well]) == "Ready for make demo."
    assert "1 note" in doctor.verdict([well, note])
    assert "remedy: buy one" in doctor.render_text([well, note])


def test_table_keeps_brackets_of_findings(capsys):
    doctor.render_table([Check("B", Status.NOTE, "half [there]", "slow", "buy one")])
    assert "half [there]" in capsys.readouterr().out


def test_exit_code_follows_what_is_required(monkeypatch, capsys):
    note = Check("B", Status.NOTE, "none", "slow", "buy one")
    lack = Check("C", Status.MISSING, "none", "all", "get it", required=True)
    for checks, code in (([note], 0), ([note, lack], 1)):
        monkeypatch.setattr(doctor, "run_doctor", lambda checks=checks: checks)
        assert doctor.main(["--json"]) == code
        assert [entry["name"] for entry in json.loads(capsys.readouterr().out)] == [
            check.name for check in checks
        ]


def test_runs_on_a_bare_python(tmp_path):
    """No site-packages and an empty environment: the findings still come, as text."""
    env = {"PYTHONPATH": str(PACKAGE), "PATH": os.defpath, "HOME": str(tmp_path)}
    command = [sys.executable, "-S", "-m", "hil_serl_cli.doctor.report"]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert "Python:" in done.stdout, done.stderr
    assert done.stdout.splitlines()[-1].startswith(("Ready", "Not ready"))


@pytest.mark.parametrize(
    ("capabilities", "limit", "best"),
    [("0000000000000000", 0, 19), ("0000000000000000", 30, -10), ("0000000000800000", 0, -20)],
)
def test_the_priority_that_this_account_may_ask_for(tmp_path, monkeypatch, capabilities, limit, best):
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "self" / "status").write_text(f"Name:\tx\nCapEff:\t{capabilities}\n")
    monkeypatch.setattr(hardware.resource, "getrlimit", lambda _: (limit, limit))
    check = hardware.priority(machine(tmp_path))
    assert f"niceness down to {best}," in check.finding
    assert not check.blocks
    assert check.status is (Status.OK if best <= -10 else Status.NOTE)
    assert ("limits.conf" in check.remedy) == (best > -10)
