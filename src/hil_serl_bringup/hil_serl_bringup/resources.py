# SPDX-License-Identifier: Apache-2.0
"""Where this package's own files are: robot files, launch files and layouts."""

from __future__ import annotations

from pathlib import Path


def share() -> Path:
    """Folder with this package's `config`, `launch` and `rviz`: installed, else in the source tree."""
    try:
        from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
    except ImportError:
        return Path(__file__).resolve().parent.parent
    try:
        return Path(get_package_share_directory("hil_serl_bringup"))
    except PackageNotFoundError:
        return Path(__file__).resolve().parent.parent
