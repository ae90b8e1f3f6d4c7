# SPDX-License-Identifier: Apache-2.0
"""Whether a clone lies where it can be set up. Standard library only; the set-up asks here too."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

# What the first line of an installed script, CMake's lists and PATH can hold.
_USABLE = re.compile(r"[A-Za-z0-9/._+@,=~-]*")
_OTHER = re.compile(r"[^A-Za-z0-9/._+@,=~-]")


def trouble_with(paths: Iterable[Path]) -> tuple[str, str] | None:
    """Why a clone cannot be set up under one of its paths, and a command that moves it; None where it can.

    Args:
        paths: The path as it was typed, and where links lead.
    """
    for path in paths:
        odd = sorted(set(_OTHER.findall(str(path))))
        if odd:
            signs = ", ".join("a blank" if sign == " " else repr(sign) for sign in odd)
            parent = path.parent if _USABLE.fullmatch(str(path.parent)) else Path("/opt")
            target = parent / _OTHER.sub("_", path.name)
            return (
                f"the path of this clone has {signs} in it, with which scripts and compilers fail: {path}",
                f"move it: mv {shlex.quote(str(path))} {shlex.quote(str(target))}",
            )
    return None
