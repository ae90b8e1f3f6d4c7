# SPDX-License-Identifier: Apache-2.0
"""What the papers report, to stand beside our numbers: HIL-SERL's Table 1, SERL's Fig. 6 and its text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reported:
    """One method on one task.

    Attributes:
        success: [%] of 100 trials.
        cycle_time: Mean of successes [s]; None where not stated.
        note: What differs from this suite's method of that name.
    """

    success: float
    cycle_time: float | None = None
    note: str = ""


_MANY = "200 demonstrations"

#: Hours of training to the reported success rate, everything included (Table 1a).
HOURS: dict[str, float] = {
    "ram_insertion": 1.5,
    "ssd_assembly": 1.0,
    "usb_insertion": 2.5,
    "cable_clipping": 1.25,
    "ikea_side_panel_1": 2.0,
    "ikea_side_panel_2": 1.75,
    "ikea_top_panel": 1.0,
    "car_dashboard": 2.0,
    "object_handover": 2.5,
    "timing_belt": 6.0,
    "jenga_whipping": 1.25,
    "object_flip": 1.0,
}


def _insertion(success: float, before: float, after: float) -> dict[str, Reported]:
    """Table 1a: its BC baseline is HG-DAgger with as many episodes and interventions as RL."""
    return {"hil_serl": Reported(100, after), "hg_dagger": Reported(success, before)}


#: Task -> method -> what Table 1 says.
REPORTED: dict[str, dict[str, Reported]] = {
    "ram_insertion": {
        **_insertion(29, 8.3, 4.8),
        "serl": Reported(48, note=_MANY),
        "bc": Reported(12, note=_MANY),
        "rlpd_scratch": Reported(0),
    },
    "ssd_assembly": _insertion(79, 6.7, 3.3),
    "usb_insertion": _insertion(26, 13.4, 6.7),
    "cable_clipping": _insertion(95, 7.2, 4.2),
    "ikea_side_panel_1": _insertion(77, 6.5, 2.7),
    "ikea_side_panel_2": _insertion(79, 5.0, 2.4),
    "ikea_top_panel": _insertion(35, 8.9, 2.4),
    "car_dashboard": {
        **_insertion(41, 20.3, 8.8),
        "serl": Reported(0, note=_MANY),
        "bc": Reported(35, note=_MANY),
        "rlpd_scratch": Reported(0),
    },
    "object_handover": _insertion(79, 16.1, 13.6),
    "timing_belt": _insertion(2, 9.1, 7.2),
    "jenga_whipping": {"hil_serl": Reported(100), "bc": Reported(8, note="50 demonstrations")},
    "object_flip": {
        "hil_serl": Reported(100, 3.8),
        "serl": Reported(100, note=_MANY),
        "hg_dagger": Reported(46),
        "bc": Reported(46, 3.9, note=_MANY),
        "rlpd_scratch": Reported(0),
    },
    "object_relocation": {
        "serl": Reported(100),
        "bc": Reported(59, note="100 demonstrations; from '1.7x' in SERL's Fig. 6"),
    },
}
