# SPDX-License-Identifier: Apache-2.0
"""Robot files by name or path."""

from __future__ import annotations

import difflib
from pathlib import Path

import yaml
from pydantic import ValidationError

from hil_serl_bringup.graph.robot_model import Driver, Robot, RobotFileError
from hil_serl_bringup.resources import share

__all__ = ["SIMULATED", "Driver", "Robot", "RobotFileError", "find_robot", "robot_folders", "robots"]

SIMULATED = Robot(name="sim", description="simulated", simulated=True)


def robot_folders() -> list[Path]:
    """Where named robots are looked for: the working folder's `robots`, then those of the suite."""
    return [Path("robots"), share() / "config" / "robots"]


def robots() -> dict[str, Path]:
    """Robot name -> file."""
    return {file.stem: file for folder in reversed(robot_folders()) for file in sorted(folder.glob("*.yaml"))}


def find_robot(name: str) -> Robot:
    """Robot by name or by path of its file.

    Raises:
        RobotFileError: Unknown (with the nearest known name), or not valid.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        known = robots()
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
            hint = f"did you mean '{near[0]}'?" if near else f"known robots: {', '.join(known) or 'none'}"
            raise RobotFileError(f"no robot named '{name}'; {hint}")
        path = known[name]
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Robot.model_validate(content, context={"folder": path.absolute().parent})
    except OSError as error:
        raise RobotFileError(f"cannot read robot file {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise RobotFileError(f"{path} is not valid YAML: {error}") from error
    except ValidationError as error:
        lines = [f"  {'.'.join(str(p) for p in e['loc']) or 'file'}: {e['msg']}" for e in error.errors()]
        raise RobotFileError("\n".join([f"{path} cannot be used:", *lines])) from error
