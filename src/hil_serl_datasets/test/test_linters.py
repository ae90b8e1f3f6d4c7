# SPDX-License-Identifier: Apache-2.0
"""ROS's linters on this package, where ROS 2 is installed in full."""

from pathlib import Path

import pytest


@pytest.mark.parametrize("linter", ["flake8", "pep257", "xmllint"])
def test_linter(linter, lint):
    lint(linter, Path(__file__).parents[1])
