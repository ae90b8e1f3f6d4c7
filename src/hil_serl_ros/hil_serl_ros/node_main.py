# SPDX-License-Identifier: Apache-2.0
"""Running one node as a process: signals, errors and exit codes alike for all nodes of the suite."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from types import FrameType

import rclpy
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
from rclpy.node import Node

from hil_serl_ros.bag.errors import BagError
from hil_serl_ros.process_setup import log_arguments, print_anywhere
from hil_serl_ros.scheduling import Granted, schedule_by

_SIGNAL_THREAD = 1.0  # s
EXIT_OK = 0
EXIT_CRASH = 1
EXIT_USER_ERROR = 2

ERROR_PREFIX = "error: "
"""Starts the one line on stderr that a supervisor can show to the user."""

# What a user can cause and cure. While a node starts it reads parameters and files, so a ValueError is about
# them; later on it is a defect, and shows its traceback as every defect does.
_USER_ERRORS = (BagError, OSError)
_START_ERRORS = (*_USER_ERRORS, ValueError)


def run_node(
    make_node: Callable[[], Node],
    *,
    args: Sequence[str] | None = None,
    make_executor: Callable[[], Executor] = SingleThreadedExecutor,
) -> int:
    """Make a node and spin it until it is told to stop.

    SIGINT and SIGTERM end it in order: the node's ``destroy_node`` runs, which is where a node closes its
    files. A node that is done ends the process by raising ``SystemExit`` from a callback.

    Args:
        make_node: Called after ``rclpy.init``.
        args: Command line, by default that of the process.
        make_executor: Executor to spin in.

    Returns:
        Exit code: 0 stopped or done, 1 defect (with traceback), 2 an error the user can cure (with one line
        on stderr that starts with ``error: ``); or the code of a ``SystemExit``.
    """
    node: Node | None = None
    executor: Executor | None = None
    granted: Granted | None = None
    code, begun, interrupt = EXIT_OK, False, _Interrupt()
    print_anywhere()
    try:
        granted = schedule_by(os.environ)  # before the middleware starts threads, which inherit it
        rclpy.init(args=[*(sys.argv if args is None else args), *log_arguments()])
        begun = True
        node = make_node()
        if granted is not None:
            log = node.get_logger()
            (log.warning if granted.refused else log.info)(granted.text)
        executor = make_executor()
        executor.add_node(node)
        executor.spin()
    except KeyboardInterrupt:
        _wait_for_signal_thread()
    except ExternalShutdownException:
        pass
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else EXIT_OK if stop.code is None else EXIT_CRASH
    except Exception as error:
        if interrupt.heard:
            _wait_for_signal_thread()
        elif not begun:  # arguments that rcl cannot read
            code = _report(error, (Exception,))
        # A signal during the start leaves an invalid context, on which the next call into rcl stumbles.
        elif rclpy.ok() or not isinstance(error, _rclpy.RCLError):
            code = _report(error, _START_ERRORS if executor is None else _USER_ERRORS)
    finally:
        code = _tear_down(node, executor) or code
    return code


class _Interrupt:
    """Remembers that KeyboardInterrupt was raised: C++ code that it meets passes it on as a RuntimeError of its own.

    Seen where rclpy makes a Python object of a message. To be made before ``rclpy.init``, whose handler calls this one.
    """

    def __init__(self) -> None:
        self.heard = False
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # otherwise somebody else decides
            signal.signal(signal.SIGINT, self._raise)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        self.heard = True
        signal.default_int_handler(number, frame)


def _wait_for_signal_thread() -> None:
    """Until rclpy has answered the signal.

    It does so in a thread of its own, which wakes the executor and then shuts the context down, while Python's interrupt
    may be here earlier. To destroy executor and node under that thread ends in a segmentation fault, now and then.
    """
    deadline = time.monotonic() + _SIGNAL_THREAD
    while rclpy.ok() and time.monotonic() < deadline:
        time.sleep(0.005)


def _report(error: Exception, user_errors: tuple[type[Exception], ...]) -> int:
    """Print what a supervisor shows: one line for a user error, the place as well for a defect."""
    user = isinstance(error, user_errors)
    if not user:
        traceback.print_exception(error)
    text = " ".join(str(error).split()) or type(error).__name__
    print(f"{ERROR_PREFIX}{text if user else f'{type(error).__name__}: {text}'}", file=sys.stderr, flush=True)
    return EXIT_USER_ERROR if user else EXIT_CRASH


def _tear_down(node: Node | None, executor: Executor | None) -> int:
    """Close node and context; EXIT_OK unless closing itself failed.

    A second Ctrl-C, or the supervisor's signal after the terminal's, must not interrupt a node that closes
    its files; who cannot wait has SIGKILL.
    """
    code = EXIT_OK
    kept = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        if executor is not None:
            executor.shutdown(timeout_sec=1.0)
        if node is not None:
            node.destroy_node()
    except Exception as error:
        code = _report(error, _USER_ERRORS)
    rclpy.try_shutdown()
    for number, handler in kept.items():
        signal.signal(number, handler)
    return code
