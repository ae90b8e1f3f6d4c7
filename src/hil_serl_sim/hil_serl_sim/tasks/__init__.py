# SPDX-License-Identifier: Apache-2.0
"""Twins by name. A further task is one module here and one line in ``_TWINS``."""

from importlib import import_module

from hil_serl_core.spec import TaskSpec
from hil_serl_sim.twin import Twin

_TWINS = {
    "object_flip": "ObjectFlip",
    "object_handover": "ObjectHandover",
    "object_relocation": "ObjectRelocation",
    "ram_insertion": "RamInsertion",
    "usb_insertion": "UsbInsertion",
}


def twin_names() -> tuple[str, ...]:
    """Names that a task file may use under ``sim.twin``."""
    return tuple(_TWINS)


def make_twin(spec: TaskSpec) -> Twin:
    """Twin named by a task file.

    Raises:
        ValueError: the task has no twin, or names one that does not exist.
    """
    if spec.sim is None:
        raise ValueError(f"task '{spec.name}' has no 'sim' section and so no twin; twins: {twin_names()}")
    if spec.sim.twin not in _TWINS:
        raise ValueError(
            f"task '{spec.name}' asks for an unknown twin '{spec.sim.twin}'; known: {twin_names()}"
        )
    return getattr(import_module(f"{__name__}.{spec.sim.twin}"), _TWINS[spec.sim.twin])(spec)
