# SPDX-License-Identifier: Apache-2.0
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from hil_serl_core.testing.waiting import PATIENCE

NODE = textwrap.dedent(
    """
    import os
    import signal
    import sys
    import time
    import numpy as np
    from rclpy.node import Node
    from hil_serl_ros.bag import BagError
    from hil_serl_ros.node_main import run_node

    class Sample(Node):
        def __init__(self):
            super().__init__("sample")
            if {case!r} == "bad start":
                raise ValueError("parameter 'rate' is 0,\\nexpected more")
            if {case!r} == "signal at start":
                print("ready", flush=True)
                time.sleep(0.5)
            self.ready = False
            self.create_timer(0.01, self.tick)

        def tick(self):
            case = {case!r}
            if not self.ready:
                self.ready = True
                print("ready", flush=True)
            if case == "done":
                raise SystemExit(0)
            if case == "code":
                raise SystemExit(5)
            if case == "defect":
                np.zeros(3) + np.zeros(4)
            if case == "signal in C++":
                try:
                    os.kill(os.getpid(), signal.SIGINT)
                    time.sleep(1.0)
                except KeyboardInterrupt:
                    raise RuntimeError("Unable to convert call argument '0' to Python object") from None
            if case == "disk":
                raise BagError("disk full; free space")

        def destroy_node(self):
            time.sleep(0.3)
            print("closed", flush=True)
            if {case!r} == "bad end":
                raise OSError("cannot close")
            super().destroy_node()

    sys.exit(run_node(Sample))
    """
)


def start(case: str) -> subprocess.Popen:
    environment = os.environ | {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    return subprocess.Popen(
        [sys.executable, "-c", NODE.format(case=case)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_closes_the_node_and_is_no_error(number: signal.Signals) -> None:
    with start("run") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)  # a second one does not interrupt the closing
        output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert output == "closed\n"
    assert "Traceback" not in errors
    assert "error:" not in errors


@pytest.mark.parametrize(
    ("case", "code", "last_line", "traceback"),
    [
        ("done", 0, None, False),
        ("code", 5, None, False),
        ("bad start", 2, "error: parameter 'rate' is 0, expected more", False),
        ("disk", 2, "error: disk full; free space", False),
        ("signal in C++", 0, None, False),
        ("defect", 1, "error: ValueError: operands could not be broadcast", True),
    ],
)
def test_ends_have_their_code_and_line(case: str, code: int, last_line: str | None, traceback: bool) -> None:
    with start(case) as process:
        output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, errors
    assert ("Traceback" in errors) == traceback
    assert ("closed" in output) == (case != "bad start")
    if last_line is not None:
        assert errors.strip().splitlines()[-1].startswith(last_line)
    else:
        assert "error:" not in errors


@pytest.mark.parametrize("case", ["run", "done", "code"])
@pytest.mark.parametrize("numbers", [(signal.SIGINT,), (signal.SIGTERM,), (signal.SIGTERM, signal.SIGINT)])
def test_no_moment_of_the_closing_minds_another_signal(
    case: str, numbers: tuple[signal.Signals, ...]
) -> None:
    """Of a terminal, of launch, of a person: from the first on, one comes every millisecond until the process is gone."""
    with start(case) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for number in itertools.cycle(numbers):
            if process.poll() is not None:
                break
            process.send_signal(number)
            time.sleep(0.001)
        output, errors = process.communicate(timeout=PATIENCE)
    assert errors == ""
    # A signal may be there before the node has ended by itself.
    assert process.returncode in ((0, 5) if case == "code" else (0,))
    assert output == "closed\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_during_the_start_is_no_error(number: signal.Signals) -> None:
    with start("signal at start") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert "error:" not in errors


def test_failure_to_close_is_an_error() -> None:
    with start("bad end") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert "error: cannot close" in errors


def test_arguments_that_ros_cannot_read_are_the_users():
    done = subprocess.run(
        [sys.executable, "-c", NODE.format(case="done"), "--ros-args", "-p", "names:=[a, b"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2
    assert (
        "error: failed to initialize rcl: Couldn't parse parameter override rule: '-p names:=[a, b'"
        in done.stderr
    )
