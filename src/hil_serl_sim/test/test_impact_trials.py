# SPDX-License-Identifier: Apache-2.0
"""What the arm hits a floor with: speed times the root of mass and stiffness, and some of the spring; as safety.md says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hil_serl_core.control import law_settings
from hil_serl_core.spec import load_task
from hil_serl_sim.impact_trials import WALLS, impact_trial, own_settings
from hil_serl_tasks.finder import suite_folder

ROOT = Path(__file__).parents[3]
TASKS = suite_folder()


def table():
    """Measured forces [N] on the soft and the hard floor, by the row's settings."""
    text = (ROOT / "docs/safety.md").read_text()
    rows = re.findall(r"^\| (.+?) \| \d+ N \| .*?\*\*(\d+) N\*\*.*?\*\*(\d+) N\*\* \|$", text, re.M)
    return {name: (float(soft), float(hard)) for name, soft, hard in rows}


CASES = {
    "`ram_insertion`": law_settings(load_task(TASKS / "ram_insertion.yaml")),
    "`sim/object_relocation`": law_settings(load_task(TASKS / "sim/object_relocation.yaml")),
    **{name.replace(" N/m, ", " N/m · ", 1): settings for name, settings in list(own_settings())[1:5:3]},
}


@pytest.mark.parametrize("name", CASES)
def test_a_blow_is_that_of_speed_and_mass_and_the_table_says_it(name):
    for wall, said in zip(WALLS, table()[name], strict=True):
        impact = impact_trial(CASES[name], wall)
        assert not impact.fault
        assert impact.predicted <= impact.peak <= impact.predicted + 2.2 * impact.spring
        assert impact.peak > 1.5 * impact.spring or wall == WALLS[0]  # the spring's force is no bound on it
        assert impact.peak == pytest.approx(said, rel=0.05)
