# SPDX-License-Identifier: Apache-2.0
"""Robot files: what has to run for a cell to publish the suite's topics."""

from __future__ import annotations

import difflib
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hil_serl_bringup.process_spec import THREAD_ENVIRONMENT, ProcessSpec, Scalar
from hil_serl_bringup.resources import share


class RobotFileError(ValueError):
    """A robot file that cannot be used; the message names file, key and remedy."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Driver(_Model):
    """One driver node."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="node name")
    package: str = Field(min_length=1)
    executable: str = Field(min_length=1)
    parameters: dict[str, Scalar] = {}
    remappings: dict[str, str] = {}
    max_restarts: int = Field(default=10, ge=0, description="starts after a failure before the run ends")

    def process(self, namespace: str = "") -> ProcessSpec:
        """The driver as a process of the graph."""
        return ProcessSpec(
            self.name,
            self.package,
            self.executable,
            self.parameters,
            self.remappings,
            namespace,
            dict(THREAD_ENVIRONMENT),
            self.max_restarts,
        )


class GymEnvironment(_Model):
    """A Gymnasium environment in the place of the cell."""

    environment: str = Field(min_length=1, description="Gymnasium id, or module:Class")
    adapter: str = Field(
        default="", description="file that maps its observation to the task; empty: SERL's names"
    )


class Robot(_Model):
    """One cell."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str
    simulated: bool
    drivers: tuple[Driver, ...] = ()
    remappings: dict[str, str] = Field(default={}, description="remappings of the actor")
    gym: GymEnvironment | None = Field(
        default=None, description="simulated by this environment, not by a twin"
    )

    @property
    def has_twin(self) -> bool:
        """The task's twin stands for the cell, so that the twin's task file is used."""
        return self.simulated and self.gym is None


def robot_folders() -> list[Path]:
    """Where named robots are looked for: the working folder's `robots`, then those of the suite."""
    return [Path("robots"), share() / "config" / "robots"]


def find_robot(name: str) -> Robot:
    """Robot by name or by path of its file.

    Raises:
        RobotFileError: Unknown (with the nearest known name), or not valid.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        known = {
            file.stem: file for folder in reversed(robot_folders()) for file in sorted(folder.glob("*.yaml"))
        }
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
            hint = f"did you mean '{near[0]}'?" if near else f"known robots: {', '.join(known) or 'none'}"
            raise RobotFileError(f"no robot named '{name}'; {hint}")
        path = known[name]
    try:
        return Robot.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise RobotFileError(f"cannot read robot file {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise RobotFileError(f"{path} is not valid YAML: {error}") from error
    except ValidationError as error:
        lines = [f"  {'.'.join(str(p) for p in e['loc']) or 'file'}: {e['msg']}" for e in error.errors()]
        raise RobotFileError("\n".join([f"{path} cannot be used:", *lines])) from error
