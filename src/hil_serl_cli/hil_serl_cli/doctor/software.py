# SPDX-License-Identifier: Apache-2.0
"""The doctor's checks of programs, libraries and settings.

Whatever may crash or hang (drivers, native libraries) runs in a process of its own with a time limit.
"""

from __future__ import annotations

from hil_serl_cli.doctor.location import trouble_with
from hil_serl_cli.doctor.machine import Check, Machine, Status

BACKENDS = ("egl", "osmesa", "glfw")
SETUP = "make setup"


def _last(text: str) -> str:
    """The last line of an error message, where Python says what went wrong."""
    return text.splitlines()[-1][:160] if text else "no message"


def location(machine: Machine) -> Check:
    """The path of the clone, which goes into scripts, compilers' arguments and PATH."""
    trouble = trouble_with([machine.workspace, machine.workspace.resolve()])
    if trouble is None:
        return Check("Location", Status.OK, str(machine.workspace), required=True)
    finding, remedy = trouble
    cost = "the set-up fails, or ends with programs that do not start"
    return Check("Location", Status.MISSING, finding, cost, f"{remedy}, then {SETUP} there", required=True)


def python(machine: Machine) -> Check:
    """Python 3.11 or 3.12."""
    found = ".".join(map(str, machine.version))
    if (3, 11) <= machine.version[:2] <= (3, 12):
        return Check("Python", Status.OK, f"{found} ({machine.python})", required=True)
    return Check(
        "Python",
        Status.MISSING,
        f"{found}",
        "no wheels are locked for this version",
        "make setup PYTHON=python3.12",
        required=True,
    )


def compiler(machine: Machine) -> Check:
    """A C++ compiler, for the control law and the messages."""
    found = next((path for name in ("c++", "g++", "clang++") if (path := machine.which(name))), None)
    if found:
        code, text = machine.run([found, "--version"], machine.env, 10)
        return Check(
            "C++ compiler", Status.OK, text.splitlines()[0] if code == 0 and text else found, required=True
        )
    return Check(
        "C++ compiler",
        Status.MISSING,
        "none on the path",
        "the workspace cannot be built",
        "sudo apt-get install -y g++ make",
        required=True,
    )


ROS = (
    "import rclpy\nfrom rclpy.utilities import get_rmw_implementation_identifier as rmw\n"
    "print(rclpy.__file__, rmw(), sep='\\n')"
)


def ros(machine: Machine) -> Check:
    """The ROS 2 client library, installed or from wheels, with the middleware that is asked for."""
    code, text = machine.code(ROS)
    middleware = machine.env.get("RMW_IMPLEMENTATION", "")
    if code != 0 and middleware and machine.code(ROS, RMW_IMPLEMENTATION="")[0] == 0:
        return Check(
            "ROS 2",
            Status.MISSING,
            f"RMW_IMPLEMENTATION={middleware}, which is not installed here",
            "every ROS program ends at once in a terminal without tools/env.sh",
            f"unset RMW_IMPLEMENTATION (or install ROS 2 Jazzy with ros-jazzy-{middleware.replace('_', '-')})",
            required=True,
        )
    if code != 0:
        return Check(
            "ROS 2",
            Status.MISSING,
            _last(text),
            "no node can start",
            f"{SETUP}, or source ROS 2 Jazzy",
            required=True,
        )
    path, middleware = text.splitlines()[-2:]
    kind = "installed" if path.startswith("/opt/ros") else "wheels"
    distribution = machine.env.get("ROS_DISTRO", "jazzy")
    return Check("ROS 2", Status.OK, f"{distribution}, {kind}, {middleware}", required=True)


def ros_tools(machine: Machine) -> Check:
    """The command-line tools and RViz of a full installation."""
    lacking = [name for name in ("ros2", "rviz2") if machine.which(name) is None]
    if not lacking:
        return Check("ROS 2 tools", Status.OK, "ros2, rviz2")
    return Check(
        "ROS 2 tools",
        Status.NOTE,
        f"not here: {', '.join(lacking)}",
        "no ros2 topic, no launch files, no RViz; the hil-serl tool does without",
        "install ROS 2 Jazzy (Ubuntu 24.04), source it, then make setup",
    )


