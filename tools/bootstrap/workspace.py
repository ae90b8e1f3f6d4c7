# SPDX-License-Identifier: Apache-2.0
"""The colcon workspace: what it is built from, and building it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from console import Console, SetupError
from environment import Layout
from stamps import Stamps, hash_of

# Of a Python package these decide what colcon links and installs; its linked modules need no second build.
PYTHON_INPUTS = ("package.xml", "setup.py", "setup.cfg", "MANIFEST.in")


def packages(src: Path) -> list[Path]:
    """Folders of the workspace's packages."""
    return sorted(path.parent for path in src.glob("*/package.xml"))


def inputs(package: Path) -> list[str | bytes | Path]:
    """All that a build of `package` depends on, for hashing."""
    files = sorted(
        path
        for path in package.rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and not any(p.endswith(".egg-info") for p in path.parts)
    )
    names = [str(path.relative_to(package)) for path in files]
    if (package / "CMakeLists.txt").is_file():
        return [*names, *files]
    # The files' names count too: data files (configuration, launch) are linked one by one.
    modules = package / package.name
    data = [
        name
        for name, path in zip(names, files, strict=True)
        if modules not in path.parents and not name.startswith("test/")
    ]
    return [*data, *(package / name for name in PYTHON_INPUTS if (package / name).is_file())]


def key_of(layout: Layout) -> str:
    """Hash of all that the workspace's build depends on."""
    parts: list[str | bytes | Path] = [
        layout.base_lock,
        layout.root / "colcon.meta",
        layout.root / "tools/build.sh",
    ]
    for package in packages(layout.root / "src"):
        parts += [package.name, *inputs(package)]
    return hash_of(*parts)


def drop_unfinished(build: Path) -> None:
    """Removes the build folders of packages whose build did not reach its end: objects may be cut off."""
    for folder in build.glob("*/"):
        if folder.is_dir() and not (folder / "colcon_build.rc").is_file():
            shutil.rmtree(folder)


def build(layout: Layout, stamps: Stamps, console: Console, tests: bool) -> None:
    """Builds the workspace if anything it depends on changed, with the C++ tests if `tests`.

    Once built with tests it is kept so: `make demo` and `make test` in turn must not build anew.

    Raises:
        SetupError: there is no package, or colcon failed.
    """
    wanted = layout.state / "with_tests"
    if tests:
        wanted.touch()
    testing = "ON" if wanted.exists() else "OFF"
    key = hash_of(key_of(layout), testing)
    if stamps.done("workspace", key) and (layout.root / "install" / "local_setup.sh").is_file():
        return
    names = [package.name for package in packages(layout.root / "src")]
    if not names:
        raise SetupError(f"there is no package in {layout.root / 'src'}")
    folder = layout.root / "build"
    minutes = "3 minutes" if wanted.exists() else "1 minute"
    with console.step(f"Workspace: colcon builds {len(names)} packages (about {minutes} the first time)"):
        if stamps.interrupted("workspace"):
            drop_unfinished(folder)
        with stamps.doing("workspace", key):
            for result in folder.glob("*/colcon_build.rc"):
                result.unlink()
            environment = {**os.environ, "BUILD_TESTING": testing, "HIL_SERL_BUILD_LINES": "1"}
            script = str(layout.root / "tools" / "build.sh")
            console.run(["bash", script], "colcon.log", env=environment, cwd=layout.root)


def choose_renderer(layout: Layout, stamps: Stamps, console: Console) -> None:
    """Renders a frame under each GL back-end and remembers the first that works.

    Raises:
        SetupError: none works.
    """
    code = (
        "import mujoco\n"
        'xml = \'<mujoco><worldbody><light pos="0 0 2"/><geom size=".1"/></worldbody></mujoco>\'\n'
        "model = mujoco.MjModel.from_xml_string(xml)\n"
        "data = mujoco.MjData(model); mujoco.mj_forward(model, data)\n"
        "renderer = mujoco.Renderer(model, 32, 32); renderer.update_scene(data)\n"
        "brightness = renderer.render().max(); renderer.close()\n"
        "assert brightness > 0, 'the frame is black'\n"
    )
    key = hash_of("gl-1", layout.base_lock)
    if stamps.done("gl", key):
        return
    errors = []
    with console.step("Renderer: one frame"), stamps.doing("gl", key):
        for backend in ("egl", "osmesa"):
            try:
                environment = {**os.environ, "MUJOCO_GL": backend}
                console.run([str(layout.python), "-c", code], "gl.log", env=environment)
            except SetupError as error:
                errors.append(str(error))
            else:
                (layout.state / "gl").write_text(backend)
                return
        raise SetupError(
            "MuJoCo cannot render without a screen here. Install Mesa's software renderer: "
            "sudo apt-get install -y libegl1 libegl-mesa0 libgl1-mesa-dri libosmesa6\n" + "\n".join(errors)
        )
