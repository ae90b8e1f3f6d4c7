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
from rclpy.signals import uninstall_signal_handlers

from hil_serl_ros.bag.errors import BagError
from hil_serl_ros.process_setup import log_arguments, print_anywhere
from hil_serl_ros.scheduling import schedule_by

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

    From the first SIGINT, or the first end of another kind, both signals are without effect until the process has ended:
    a terminal, ``ros2 launch`` and a person may each send one. The caller is expected to exit with the code.

    Args:
        make_node: Called after ``rclpy.init``.
        args: Command line, by default that of the process.
        make_executor: Executor to spin in.

    Returns:
        Exit code: 0 stopped or done, 1 defect (with traceback), 2 an error the user can cure (with one line
        on stderr that starts with ``error: ``); or the code of a ``SystemExit``.
    """
    run = _Run(make_node, args, make_executor)
    try:
        code = run.until_it_ends()
    except (
        KeyboardInterrupt
    ):  # at most one is ever raised; this one met another end while that was being dealt with
        code = run.code
    run.signals.ignore()
    return run.close() or code


class _Run:
    """A node's life in its process.

    Attributes:
        code: Exit code so far.
        signals: What its process does about signals.
    """

    def __init__(
        self,
        make_node: Callable[[], Node],
        args: Sequence[str] | None,
        make_executor: Callable[[], Executor],
    ) -> None:
        self._make_node, self._args, self._make_executor = make_node, args, make_executor
        self._node: Node | None = None
        self._executor: Executor | None = None
        self.code = EXIT_OK
        self.signals = _Signals()

    def until_it_ends(self) -> int:
        """Start the node and spin it; the exit code, and nothing raised but one KeyboardInterrupt.

        That one can come while another end is dealt with.
        """
        begun = False
        print_anywhere()
        try:
            granted = schedule_by(os.environ)  # before the middleware starts threads, which inherit it
            rclpy.init(args=[*(sys.argv if self._args is None else self._args), *log_arguments()])
            begun = True
            self._node = self._make_node()
            if granted is not None:
                log = self._node.get_logger()
                (log.warning if granted.refused else log.info)(granted.text)
            self._executor = self._make_executor()
            self._executor.add_node(self._node)
            self._executor.spin()
        except (KeyboardInterrupt, ExternalShutdownException):
            pass
        except SystemExit as stop:
            self.code = (
                stop.code if isinstance(stop.code, int) else EXIT_OK if stop.code is None else EXIT_CRASH
            )
        except Exception as error:
            if self.signals.interrupted:
                pass
            elif not begun:  # arguments that rcl cannot read
                self.code = _report(error, (Exception,))
            # A signal during the start leaves an invalid context, on which the next call into rcl stumbles.
            elif rclpy.ok() or not isinstance(error, _rclpy.RCLError):
                self.code = _report(error, _START_ERRORS if self._executor is None else _USER_ERRORS)
        return self.code

    def close(self) -> int:
        """Close node and context; EXIT_OK unless closing itself failed."""
        code = EXIT_OK
        try:
            if self._executor is not None:
                self._executor.shutdown(timeout_sec=1.0)
            if self._node is not None:
                self._node.destroy_node()
        except Exception as error:
            code = _report(error, _USER_ERRORS)
        rclpy.try_shutdown()
        return code


class _Signals:
    """What a node's process does about SIGINT and SIGTERM. To be made before ``rclpy.init``, whose handler calls this one.

    Attributes:
        interrupted: KeyboardInterrupt was raised: C++ code that it meets passes it on as a RuntimeError of its own. Seen
            where rclpy makes a Python object of a message.
    """

    def __init__(self) -> None:
        self.interrupted = self._closing = False
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # otherwise somebody else decides
            signal.signal(signal.SIGINT, self._interrupt)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if not (self.interrupted or self._closing):
            self.interrupted = True
            signal.default_int_handler(number, frame)

    def ignore(self) -> None:
        """From now on a signal has no effect: who cannot wait for a node that closes its files has SIGKILL.

        rclpy answers a signal in a thread of its own, which wakes the executor and then shuts the context down, while
        Python's interrupt may be here earlier. To destroy executor and node under that thread ends in a segmentation
        fault, now and then; so it has to have ended.
        """
        self._closing = True
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        deadline = time.monotonic() + _SIGNAL_THREAD
        while self.interrupted and rclpy.ok() and time.monotonic() < deadline:
            time.sleep(0.005)
        uninstall_signal_handlers()  # joins the thread; the signals stay ignored


def _report(error: Exception, user_errors: tuple[type[Exception], ...]) -> int:
    """Print what a supervisor shows: one line for a user error, the place as well for a defect."""
    user = isinstance(error, user_errors)
    if not user:
        traceback.print_exception(error)
    text = " ".join(str(error).split()) or type(error).__name__
    print(f"{ERROR_PREFIX}{text if user else f'{type(error).__name__}: {text}'}", file=sys.stderr, flush=True)
    return EXIT_USER_ERROR if user else EXIT_CRASH
