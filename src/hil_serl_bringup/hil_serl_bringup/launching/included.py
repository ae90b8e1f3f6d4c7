# SPDX-License-Identifier: Apache-2.0
"""Run a launch file of another package as one process of the graph: the first of its processes that fails ends it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from hil_serl_bringup.graph.executables import package_share


def find_launch_file(package: str, name: str) -> Path:
    """Path of a launch file below a package's share folder.

    Raises:
        FileNotFoundError: The package has none of this name.
        ExecutableNotFound: The package is missing.
    """
    share = package_share(package)
    found = sorted(path for path in share.rglob(name) if path.is_file())
    if not found:
        there = ", ".join(sorted(path.name for path in share.rglob("*launch*") if path.is_file())) or "none"
        raise FileNotFoundError(f"package '{package}' has no launch file '{name}'; it has {there}")
    return found[0]


def run(package: str, name: str, namespace: str, arguments: Sequence[str]) -> int:
    """Run the launch file until it ends; returns the exit code. Errors as `find_launch_file`."""
    path = find_launch_file(package, name)
    from launch import LaunchContext, LaunchDescription, LaunchService
    from launch.actions import GroupAction, IncludeLaunchDescription, RegisterEventHandler
    from launch.event_handlers import OnProcessExit
    from launch.events.process import ProcessExited
    from launch.launch_description_sources import AnyLaunchDescriptionSource
    from launch_ros.actions import PushRosNamespace

    def on_exit(event: ProcessExited, context: LaunchContext) -> None:
        if not context.is_shutdown and event.returncode != 0:
            raise RuntimeError(
                f"{name} of '{package}' ends: {event.process_name} ended with exit code {event.returncode}"
            )

    values = [tuple(argument.split(":=", 1)) for argument in arguments]
    included = IncludeLaunchDescription(AnyLaunchDescriptionSource(str(path)), launch_arguments=values)
    pushed = [PushRosNamespace(namespace)] if namespace else []
    service = LaunchService(argv=list(arguments))
    service.include_launch_description(
        LaunchDescription(
            [RegisterEventHandler(OnProcessExit(on_exit=on_exit)), GroupAction([*pushed, included])]
        )
    )
    return service.run()


def main(words: Sequence[str] | None = None) -> None:
    """Entry point of the executable; ends the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--namespace", default="", help="ROS namespace of its nodes")
    parser.add_argument("package")
    parser.add_argument("launch_file")
    parser.add_argument("arguments", nargs="*", help="launch arguments, NAME:=VALUE")
    given = parser.parse_args(words)
    try:
        sys.exit(run(given.package, given.launch_file, given.namespace, given.arguments))
    except (LookupError, OSError) as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
