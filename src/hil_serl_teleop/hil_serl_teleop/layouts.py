# SPDX-License-Identifier: Apache-2.0
"""Which axis of a device's Joy message moves what: known layouts by name, and others written out in a robot file."""

from __future__ import annotations

import difflib
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

AxisName = Literal["x", "y", "z", "roll", "pitch", "yaw"]
AXES: tuple[AxisName, ...] = ("x", "y", "z", "roll", "pitch", "yaw")
"""Axes of a device, in the order of ``OperatorInput.axes``."""
_MOST_AXES = 64  # of a Joy message; a larger number is a mistake


def _listed(value: object) -> object:
    return [value] if isinstance(value, int) else value


class DeviceLayout(BaseModel):
    """Where a device's driver puts its axes in ``sensor_msgs/Joy``; counted from 1, as in ``intervention.axis_map``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    axes: dict[AxisName, Annotated[tuple[int, ...], BeforeValidator(_listed)]] = Field(
        description="for x, y, z, roll, pitch, yaw of the device: number of the Joy axis, counted from 1, negative: "
        "reversed; of a list, all are added. One that is left out the device does not have"
    )
    triggers: tuple[int, ...] = Field(
        default=(),
        description="Joy axes that show +1 at rest and -1 when pulled; they count as 0 at rest to 1 pulled",
    )

    @model_validator(mode="after")
    def _axes_exist(self) -> DeviceLayout:
        used = [abs(number) for terms in self.axes.values() for number in terms]
        if not used:
            raise ValueError("a layout without axes moves nothing; name at least one")
        for number in (*used, *self.triggers):
            if not 1 <= number <= _MOST_AXES:
                raise ValueError(
                    f"{number} is no Joy axis: they are counted from 1, and a trigger has no sign"
                )
        if unused := sorted(set(self.triggers) - set(used)):
            raise ValueError(
                f"triggers names axis {unused[0]}, which no axis of the device uses; those used are {sorted(set(used))}"
            )
        return self

    @property
    def joy_axes(self) -> int:
        """Fewest axes the Joy message must carry."""
        return max(abs(number) for terms in self.axes.values() for number in terms)

    @property
    def reach(self) -> frozenset[tuple[str, int]]:
        """Axes and directions (+1, -1) in which the device can be moved; a trigger alone moves one way."""
        found = set()
        for name, terms in self.axes.items():
            for number in terms:
                sign = 1 if number > 0 else -1
                found.add((name, sign))
                if abs(number) not in self.triggers:
                    found.add((name, -sign))
        return frozenset(found)


SIX_AXES = DeviceLayout(axes={name: (number,) for number, name in enumerate(AXES, 1)})
"""spacenav/joy, and what imitates it: normalised x, y, z, roll, pitch, yaw."""

PAD_LAYOUTS: dict[str, DeviceLayout] = {
    # Left stick x and y, triggers z, right stick pitch and yaw; no roll. Joy axes in their order:
    # LX LY LT RX RY RT: joy_node with an Xbox pad at USB, a PlayStation pad.
    "xbox": DeviceLayout(
        axes={"x": (2,), "y": (1,), "z": (3, -6), "pitch": (5,), "yaw": (4,)}, triggers=(3, 6)
    ),
    # LX LY RX RY RT LT: joy_node with an Xbox pad over Bluetooth.
    "xbox_bluetooth": DeviceLayout(
        axes={"x": (2,), "y": (1,), "z": (6, -5), "pitch": (4,), "yaw": (3,)}, triggers=(5, 6)
    ),
    # LX LY RX RY LT RT, triggers 0 at rest and -1 pulled: game_controller_node, for every pad that SDL knows.
    "game_controller": DeviceLayout(axes={"x": (2,), "y": (1,), "z": (-5, 6), "pitch": (4,), "yaw": (3,)}),
}
"""Gamepads by the name used for ``layout`` in a robot file."""

PadName = Literal["xbox", "xbox_bluetooth", "game_controller"]


def layout_to_text(layout: str | DeviceLayout | None) -> str:
    """A layout as a parameter of the actor: a name, JSON, or nothing for the driver's usual one."""
    return layout.model_dump_json() if isinstance(layout, DeviceLayout) else layout or ""


def layout_from_text(text: str) -> DeviceLayout:
    """The layout of a name or of JSON; raises ValueError that says what is wrong."""
    if not text.lstrip().startswith("{"):
        if text in PAD_LAYOUTS:
            return PAD_LAYOUTS[text]
        near = difflib.get_close_matches(text, PAD_LAYOUTS, n=1, cutoff=0.4)
        hint = f"did you mean '{near[0]}'?" if near else f"known layouts: {', '.join(PAD_LAYOUTS)}"
        raise ValueError(f"no device layout is named '{text}'; {hint}")
    try:
        return DeviceLayout.model_validate_json(text)
    except ValidationError as error:
        reasons = "; ".join(str(entry["msg"]).removeprefix("Value error, ") for entry in error.errors())
        raise ValueError(f"the device layout {text} cannot be used: {reasons}") from error
