# SPDX-License-Identifier: Apache-2.0
"""A Gymnasium environment as the cell behind the actor, with the topics of the simulated cell."""

from pathlib import Path
from typing import NoReturn

from hil_serl_core.spec import TaskSpec
from hil_serl_ros.node_main import run_node
from hil_serl_ros.parameters import Parameters
from hil_serl_sim.gl import leave
from hil_serl_sim.gym_cell import Adapter, GymCell, make_environment
from hil_serl_sim.sim_node import SimNode


class GymNode(SimNode):
    """Wires a :class:`~hil_serl_sim.gym_cell.GymCell` to topics.

    Parameters, besides those of :class:`~hil_serl_sim.sim_node.SimNode`:
        environment: Gymnasium id, or ``module:Class``.
        adapter: YAML file that maps its observation to the task; empty: SERL's names.
    """

    def _make_cell(self, spec: TaskSpec, parameters: Parameters, seed: int) -> GymCell:
        name = parameters.string("environment", description="Gymnasium id, or module:Class")
        adapter = parameters.string("adapter", "", description="adapter file; empty: SERL's names")
        mode = {"render_mode": "rgb_array"} if self._display else {}
        environment = make_environment(name, **mode)
        mapping = Adapter.load(Path(adapter).expanduser() if adapter else None)
        return GymCell(spec, environment, mapping, seed, tell=self.get_logger().warning)


def main(args: list[str] | None = None) -> NoReturn:
    """Entry point; ends the process."""
    leave(run_node(GymNode, args=args))


if __name__ == "__main__":
    main()
