# SPDX-License-Identifier: Apache-2.0
"""The set-up's own rules: what counts as done, what is distrusted after an interruption, which PyTorch."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hil_serl_core.testing.waiting import PATIENCE, wait_for

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools" / "bootstrap"))

import environment  # noqa: E402
import pytorch  # noqa: E402
import system  # noqa: E402
import workspace  # noqa: E402
from console import MARK, Console, SetupError, _last_line, end_orphans  # noqa: E402
from environment import Layout  # noqa: E402
from stamps import Stamps, hash_of  # noqa: E402

from hil_serl_cli.doctor.location import trouble_with  # noqa: E402


@pytest.fixture
def layout(tmp_path):
    made = Layout(tmp_path)
    made.site.mkdir(parents=True)
    made.state.mkdir()
    made.requirements.mkdir()
    (made.requirements / "torch.txt").write_text("# pin\ntorch==2.13.0\n")
    made.base_lock.write_text("numpy==1\n")
    return made


@pytest.fixture
def console(tmp_path):
    return Console(tmp_path / "log", tmp_path)


def test_step_is_done_only_for_the_same_inputs_and_after_a_good_end(tmp_path):
    stamps = Stamps(tmp_path)
    assert not stamps.done("build", "a")
    with stamps.doing("build", "a"):
        assert stamps.interrupted("build")
    assert stamps.done("build", "a")
    assert not stamps.done("build", "b")
    assert not stamps.interrupted("build")
    with pytest.raises(RuntimeError), stamps.doing("build", "a"):
        raise RuntimeError
    assert not stamps.done("build", "a")
    assert stamps.interrupted("build")


def test_hash_tells_the_parts_apart(tmp_path):
    assert hash_of("ab", "c") != hash_of("a", "bc")
    path = tmp_path / "file"
    path.write_text("x")
    before = hash_of(path)
    path.write_text("y")
    assert hash_of(path) != before


def wheel(site: Path, name: str, record: str, installer: bool = True) -> Path:
    """An installed package with one module of three bytes."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (site / f"{name}.py").write_text("abc")
    (info / "RECORD").write_text(record)
    if installer:
        (info / "INSTALLER").write_text("pip")
    return info


def test_damaged_finds_what_a_killed_pip_leaves(tmp_path):
    wheel(tmp_path, "whole", "whole.py,sha256=x,3\nwhole-1.0.dist-info/RECORD,,\n")
    wheel(tmp_path, "compiled", "compiled.py,,3\n__pycache__/compiled.cpython-311.pyc,,\n")
    wheel(tmp_path, "quoted", '"quoted.py",,3\n')
    short = wheel(tmp_path, "short", "short.py,,4\n")
    gone = wheel(tmp_path, "gone", "gone.py,,3\nelsewhere.py,,1\n")
    early = wheel(tmp_path, "early", "early.py,,3\n", installer=False)
    assert sorted(environment.damaged(tmp_path)) == sorted([short, gone, early])


def test_foreign_header_paths():
    text = (
        b"A;/opt/python/cp311-cp311/include/python3.11;/opt/python/cp311-cp311/lib/x;"
        b"/opt/python/cp312-cp312/lib/python3.12/site-packages/numpy/_core/include"
    )
    kinds = [match.lastgroup for match in environment.FOREIGN_PYTHON.finditer(text)]
    assert kinds == ["python", None, "numpy"]


def test_a_sourced_ros_is_taken_and_remembered(layout, tmp_path, monkeypatch):
    prefix = tmp_path.parent / "opt_ros_jazzy"
    package = prefix / "lib/python3.12/site-packages/rclpy"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (prefix / "setup.sh").touch()
    monkeypatch.delenv("ROS", raising=False)
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    # A workspace of this clone comes first on the path and is not a ROS installation.
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path}/install/hil_serl_msgs:{prefix}")
    assert environment.system_ros(layout) == prefix
    monkeypatch.setenv("ROS", "wheels")
    assert environment.system_ros(layout) is None
    monkeypatch.setenv("ROS", "")
    monkeypatch.setenv("ROS_DISTRO", "humble")
    assert environment.system_ros(layout) is None
    (layout.state / "ros_prefix").write_text(str(prefix))
    assert environment.system_ros(layout) == prefix


