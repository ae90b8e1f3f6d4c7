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
    "demo": ("commands.training", "Demo"),
    "train": ("commands.training", "Train"),
    "eval": ("commands.training", "Eval"),
    "record-demos": ("commands.training", "RecordDemos"),
    "classifier": ("commands.classifier", "Classifier"),
    "teleop-check": ("commands.teleop", "TeleopCheck"),
    "camera-check": ("commands.camera", "CameraCheck"),
    "crop": ("commands.crop", "Crop"),
    "stop": ("commands.stop", "Stop"),
    "clear-stop": ("commands.stop", "ClearStop"),
    "pause": ("commands.stop", "Pause"),
    "unpause": ("commands.stop", "Unpause"),
    "recover": ("commands.stop", "Recover"),
    "joint-reset": ("commands.stop", "JointReset"),
    "dataset": ("commands.dataset", "Dataset"),
    "replay": ("commands.info", "Replay"),
    "bench": ("commands.bench", "Bench"),
    "network": ("commands.network", "Network"),
    "tasks": ("commands.info", "Tasks"),
    "schema": ("commands.info", "Schema"),
    "results": ("commands.results", "Results"),
    "expert": ("commands.expert", "Expert"),
    "analyse": ("commands.analyse", "Analyse"),
    "layouts": ("commands.layouts", "Layouts"),
    "fig3": ("commands.info", "Fig3"),
    "doctor": ("commands.info", "Doctor"),
}

EXIT_FAILURE, EXIT_USER_ERROR, EXIT_INTERRUPTED = 1, 2, 130


def load_commands() -> dict[str, Any]:
    """Command name -> class whose fields are the options and whose `run` is the command.

    Raises:
        SystemExit: The workspace is not active.
    """
    try:
        return {
            name: getattr(importlib.import_module(f"hil_serl_cli.{module}"), attribute)
            for name, (module, attribute) in COMMANDS.items()
        }
    except ImportError as error:
        raise _inactive(error) from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits with 0, 1 (a process failed), 2 (the user can cure it) or 130 (Ctrl-C)."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Parse and run; returns the exit code."""
    if list(arguments[:1]) == ["doctor"]:  # has to work where nothing else does
        return int(importlib.import_module("hil_serl_cli.doctor.report").main(list(arguments[1:])) or 0)
    try:
        from hil_serl_ros.process_setup import drop_missing_middleware, print_anywhere

        print_anywhere()
        drop_missing_middleware()
        if list(arguments[:1]) == ["stop"]:  # at once, and whatever else is broken
            return int(importlib.import_module("hil_serl_cli.commands.stop").main(arguments[1:]))
    except ImportError as error:
        raise _inactive(error) from error
    return execute(parse(arguments))


def _inactive(error: ImportError) -> SystemExit:
    return SystemExit(
        f"error: {error}\nThe workspace is not active or not built: run 'make setup', then "
        "'source tools/env.sh', and try again ('hil-serl doctor' says what is missing)."
    )


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

    from hil_serl_bringup.supervisor import ProcessFailure
    from hil_serl_cli.errors import USER_ERRORS
    from hil_serl_runs.terminal import plain_console

    console = plain_console(stderr=True)
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
