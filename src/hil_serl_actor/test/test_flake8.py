# SPDX-License-Identifier: Apache-2.0
"""ROS's linter on this package, where ROS 2 is installed in full."""

from pathlib import Path

import pytest


def test_flake8():
    linter = pytest.importorskip("ament_flake8.main")
    package = Path(__file__).parents[1]
    code, errors = linter.main_with_errors(
        argv=["--config", str(package.parents[1] / ".flake8"), str(package)]
    )
    assert code == 0, "\n".join(errors)