def test_ros_from_the_system_that_is_not_there_is_an_error(layout, monkeypatch):
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    monkeypatch.setenv("ROS", "system")
    with pytest.raises(SetupError, match="source /opt/ros/jazzy"):
        environment.system_ros(layout)


@pytest.fixture
def taken(layout, monkeypatch):
    """Collects pip's arguments. By default neither pip's own sources nor PyTorch's index have a CPU build."""
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(
        pytorch, "install", lambda layout, stamps, console, step, title, key, *args: calls.append(args)
    )
    monkeypatch.setattr(pytorch, "resolved", lambda layout, requirement, *args: None)
    monkeypatch.setattr(pytorch, "has_nvidia", lambda: False)
    monkeypatch.delenv("TORCH", raising=False)
    return calls


def ensure_torch(layout, console):
    pytorch.ensure(layout, Stamps(layout.state / "stamps"), console)


def test_cpu_build_of_pips_own_sources_comes_first(layout, console, taken, monkeypatch):
    monkeypatch.setattr(pytorch, "resolved", lambda layout, requirement, *args: "2.13.0+cpu")
    ensure_torch(layout, console)
    assert taken == [("torch==2.13.0+cpu", "--no-deps")]


def test_then_pytorchs_index(layout, console, taken, monkeypatch):
    monkeypatch.setattr(
        pytorch, "resolved", lambda layout, requirement, *args: "2.13.0+cpu" if args else None
    )
    ensure_torch(layout, console)
    assert taken == [("torch==2.13.0+cpu", "--extra-index-url", pytorch.CPU_INDEX, "--no-deps")]


def test_else_the_plain_build_is_announced_with_its_size(layout, console, taken, capsys):
    ensure_torch(layout, console)
    assert taken[0][0] == "torch==2.13.0"
    assert "GB to download" in capsys.readouterr().out


def test_cuda_replaces_a_cpu_build_and_stays(layout, console, taken, monkeypatch):
    (layout.site / "torch-2.13.0+cpu.dist-info").mkdir()
    monkeypatch.setenv("TORCH", "cuda")
    ensure_torch(layout, console)
    assert "--force-reinstall" in taken[0]
    monkeypatch.setenv("TORCH", "")
    ensure_torch(layout, console)
    assert taken[1][0] == "torch==2.13.0"
    assert "--no-deps" not in taken[1]


def test_unknown_torch_is_an_error(monkeypatch):
    monkeypatch.setenv("TORCH", "gpu")
    with pytest.raises(SetupError, match="TORCH=gpu is not one of"):
        pytorch.wish()


def test_a_source_that_hangs_is_given_up(layout, monkeypatch):
    script = layout.root / "pip"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o755)
    monkeypatch.setattr(Layout, "python", property(lambda self: script))
    monkeypatch.setattr(pytorch, "PROBE_S", 0.2)
    assert pytorch.resolved(layout, "torch==2.13.0") is None


def package(src: Path, name: str, **files: str) -> Path:
    folder = src / name
    for path, text in {
        "package.xml": "<package/>",
        "setup.py": "setup()",
        f"{name}/node.py": "x = 1",
        **files,
    }.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return folder


def test_an_edited_module_needs_no_build_but_a_new_data_file_does(layout):
    (layout.root / "colcon.meta").touch()
    (layout.root / "tools").mkdir()
    (layout.root / "tools/build.sh").touch()
    folder = package(layout.root / "src", "python_package")
    before = workspace.key_of(layout)
    (folder / "python_package/node.py").write_text("x = 2")
    (folder / "python_package/new.py").write_text("x = 3")
    assert workspace.key_of(layout) == before
    (folder / "config").mkdir()
    (folder / "config/task.yaml").touch()
    assert workspace.key_of(layout) != before


def test_an_edited_cpp_source_needs_a_build(layout):
    folder = package(
        layout.root / "src", "cpp_package", **{"CMakeLists.txt": "project(x)", "src/a.cpp": "int a;"}
    )
    before = hash_of(*workspace.inputs(folder))
    (folder / "src/a.cpp").write_text("int b;")
    assert hash_of(*workspace.inputs(folder)) != before


