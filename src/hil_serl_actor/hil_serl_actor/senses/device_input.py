# SPDX-License-Identifier: Apache-2.0
"""One operator's device: its newest message is kept as it came and decoded when a tick looks at it. No ROS.

Drivers send up to 1000 messages a second, and the loop acts ten times: all but the newest would be decoded for nothing. A
button that changes is another matter: a press may be over before the next tick, and a stop waits for none.
"""

from __future__ import annotations

from collections.abc import Sequence

from hil_serl_core.arbiter import OperatorInput
from hil_serl_core.spec import TaskSpec
from hil_serl_teleop.devices import Device, TeleopDecoder
from hil_serl_teleop.stuck import StuckInput


class DeviceInput:
    """Decodes what somebody looks at, and every message in which a button changed.

    Attributes:
        received: Messages so far.
        decoded: Of these, the ones that were decoded.
        stuck: Watches what was decoded.
    """

    def __init__(self, spec: TaskSpec, device: Device) -> None:
        self._decoder = TeleopDecoder(device)
        self._buttons: Sequence[int] | None = None
        self._waiting: tuple[float, Sequence[float], Sequence[int]] | None = None
        self.received = self.decoded = 0
        self.stuck = StuckInput(spec, device)

    def put(self, stamp: float, axes: Sequence[float], buttons: Sequence[int]) -> bool:
        """Take a message; True if a button changed with it, so that it has to be looked at before the next one comes.

        Args:
            stamp: Time of the message [s].
            axes: As published.
            buttons: As published; compared, not copied.
        """
        self.received += 1
        changed = buttons != self._buttons
        self._waiting, self._buttons = (stamp, axes, buttons), buttons
        return changed

    def pressed(self, button: int | None) -> bool:
        """Whether a button (0-based, None: there is none) is down in the newest message, whatever its axes are."""
        held = self._buttons or ()
        return button is not None and button < len(held) and bool(held[button])

    def look(self, now: float) -> OperatorInput | None:
        """The newest message, decoded at ``now`` [s] of a steady clock; None if it was looked at before.

        Raises:
            ValueError: Its axes cannot be used.
        """
        if self._waiting is None:
            return None
        (stamp, axes, buttons), self._waiting = self._waiting, None
        self.decoded += 1
        value = self._decoder.decode(stamp, axes, buttons)
        self.stuck.look(value, axes, now)
        return value