def workspace(machine: Machine) -> Check:
    """The colcon workspace: messages and control law can be imported."""
    code, text = machine.code("import hil_serl_msgs.msg, hil_serl_core, serl_impedance_controller")
    if code == 0:
        return Check("Workspace", Status.OK, f"built in {machine.workspace}", required=True)
    remedy = f"{SETUP}, then source tools/env.sh"
    return Check("Workspace", Status.MISSING, _last(text), "no node can start", remedy, required=True)


def torch(machine: Machine) -> Check:
    """PyTorch, and whether it computes on a GPU."""
    code, text = machine.code(
        "import torch\nprint(torch.__version__)\n"
        "print(torch.cuda.get_device_name(0) if torch.cuda.is_available() else '')"
    )
    if code != 0:
        return Check(
            "PyTorch", Status.MISSING, _last(text), "nothing can be trained or run", SETUP, required=True
        )
    version, gpu = (*text.splitlines(), "")[:2]
    if gpu:
        return Check("PyTorch", Status.OK, f"{version} on {gpu}", required=True)
    driver = machine.which("nvidia-smi") is not None or (machine.root / "proc/driver/nvidia/version").exists()
    cost = "updates run on the CPU: fine for the demo, slow for large images or several cameras"
    if driver:
        return Check(
            "PyTorch",
            Status.NOTE,
            f"{version}; an NVIDIA GPU is not used",
            cost,
            "make setup TORCH=cuda",
            True,
        )
    return Check(
        "PyTorch",
        Status.NOTE,
        f"{version}, CPU; no NVIDIA GPU",
        cost,
        "run the learner on a machine with a GPU and TORCH=cuda",
        True,
    )


FRAME = """
import mujoco
xml = '<mujoco><worldbody><light pos="0 0 2"/><geom size=".1"/></worldbody></mujoco>'
model = mujoco.MjModel.from_xml_string(xml)
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
renderer = mujoco.Renderer(model, 32, 32)
renderer.update_scene(data)
bright = renderer.render().max()
from OpenGL.GL import glGetString, GL_RENDERER
print((glGetString(GL_RENDERER) or b'').decode())
renderer.close()
assert bright > 0, 'the frame is black'
"""


def renderer(machine: Machine) -> Check:
    """Draws one frame with MuJoCo under the GL back-end that is set, else under each off-screen one."""
    chosen = machine.env.get("MUJOCO_GL", "").strip().lower()
    reasons = []
    for backend in dict.fromkeys((*([chosen] if chosen in BACKENDS else []), "egl", "osmesa")):
        code, text = machine.code(FRAME, MUJOCO_GL=backend)
        if code != 0:
            reasons.append(f"{backend}: {_last(text)}")
            continue
        found = f"{backend}: {text.splitlines()[-1] if text else 'works'}"
        if chosen and chosen != backend:
            return Check(
                "GL renderer",
                Status.MISSING,
                f"MUJOCO_GL={machine.env['MUJOCO_GL']} does not work here; {found}",
                "the simulator does not start with what is set",
                f"unset MUJOCO_GL (or: export MUJOCO_GL={backend})",
                required=True,
            )
        return Check("GL renderer", Status.OK, found, required=True)
    return Check(
        "GL renderer",
        Status.MISSING,
        "; ".join(reasons),
        "the simulated cameras cannot draw",
        "sudo apt-get install -y libegl1 libegl-mesa0 libgl1-mesa-dri libosmesa6",
        True,
    )


def domain(machine: Machine) -> Check:
    """ROS_DOMAIN_ID and how far this machine's nodes are heard."""
    value = machine.env.get("ROS_DOMAIN_ID", "0") or "0"
    scope = machine.env.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET") or "SUBNET"
    if not value.isdigit() or int(value) > 232:
        return Check(
            "ROS domain",
            Status.MISSING,
            f"ROS_DOMAIN_ID={value}",
            "no node can start",
            "export ROS_DOMAIN_ID=N with N from 0 to 101",
            required=True,
        )
    if 101 < int(value) < 215:
        return Check(
            "ROS domain",
            Status.NOTE,
            f"ROS_DOMAIN_ID={value}",
            "its ports may be taken by other programs",
            "choose one from 0 to 101",
        )
    if scope.upper() == "SUBNET":
        return Check(
            "ROS domain",
            Status.NOTE,
            f"ROS_DOMAIN_ID={value}, heard in the whole network",
            "another ROS machine in this domain can move your arm, and you theirs",
            "export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST, or a ROS_DOMAIN_ID of your own",
        )
    return Check("ROS domain", Status.OK, f"ROS_DOMAIN_ID={value}, {scope.lower()}")