def test_build_folders_without_a_result_are_dropped(tmp_path):
    for name in ("finished", "cut_off"):
        (tmp_path / name).mkdir()
    (tmp_path / "finished/colcon_build.rc").write_text("0")
    workspace.drop_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["finished"]


def test_missing_system_packages_without_root_are_one_line(console, monkeypatch):
    needs = (
        system.Need("a C++ compiler", lambda: False, ("g++",)),
        system.Need("make", lambda: True, ("make",)),
    )
    monkeypatch.setattr(system, "NEEDS", needs)
    monkeypatch.setattr(system, "apt_prefix", lambda: None)
    monkeypatch.setattr(system.shutil, "which", lambda name: "/usr/bin/apt-get")
    with pytest.raises(SetupError) as error:
        system.ensure(console)
    text = str(error.value)
    assert "\n" not in text
    assert "a C++ compiler" in text
    assert text.endswith("sudo apt-get install -y --no-install-recommends g++")


def test_a_failing_child_is_reported_with_its_last_lines(console, tmp_path):
    with pytest.raises(SetupError, match=r"(?s)exit code 3.*child\.log.*the reason"):
        console.run(["sh", "-c", "echo the reason; exit 3"], "child.log")
    assert (tmp_path / "log/child.log").read_text().startswith("$ sh -c")


def test_orphans_of_this_clone_are_ended_and_no_others(tmp_path):
    def start(root):
        env = {**os.environ, MARK: str(root)}
        return subprocess.Popen(["sleep", "3600"], env=env, start_new_session=True)

    ours, others = start(tmp_path / "clone"), start(tmp_path / "other")
    try:
        wait_for(lambda: end_orphans(tmp_path / "clone"), "the orphan, which may not be past exec yet")
        assert ours.wait(PATIENCE) == -signal.SIGKILL
        assert others.poll() is None
    finally:
        for child in (ours, others):
            child.kill()
            child.wait()


@pytest.fixture
def clone(tmp_path):
    """What the first second of a set-up needs of a clone, in a folder of any name."""

    def make(name: str) -> Path:
        for part in ("tools", "requirements", "src/hil_serl_cli/hil_serl_cli"):
            shutil.copytree(ROOT / part, tmp_path / name / part, ignore=shutil.ignore_patterns("__pycache__"))
        return tmp_path / name

    return make


def start_setup(clone: Path, *options: str, without: tuple[str, ...] = (), **variables: str):
    """`make setup` up to its first refusal; system packages are never installed."""
    programs = clone / "programs"
    programs.mkdir(exist_ok=True)
    for name in ("apt-get", "sudo"):
        (programs / name).write_text(f"#!/bin/sh\ntouch {str(programs)!r}/called\nexit 1\n")
        (programs / name).chmod(0o755)
    path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **variables}
    for name in without:
        environment.pop(name, None)
    command = ["bash", str(clone / "tools" / "setup.sh"), *options]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, errors="replace", timeout=PATIENCE
    )
    assert not (programs / "called").exists(), "it went for system packages"
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.parametrize(
    "name", ["a clone", "Größe", "one:two", "it's", "a [b]", "x;y", "100%", "$HOME", "line\nbreak"]
)
def test_a_path_that_tools_cannot_cope_with_is_refused_at_once(clone, name):
    folder = clone(name)
    done = start_setup(folder)
    assert done.returncode == 1
    assert "the path of this clone has " in done.stderr
    remedy = done.stderr.split("move it: ")[1]
    assert not (folder / ".venv").exists()
    subprocess.run(["bash", "-c", remedy.strip()], check=True)
    assert not folder.exists()
    moved = [path for path in folder.parent.iterdir() if (path / "tools").is_dir()]
    assert [trouble_with([path]) for path in moved] == [None]


def test_where_a_link_leads_counts_too(clone, tmp_path):
    (tmp_path / "link").symlink_to(clone("a clone"))
    assert "a blank" in start_setup(tmp_path / "link").stderr


