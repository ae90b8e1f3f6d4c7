# SPDX-License-Identifier: Apache-2.0
"""What the cell asks of each arm's controllers: a profile of gains, the end of a fault, another controller."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.node import Node
from std_srvs.srv import Trigger

from hil_serl_robot.cell.waiting import CellError, Waiting
from hil_serl_ros import names
from hil_serl_ros.optional import message_package

_PATIENCE = 5.0  # s to find a service, and again for its answer
_SWITCH = 10.0  # s


def needed(module: str, purpose: str) -> ModuleType:
    """See `message_package`; raises CellError."""
    return message_package(module, purpose, CellError)


class Controllers:
    """Services of one arm's controllers."""

    def __init__(
        self, node: Node, waiting: Waiting, arm: str, controller: str, controller_manager: str
    ) -> None:
        """``controller`` and ``controller_manager``: their node names, relative to the arm's namespace."""
        self._node, self._waiting = node, waiting
        self._controller = names.for_arm(controller, arm)
        self._name = controller.rsplit("/", 1)[-1]
        self._manager = names.for_arm(controller_manager, arm)
        self._clients: dict[str, Any] = {}
        self._reset_fault = self._client(Trigger, names.for_arm(names.RESET_FAULT, arm))

    def _client(self, kind: Any, name: str) -> Any:
        if name not in self._clients:
            self._clients[name] = self._node.create_client(kind, name, callback_group=self._waiting.group)
        return self._clients[name]

    async def set_parameters(self, values: Mapping[str, str]) -> None:
        """Set parameters of the controller, such as its profile or its mode.

        Raises:
            CellError: The controller does not run, or refuses.
        """
        client = self._client(SetParameters, f"{self._controller}/set_parameters")
        request = SetParameters.Request()
        for name, value in values.items():
            text = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)
            request.parameters.append(Parameter(name=name, value=text))
        remedy = (
            f"does the controller '{self._controller}' run? For a controller without profiles and modes leave "
            "reset_profile and episode_profile of cell_node empty and set switch_mode to false"
        )
        reply = await self._waiting.call(client, request, _PATIENCE, remedy)
        if not all(result.successful for result in reply.results):
            reasons = "; ".join(result.reason for result in reply.results if not result.successful)
            raise CellError(f"'{self._controller}' refuses {dict(values)}: {reasons}")

    async def joints(self) -> tuple[str, ...]:
        """Names of the controller's joints, in the order of arm_state; empty where it has no such parameter.

        Raises:
            CellError: The controller does not run.
        """
        client = self._client(GetParameters, f"{self._controller}/get_parameters")
        remedy = f"does the controller '{self._controller}' run?"
        reply = await self._waiting.call(client, GetParameters.Request(names=["joints"]), _PATIENCE, remedy)
        return tuple(name for value in reply.values for name in value.string_array_value)

    async def reset_fault(self) -> str:
        """End a latched fault of the controller; returns its words.

        Raises:
            CellError: The controller does not run, or refuses.
        """
        remedy = f"is the controller '{self._controller}' active?"
        reply = await self._waiting.call(self._reset_fault, Trigger.Request(), _PATIENCE, remedy)
        if not reply.success:
            raise CellError(f"'{self._reset_fault.srv_name}' was refused: {reply.message}")
        return str(reply.message)

    async def activate_hardware(self, component: str) -> None:
        """Make a hardware component of the controller manager active, as after an error of the arm.

        Raises:
            CellError: No controller manager, a package is missing, or it refuses.
        """
        srv = needed("controller_manager_msgs.srv", "activating the arm's hardware")
        client = self._client(srv.SetHardwareComponentState, f"{self._manager}/set_hardware_component_state")
        request = srv.SetHardwareComponentState.Request(name=component)
        request.target_state.label = "active"
        reply = await self._waiting.call(client, request, _SWITCH, self._remedy)
        if not reply.ok:
            raise CellError(
                f"'{self._manager}' cannot make the hardware '{component}' active (it is {reply.state.label}); is the arm "
                "unlocked and its emergency stop released? ros2 control list_hardware_components shows the names"
            )

    async def is_active(self) -> bool:
        """Whether the cartesian controller is active.

        Raises:
            CellError: No controller manager, a package is missing, or the controller is not loaded.
        """
        srv = needed("controller_manager_msgs.srv", "looking at the controllers")
        client = self._client(srv.ListControllers, f"{self._manager}/list_controllers")
        reply = await self._waiting.call(client, srv.ListControllers.Request(), _PATIENCE, self._remedy)
        states = {controller.name: controller.state for controller in reply.controller}
        if self._name not in states:
            raise CellError(
                f"'{self._manager}' has no controller '{self._name}', it has {', '.join(states) or 'none'}; load it, or "
                "set the parameter 'controller' of cell_node"
            )
        return bool(states[self._name] == "active")

    async def activate(self, other: str = "") -> None:
        """Give the arm to the cartesian controller; ``other`` is deactivated in the same tick.

        Raises:
            CellError: No controller manager, a package is missing, or it refuses.
        """
        await self._switch(self._name, other)

    async def give_to(self, other: str) -> None:
        """Give the arm to another controller instead of the cartesian one; errors as ``activate``."""
        await self._switch(other, self._name)

    async def _switch(self, on: str, off: str) -> None:
        srv = needed("controller_manager_msgs.srv", "switching controllers")
        client = self._client(srv.SwitchController, f"{self._manager}/switch_controller")
        request = srv.SwitchController.Request(
            activate_controllers=[on],
            deactivate_controllers=[off] if off else [],
            strictness=srv.SwitchController.Request.STRICT,
        )
        request.timeout.sec = int(_SWITCH)
        reply = await self._waiting.call(client, request, 2.0 * _SWITCH, self._remedy)
        if not reply.ok:
            said = getattr(reply, "message", "")
            raise CellError(
                f"'{self._manager}' did not switch from '{off or 'none'}' to '{on}'{': ' + said if said else ''}; are both "
                "loaded and configured (ros2 control list_controllers)?"
            )

    @property
    def _remedy(self) -> str:
        return f"does the controller manager '{self._manager}' run?"
