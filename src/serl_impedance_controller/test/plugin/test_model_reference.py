# SPDX-License-Identifier: Apache-2.0
"""What MuJoCo says of test_arm.urdf: the numbers that test_robot_model.cpp holds pinocchio against.

``python test/plugin/test_model_reference.py > test/plugin/model_reference.txt`` writes them; the test checks that the
file is what MuJoCo says today.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

try:
    import mujoco
except ImportError:
    mujoco = None

HERE = Path(__file__).parent
BASE, TCP, JOINTS = "arm_base", "tool", [f"joint{i}" for i in range(1, 8)]
SAMPLES = 5
GRAVITY = (0.0, 0.0, -9.81)


def load() -> mujoco.MjModel:
    """The URDF, every link of it kept, fingers included."""
    urdf = (HERE / "test_arm.urdf").read_text()
    options = '<mujoco><compiler fusestatic="false"/></mujoco>'
    model = mujoco.MjModel.from_xml_string(urdf.replace("</robot>", options + "</robot>"))
    model.opt.gravity[:] = GRAVITY
    return model


def full_mass(model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
    """Dense mass matrix (nv, nv), column by column from M x: the same in every version of MuJoCo."""
    columns = []
    for unit in np.eye(model.nv):
        out = np.zeros(model.nv)
        mujoco.mj_mulM(model, data, out, unit)
        columns.append(out)
    return np.array(columns)


def sample(model: mujoco.MjModel, q: np.ndarray, dq: np.ndarray) -> dict[str, np.ndarray]:
    """Pose (7,), jacobian (6, 7), mass (7, 7), gravity (7,), Coriolis torque (7,); base frame, fingers at zero."""
    data = mujoco.MjData(model)
    dofs = [model.joint(name).dofadr[0] for name in JOINTS]
    data.qpos[[model.joint(name).qposadr[0] for name in JOINTS]] = q
    mujoco.mj_forward(model, data)
    gravity = data.qfrc_bias[dofs].copy()
    data.qvel[dofs] = dq
    mujoco.mj_forward(model, data)
    base, tcp = data.body(BASE), data.body(TCP)
    to_base = base.xmat.reshape(3, 3).T
    jacobian = np.zeros((6, model.nv))
    mujoco.mj_jacBody(model, data, jacobian[:3], jacobian[3:], model.body(TCP).id)
    turned = to_base @ tcp.xmat.reshape(3, 3)
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, turned.ravel())
    return {
        "q": q,
        "dq": dq,
        "position": to_base @ (tcp.xpos - base.xpos),
        "quaternion_xyzw": np.roll(quaternion, -1),
        "jacobian": (np.kron(np.eye(2), to_base) @ jacobian)[:, dofs].ravel(),
        "mass": full_mass(model, data)[np.ix_(dofs, dofs)].ravel(),
        "gravity": gravity,
        "coriolis": data.qfrc_bias[dofs] - gravity,
    }


def reference() -> str:
    """The file: a name and its numbers a line."""
    model = load()
    rng = np.random.default_rng(7)
    lines = [
        f"# test_model_reference.py: {SAMPLES} samples of test_arm.urdf; SI units, base frame, matrices by row"
    ]
    for _ in range(SAMPLES):
        values = sample(model, rng.uniform(-2.0, 2.0, 7), rng.uniform(-1.5, 1.5, 7))
        lines += [f"{name} " + " ".join(f"{value:.12g}" for value in row) for name, row in values.items()]
    return "\n".join(lines) + "\n"


def numbers(text: str) -> list[tuple[str, np.ndarray]]:
    """Names and values of a file's lines."""
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return [(name, np.array(values, dtype=float)) for name, *values in lines]


@pytest.mark.skipif(mujoco is None, reason="needs mujoco")
def test_reference_file_is_what_mujoco_says():
    stored = numbers((HERE / "model_reference.txt").read_text())
    fresh = numbers(reference())
    assert [name for name, _ in stored] == [name for name, _ in fresh]
    for (name, old), (_, new) in zip(stored, fresh, strict=True):
        np.testing.assert_allclose(old, new, atol=1e-9, err_msg=name)


if __name__ == "__main__":
    print(reference(), end="")
