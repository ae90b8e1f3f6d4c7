# SPDX-License-Identifier: Apache-2.0
import numpy as np
from PIL import Image

from hil_serl_sim import fig3


def test_limit_bounds_the_force_in_contact_and_lets_free_motion_through(cell):
    clip = cell.spec.control.clip_positive[2]
    contact = fig3.contact_trace(cell)
    assert (np.abs(contact.limited - contact.measured) < clip + 1e-9).all()
    pressed = contact.commanded < contact.measured - 2 * clip
    assert (pressed & (contact.force > 1.0)).sum() > 300  # commanded far into the board
    settled = contact.force[(contact.time > 1.7) & (contact.time < 1.95)]
    bound = cell.spec.control.translational_stiffness[2] * clip
    assert 0.9 * bound < settled.mean() < 1.05 * bound
    free = fig3.free_trace(cell)
    assert np.abs(free.force).max() == 0.0
    assert np.ptp(free.measured) > 0.079


def test_command_writes_the_picture(task_file, tmp_path, capsys):
    path = tmp_path / "fig3.png"
    assert fig3.main(["--task", str(task_file), "--output", str(path)]) == 0
    assert Image.open(path).size[0] > 800
    assert "N; figure" in capsys.readouterr().out
    assert fig3.main(["--task", str(tmp_path / "none.yaml"), "--output", str(path)]) == 2
    assert "error:" in capsys.readouterr().err
