# SPDX-License-Identifier: Apache-2.0
"""The command `hil-serl`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

#: Command -> (module, class). Modules are imported when their command runs, so that `doctor` works where
#: others cannot.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("commands", "Demo"),
    "train": ("commands", "Train"),
    "eval": ("commands", "Eval"),
    "record-demos": ("commands", "RecordDemos"),
    "classifier": ("classifier_commands", "Classifier"),
    "teleop-check": ("teleop_command", "TeleopCheck"),
    "camera-check": ("camera_command", "CameraCheck"),
    "crop": ("crop_command", "Crop"),
    "stop": ("stop_commands", "Stop"),
    "clear-stop": ("stop_commands", "ClearStop"),
    "pause": ("stop_commands", "Pause"),
    "unpause": ("stop_commands", "Unpause"),
    "recover": ("stop_commands", "Recover"),
    "joint-reset": ("stop_commands", "JointReset"),
    "dataset": ("dataset_commands", "Dataset"),
    "replay": ("commands_info", "Replay"),
    "bench": ("bench", "Bench"),
    "network": ("network_command", "Network"),
    "tasks": ("commands_info", "Tasks"),
    "schema": ("commands_info", "Schema"),
    "results": ("results_command", "Results"),
    "analyse": ("analyse_command", "Analyse"),
    "layouts": ("layouts_command", "Layouts"),
    "fig3": ("commands_info", "Fig3"),
    "doctor": ("commands_info", "Doctor"),
}

EXIT_FAILURE, EXIT_USER_ERROR, EXIT_INTERRUPTED = 1, 2, 130


def load_commands() -> dict[str, Any]:
    """Command name -> class whose fields are the options and whose `run` is the command.

    Raises:
        SystemExit: The workspace is not active.
    """
    try:
        return {
            name: getattr(importlib.import_module(f"hil_serl_bringup.{module}"), attribute)
            for name, (module, attribute) in COMMANDS.items()
        }
    except ImportError as error:
        raise SystemExit(
            f"error: {error}\nThe workspace is not active or not built: run 'make setup', then "
            "'source tools/env.sh', and try again ('hil-serl doctor' says what is missing)."
        ) from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits with 0, 1 (a process failed), 2 (the user can cure it) or 130 (Ctrl-C)."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Parse and run; returns the exit code."""
    if list(arguments[:1]) == ["doctor"]:  # has to work where nothing else does
        return int(importlib.import_module("hil_serl_bringup.doctor").main(list(arguments[1:])) or 0)
    return execute(parse(arguments))


def parse(arguments: Sequence[str]) -> Any:
    """The command that `arguments` ask for, ready to run.

    Raises:
        SystemExit: Not understood (2, said on stderr), or help was asked for (0).
    """
    import tyro

    return tyro.extras.subcommand_cli_from_dict(
        load_commands(),
        prog="hil-serl",
        description="Train robot policies from camera images with a human in the loop, over ROS 2. "
        "'hil-serl COMMAND --help' explains each command.",
        args=list(arguments) or ["--help"],
        config=(
            tyro.conf.OmitArgPrefixes,
            tyro.conf.OmitSubcommandPrefixes,
            tyro.conf.EnumChoicesFromValues,
        ),
    )


def execute(command: Any) -> int:
    """Run a command and turn what a user can cause into one clear message."""
    from rich.console import Console

    from hil_serl_bringup.errors import USER_ERRORS
    from hil_serl_bringup.supervisor import ProcessFailure

    console = Console(stderr=True)
    try:
        return int(command.run() or 0)
    except ProcessFailure as failure:
        console.print(f"error: {failure}", style="red", markup=False, highlight=False, soft_wrap=True)
        return EXIT_FAILURE
    except USER_ERRORS as error:
        console.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        console.print("Stopped; every process has ended.", highlight=False)
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    main()
