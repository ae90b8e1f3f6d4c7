# SPDX-License-Identifier: Apache-2.0
"""`hil-serl stop` as a person types it where nothing else works, against the service of a run played by the test."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import Trigger

from hil_serl_core.testing.waiting import PATIENCE
from hil_serl_ros import names
from hil_serl_ros.domain import Reservation, role

pytestmark = [pytest.mark.integration]
ROOT = Path(__file__).parent.parent
NOWHERE = "/proc/nowhere"  # can be made by nobody, not even by root
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


@pytest.fixture(scope="module")
def stops():
    """How often the actor in the namespace ``cell`` was stopped."""
    asked = []

    def stop(_request, response):
        asked.append(True)
        response.success, response.message = True, "stopped – it holds"
        return response

    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("actor", context=context, namespace="cell", use_global_arguments=False)
    node.create_service(Trigger, names.STOP, stop)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    yield asked
    executor.shutdown()
    thread.join()
    node.destroy_node()
    context.try_shutdown()


def stop(*words, before=(), python=sys.executable, without=(), **variables):
    """Type it; what it said and its exit status."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), **variables}
    for name in without:
        environment.pop(name, None)
    command = [*before, python, "-m", "hil_serl_cli.cli", "stop", *words]
    done = subprocess.run(
        command, capture_output=True, env=environment, cwd="/", timeout=PATIENCE, check=False
    )
    assert b"Traceback" not in done.stderr, done.stderr
    return done


def stop_the_run(stops, **options):
    """Type it as a person does: again, where a busy machine did not find the run in time and it says so."""
    before = len(stops)
    for _ in range(10):
        done = stop("--namespace", "cell", **options)
        if len(stops) > before:
            break
        assert done.returncode == 2, done.stderr
    assert len(stops) == before + 1, done.stderr
    return done


SURROUNDINGS = {
    "no home": {"without": ("HOME", "ROS_HOME", "ROS_LOG_DIR")},
    "a home that is not there": {"HOME": NOWHERE, "without": ("ROS_HOME", "ROS_LOG_DIR")},
    "no log folder and no temporary one": {"ROS_LOG_DIR": NOWHERE, "TMPDIR": NOWHERE, "HOME": NOWHERE},
    "another middleware left over": {"RMW_IMPLEMENTATION": "rmw_of_another_workspace"},
    "an ASCII terminal": {"PYTHONIOENCODING": "ascii:strict", "LC_ALL": "C", "PYTHONUTF8": "0"},
    "the whole network": {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"},
}


@pytest.mark.parametrize("variables", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_it_stops_and_then_tells(stops, variables):
    done = stop_the_run(stops, **variables)
    assert done.returncode == 0
    assert b"it holds" in done.stdout


def test_it_stops_where_its_answer_cannot_be_shown(stops):
    closed = ("sh", "-c", 'exec "$@" >&-', "sh")
    assert stop_the_run(stops, before=closed).returncode == 0


def test_it_stops_on_a_full_disk(stops):
    script = (
        "mount -t tmpfs -o size=16k none /mnt && { cat /dev/zero >/mnt/full 2>/dev/null || true; } && "
        'HOME=/mnt TMPDIR=/mnt ROS_LOG_DIR=/mnt exec "$@"'
    )
    disk = ("unshare", "--mount", "sh", "-c", script, "sh")
    if (
        shutil.which("unshare") is None
        or subprocess.run([*disk, "true"], capture_output=True).returncode != 0
    ):
        pytest.skip("no file system can be mounted here")
    assert stop_the_run(stops, before=disk).returncode == 0


def python_of_nobody():
    """An interpreter of this version that another account may start, or None."""
    version = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    for candidate in (sys.executable, "/usr/bin/python3"):
        # As its own child: what setpriv itself starts still has root's eyes.
        command = [*NOBODY, "env", candidate, "-c", version]
        with_ours = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        if subprocess.run(command, capture_output=True, cwd="/", env=with_ours).returncode == 0:
            return candidate
    return None


@pytest.mark.parametrize("scope", ["LOCALHOST", "SUBNET"])
def test_it_stops_the_run_of_another_account(stops, scope):
    """Shared memory belongs to the account of the run: a request into it would be lost."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root, to be somebody else")
    python = python_of_nobody()
    if python is None:
        pytest.skip("no Python of this version that another account may start")
    nobody = ("env", "-u", "HOME", *NOBODY, "env")
    done = stop_the_run(stops, before=nobody, python=python, ROS_AUTOMATIC_DISCOVERY_RANGE=scope)
    assert done.returncode == 0


def test_nothing_else_is_loaded():
    """Not PyTorch, not the task files' models, not the other commands: they may be broken, and take half a minute."""
    code = (
        "import sys; from hil_serl_cli import cli; from hil_serl_cli.commands import stop\n"
        "stop._PATIENCE = 0\n"
        "code = cli.run(['stop', '--namespace', 'nowhere'])\n"
        "heavy = {'torch', 'rich', 'tyro', 'pydantic', 'PIL', 'hil_serl_core', 'hil_serl_msgs'} & set(sys.modules)\n"
        "print(code, sorted(heavy))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=PATIENCE
    )
    assert done.stdout.split(maxsplit=1)[0] == "2", done.stderr
    assert done.stdout.split(maxsplit=1)[1].strip() == "[]"


def test_whoever_forgot_the_domain_is_told_which_runs_there_are():
    with Reservation(int(os.environ["ROS_DOMAIN_ID"]), [role("actor", "somewhere/else")]) as held:
        done = stop("--namespace", "nobody_here", ROS_DOMAIN_ID="")
    assert done.returncode == 2
    here = done.stderr.decode().split("runs on this machine: ")[1]  # others may run beside the tests
    assert f"ROS_DOMAIN_ID={held.domain} /somewhere/else" in here
    assert b"emergency stop" in done.stderr


def test_a_domain_that_is_none_is_named():
    done = stop("--namespace", "nobody_here", ROS_DOMAIN_ID="300")
    assert done.returncode == 2
    assert b"ROS_DOMAIN_ID=300 is no ROS domain" in done.stderr
