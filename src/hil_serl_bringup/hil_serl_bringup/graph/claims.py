# SPDX-License-Identifier: Apache-2.0
"""What a run claims of the ROS domain it is in, so that no second one of the same names starts beside it."""

from __future__ import annotations

from collections.abc import Sequence

from hil_serl_bringup.graph.process import ProcessSpec
from hil_serl_bringup.graph.robot_model import Robot
from hil_serl_ros.domain import CLOCK, Reservation, domain_asked_for, role

ACTOR, LEARNER, CELL = "actor", "learner", "cell"
_ROLES = {
    "actor_node": ACTOR,
    "learner_node": LEARNER,
    "cell_node": CELL,
    "sim_node": CELL,
    "gym_node": CELL,
}
_SIMULATORS = ("sim_node", "gym_node")


def claims_of(processes: Sequence[ProcessSpec]) -> set[str]:
    """Claims of the processes of a graph; none of those that only look on."""
    claims = {role(_ROLES[p.executable], p.namespace) for p in processes if p.executable in _ROLES}
    return claims | ({CLOCK} if any(p.executable in _SIMULATORS for p in processes) else set())


def claims_of_run(robot: Robot, namespace: str) -> set[str]:
    """Claims of all phases of a run of the command-line tool."""
    roles = [ACTOR, LEARNER] if runs_elsewhere(robot) else [ACTOR, LEARNER, CELL]
    return {role(name, namespace) for name in roles} | ({CLOCK} if robot.simulated else set())


def runs_elsewhere(robot: Robot) -> bool:
    """Whether the cell's drivers run already, in a domain that somebody else chose."""
    return not (robot.simulated or robot.arms_by_name or robot.drivers)


def reserve_launched(processes: Sequence[ProcessSpec]) -> Reservation | None:
    """Claim for a launch file what it starts, in the domain of its terminal; None if it only looks on.

    Raises:
        DomainBusyError: A run on this machine has it.
    """
    claims = claims_of(processes)
    return Reservation(domain_asked_for() or 0, claims) if claims else None
