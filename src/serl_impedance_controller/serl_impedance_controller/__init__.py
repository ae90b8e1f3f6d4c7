# SPDX-License-Identifier: Apache-2.0
"""Control law of the arm: Cartesian impedance with a limited reference, and feed-forward wrench.

The law is C++ (headers under ``include/serl_impedance_controller``); this package is its binding, the same
code that a real-time controller runs. A minimal loop at 1 kHz::

    controller = Controller()
    controller.set(stiffness=[3000, 3000, 3000, 250, 250, 250], clip_pos=0.01, clip_neg=0.01)
    controller.set_target_pose(pose7, stamp)
    torque = controller.update(q, dq, pose7, jacobian, bias, mass_matrix, time)
    if controller.fault:
        print(controller.fault.text)
"""

from serl_impedance_controller._law import (
    Config,
    Controller,
    DampedVelocity,
    DampingKind,
    Fault,
    FaultCode,
    GainFrame,
    Mode,
    Stability,
    State,
)

__all__ = [
    "Config",
    "Controller",
    "DampedVelocity",
    "DampingKind",
    "Fault",
    "FaultCode",
    "GainFrame",
    "Mode",
    "Stability",
    "State",
]
