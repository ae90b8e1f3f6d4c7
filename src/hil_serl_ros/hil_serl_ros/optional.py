# SPDX-License-Identifier: Apache-2.0
"""Message packages that only some cells need: imported when they are, named with the remedy where they are missing."""

from __future__ import annotations

import importlib
from types import ModuleType


def message_package(module: str, purpose: str, failure: type[Exception] = ValueError) -> ModuleType:
    """A module of such a package.

    Args:
        module: For example ``control_msgs.action``.
        purpose: What needs it, for people.
        failure: What is raised if it is not installed.

    Raises:
        failure: It is not installed; names the package and how to get it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise failure(
            f"{purpose} needs the package '{package}', which is not installed ({error}): "
            f"apt install ros-jazzy-{package.replace('_', '-')}, or build it in your workspace"
        ) from error
