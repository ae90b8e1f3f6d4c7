# SPDX-License-Identifier: Apache-2.0
"""Test set-up shared by this package's tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
