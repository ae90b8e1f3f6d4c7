# SPDX-License-Identifier: Apache-2.0
"""DDS profiles that come with the suite, for the nodes that speak across two machines."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from hil_serl_bringup.resources import share

VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"
TWO_MACHINES = "two_machines"
AUTO, NONE = "auto", "none"


def profiles() -> dict[str, Path]:
    """Name -> file of the profiles of the suite."""
    return {path.stem: path for path in sorted((share() / "config" / "dds").glob("*.xml"))}


def profile_file(
    choice: str, two_machines: bool, environment: Mapping[str, str] | None = None
) -> Path | None:
    """The profile file for actor and learner.

    Args:
        choice: 'none'; the name of a profile or the path of a file; or 'auto': the suite's own for two machines, unless
            the environment names one.
        two_machines: Actor and learner run on different machines.
        environment: Variables, default this process's.

    Returns:
        The file, None to leave the middleware as it is.

    Raises:
        FileNotFoundError: There is no such profile.
    """
    environment = os.environ if environment is None else environment
    if choice == NONE or (choice == AUTO and (not two_machines or environment.get(VARIABLE))):
        return None
    known = profiles()
    file = known.get(TWO_MACHINES if choice == AUTO else choice, Path(choice).expanduser())
    if not file.is_file():
        names = ", ".join([AUTO, NONE, *known])
        raise FileNotFoundError(
            f"there is no DDS profile '{choice}'; give one of {names}, or the path of an XML file"
        )
    return file.absolute()
