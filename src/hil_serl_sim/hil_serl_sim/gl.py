# SPDX-License-Identifier: Apache-2.0
"""Choice of MuJoCo's OpenGL backend, also for a ``mujoco`` that was imported before."""

import importlib
import os
import subprocess
import sys
from typing import NoReturn

BACKENDS = ("egl", "osmesa", "glfw")

REMEDY = (
    "MuJoCo cannot draw on this machine: none of the OpenGL backends {tried} works. Install one, for example "
    "'apt-get install libegl1 libegl-mesa0' (EGL) or "
    "'apt-get install libosmesa6' (OSMesa), and start again.\n{detail}"
)

# A backend that cannot work often ends the process, so it is tried in another one. os._exit skips EGL's
# clean-up at exit, which some drivers crash in.
_PROBE = """
import os, mujoco
xml = '<mujoco><worldbody><light pos="0 0 2"/><geom size="1"/></worldbody></mujoco>'
model = mujoco.MjModel.from_xml_string(xml)
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
renderer = mujoco.Renderer(model, 16, 16)
renderer.update_scene(data)
os._exit(0 if renderer.render().any() else 3)
"""


class RendererUnavailableError(OSError):
    """No OpenGL backend works; the message names the remedy."""


def probe(backend: str, timeout: float = 60.0) -> str | None:
    """Draw one picture with a backend in a child process.

    Args:
        backend: value for ``MUJOCO_GL``.
        timeout: seconds after which the backend counts as not working.

    Returns:
        None when it works, else the last line of what the child said.
    """
    environment = {**os.environ, "MUJOCO_GL": backend}
    environment.pop("PYOPENGL_PLATFORM", None)
    try:
        child = subprocess.run(
            [sys.executable, "-c", _PROBE],
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no picture within {timeout:g} s; if the machine is very busy, start again when it is not"
    if child.returncode == 0:
        return None
    lines = child.stderr.strip().splitlines()
    return lines[-1] if lines else f"exit status {child.returncode}"


def leave(code: int) -> NoReturn:
    """End the process of a node that draws, when everything of its own is closed.

    Skips what runs at exit: there EGL is cleaned up, which some drivers crash in, and a run that went well would be
    reported as ended by a signal.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def choose_backend() -> str:
    """Set ``MUJOCO_GL`` to a backend that works and return it; the user's own choice is only checked.

    A ``mujoco`` that was imported before, with another choice or none, is given this one.

    Raises:
        RendererUnavailableError: no backend works.
    """
    backend = _choose()
    _tell_mujoco(backend)
    return backend


def _choose() -> str:
    wanted = os.environ.get("MUJOCO_GL", "").strip().lower()
    if os.environ.get("_HIL_SERL_GL_CHECKED") == wanted and wanted:
        return wanted
    failures = {}
    for backend in (wanted,) if wanted else BACKENDS:
        failure = probe(backend)
        if failure is None:
            os.environ["MUJOCO_GL"] = backend
            os.environ["_HIL_SERL_GL_CHECKED"] = backend  # child processes need not try again
            return backend
        failures[backend] = failure
    detail = "\n".join(f"  {name}: {failure}" for name, failure in failures.items())
    if wanted:
        detail += (
            f"\nMUJOCO_GL={wanted} is set in the environment; unset it to let a working backend be chosen."
        )
    raise RendererUnavailableError(REMEDY.format(tried=", ".join(failures), detail=detail))


def _tell_mujoco(backend: str) -> None:
    """Have modules of mujoco that read ``MUJOCO_GL`` at their import read it again."""
    for name in ("mujoco.rendering.classic.gl_context", "mujoco.gl_context"):
        module = sys.modules.get(name)
        if module is None or getattr(module, "_MUJOCO_GL", None) == backend:
            continue
        importlib.reload(module)
        if "mujoco" in sys.modules and hasattr(module, "GLContext"):
            sys.modules["mujoco"].GLContext = module.GLContext  # type: ignore[attr-defined]
