# SPDX-License-Identifier: Apache-2.0
"""Test set-up shared by this package's tests."""

from hil_serl_tasks.testing.fixtures import *  # noqa: F403
