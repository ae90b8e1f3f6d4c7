# SPDX-License-Identifier: Apache-2.0
"""Test set-up shared by this package's tests."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.append(str(Path(__file__).parent))  # test_arm_processes, of which test_launch takes a robot
settings.register_profile("no_deadline", deadline=None)  # a busy machine is not a failure
settings.load_profile("no_deadline")
