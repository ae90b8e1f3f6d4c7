# SPDX-License-Identifier: Apache-2.0
"""For the tests of all packages: a ROS domain, ROS's linters, and what pytest plugins of a full ROS 2 would change."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# A shell's background jobs ignore Ctrl-C, and so would all that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# As ROS's own choice, a docstring is not demanded (D10x); a summary may begin with a formula or a name (D402, D403).
_DOCSTRINGS = ["--convention", "google", "--add-ignore", *(f"D10{n}" for n in range(8)), "D402", "D403"]


def pytest_configure(config: pytest.Config) -> None:
    """Every test process has a ROS domain of its own: no run and no other suite on this machine is heard.

    Workers of pytest-xdist are such processes, too. What they start inherits their domain.
    """
    try:
        from hil_serl_ros.domain import EVERYTHING, GUEST, VARIABLE, Reservation, reserve_for_tests
    except ImportError:  # a package below the ROS ones, tested alone
        return
    # One domain that is asked for is not enough for several workers.
    asked = None if hasattr(config, "workerinput") else os.environ.get("HIL_SERL_TEST_DOMAIN")
    held = Reservation(int(asked), [EVERYTHING]) if asked else reserve_for_tests()
    os.environ[VARIABLE] = os.environ[GUEST] = str(held.domain)
    config.add_cleanup(held.release)


@pytest.fixture
def lint() -> Callable[[str, Path], None]:
    """Runs one of ROS's linters on a package's folder, and fails with what it says."""

    def check(linter: str, package: Path) -> None:
        pytest.importorskip(f"ament_{linter}.main")
        options = {
            "flake8": ["--config", str(Path(__file__).parent / ".flake8")],
            "pep257": _DOCSTRINGS,
        }
        # A process of its own: flake8 forks, and a fork of a process that holds ROS nodes and torch's threads may die.
        # The folder comes first: --add-ignore takes everything behind it.
        command = f"import sys; from ament_{linter}.main import main; sys.exit(main())"
        arguments = [str(package), *options.get(linter, [])]
        ended = subprocess.run([sys.executable, "-c", command, *arguments], capture_output=True, text=True)
        said = ended.stdout + ended.stderr
        if "failed to load external entity" in said:
            pytest.skip("the schema of package.xml comes from the network, which is not there")
        assert ended.returncode == 0, said

    return check


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """Pytest's, also beside launch_testing: loggers made after its import tell the root nothing."""
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith("hil_serl") and isinstance(logger, logging.Logger):
            monkeypatch.setattr(logger, "propagate", True)
    return caplog


@pytest.hookimpl(hookwrapper=True)
def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> Iterator[None]:
    """A module that skips itself skips only itself.

    launch_testing imports modules before pytest does, and there the skip ended the collection of the whole package,
    which colcon calls a success.
    """
    outcome = yield
    if outcome.excinfo is not None and issubclass(outcome.excinfo[0], pytest.skip.Exception):
        outcome.force_result(pytest.Module.from_parent(parent, path=module_path))


# ---------------------------------------------------------------------- several test processes side by side

# Workers begin with the files that take longest, so that none of them is left over for one worker at the end.
LONGEST = (
    "tests/test_learning.py",
    "tests/test_docs_commands.py",
    "src/hil_serl_cli/test/test_forward_backward.py",
    "src/hil_serl_cli/test/test_integration.py",
    "src/hil_serl_cli/test/test_classifier_integration.py",
)
SHARES_NOTHING = ("tests/test_docs_commands.py",)  # each of its tests may run in any worker


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put what takes long first, where there are several workers."""

    def place(item: pytest.Item) -> int:
        file = item.nodeid.split("::")[0]
        if file in LONGEST:
            return LONGEST.index(file)
        return len(LONGEST) + (item.get_closest_marker("integration") is None)

    if hasattr(config, "workerinput"):
        items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests of a file stay in one worker, as they share what they have prepared, unless they share nothing."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return nodeid if file in SHARES_NOTHING else file

    return ByFile(config, log)