def test_its_refusal_can_be_read_in_an_ascii_terminal(clone):
    done = start_setup(clone("Größe"), PYTHONIOENCODING="ascii:strict")
    assert "Gr\\xf6\\xdfe" in done.stderr


@pytest.mark.parametrize("home", [None, "/proc/nowhere"])
def test_python_is_found_without_a_home(clone, home):
    """The refusal comes from Python, so that one was found; nothing is asked of apt."""
    variables = {"HOME": home} if home else {}
    done = start_setup(clone("a clone"), without=() if home else ("HOME",), **variables)
    assert "a blank" in done.stderr


def test_a_python_whose_path_has_a_blank_is_taken(clone, tmp_path):
    (tmp_path / "my python").mkdir()
    (tmp_path / "my python" / "python3").symlink_to(sys.executable)
    done = start_setup(clone("a clone"), PYTHON=str(tmp_path / "my python" / "python3"))
    assert "a blank" in done.stderr


def test_a_linked_environment_of_another_clone_costs_nothing(layout, console):
    (layout.root / "install").mkdir()
    shutil.rmtree(layout.venv)
    layout.venv.symlink_to(layout.root / "of_another_clone")
    with pytest.raises(SetupError, match=r"is a link to .*of_another_clone.*: rm "):
        environment.make_venv(layout, Stamps(layout.root / "stamps"), console, None)
    assert (layout.root / "install").is_dir()


def test_a_package_index_that_never_answers_is_given_up_and_named(layout, console, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        for name in [name for name in os.environ if name.startswith("PIP_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_INDEX_URL", url)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setattr(Layout, "python", property(lambda self: Path(sys.executable)))
        monkeypatch.setitem(environment.PATIENCE, "PIP_DEFAULT_TIMEOUT", "1")
        monkeypatch.setitem(environment.PATIENCE, "PIP_RETRIES", "1")
        with pytest.raises(SetupError, match=f"did not answer .PIP_INDEX_URL={url}.*proxy"):
            environment.pip(
                layout, console, "download", "--no-deps", "-d", str(layout.root), "no-such-package==1.0"
            )


def test_waiting_for_an_index_is_shown(console, tmp_path):
    log = tmp_path / "pip.log"
    log.write_text(
        "Looking in indexes\nWARNING: Retrying (Retry(total=1)) after connection broken\nWARNING: else\n"
    )
    assert "Retrying" in _last_line(log)


def sourced(**variables: str) -> dict[str, str]:
    """Variables after `source tools/env.sh`, and what it said, as STDERR."""
    line = f"source {ROOT}/tools/env.sh && env -0"
    done = subprocess.run(
        ["bash", "-c", line], env={**os.environ, **variables}, capture_output=True, check=True
    )
    entries = (entry.split("=", 1) for entry in done.stdout.decode().split("\0") if "=" in entry)
    return {**dict(entries), "STDERR": done.stderr.decode()}


needs_wheels = pytest.mark.skipif(
    importlib.util.find_spec("ros_wheels_bootstrapper") is None, reason="ROS is not from wheels here"
)


@needs_wheels
def test_a_middleware_left_over_is_replaced_with_a_word():
    found = sourced(RMW_IMPLEMENTATION="rmw_cyclonedds_cpp")
    assert found["RMW_IMPLEMENTATION"] == "rmw_fastrtps_cpp"
    assert "RMW_IMPLEMENTATION=rmw_cyclonedds_cpp is not in this environment" in found["STDERR"]
    assert sourced()["STDERR"] == ""


@needs_wheels
def test_another_ros_of_the_same_terminal_is_left_out(tmp_path):
    (tmp_path / "humble" / "rclpy").mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    found = sourced(PYTHONPATH=f"{tmp_path}/humble:{tmp_path}/mine", ROS_DISTRO="humble")
    entries = found["PYTHONPATH"].split(":")
    assert f"{tmp_path}/humble" not in entries
    assert f"{tmp_path}/mine" in entries
    assert found["ROS_DISTRO"] == "jazzy"
    assert "humble is left out of PYTHONPATH" in found["STDERR"]
