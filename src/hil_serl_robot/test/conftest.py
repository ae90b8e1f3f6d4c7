# SPDX-License-Identifier: Apache-2.0
"""Test set-up shared by this package's tests."""

import sys
from pathlib import Path

from hil_serl_tasks.testing.fixtures import *  # noqa: F403

sys.path.append(str(Path(__file__).parent))  # action_package
