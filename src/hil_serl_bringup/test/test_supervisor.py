# SPDX-License-Identifier: Apache-2.0
"""The supervisor against real child processes that crash, ignore signals, or outlive it."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from hil_serl_bringup import supervisor as sup
from hil_serl_bringup.graph.executables import ExecutableNotFound, find_command
from hil_serl_bringup.graph.process import ProcessSpec
from hil_serl_core.testing.waiting import PATIENCE, wait_for

SCRIPTS = {
    "sleeper": "import time\nprint('up', flush=True)\ntime.sleep(3600)",
    "clean": """
        import signal, sys, time
        def bye(*_):
            print('closed the bag', flush=True)
            sys.exit(0)
        signal.signal(signal.SIGINT, bye)
        print('up', flush=True)
        time.sleep(3600)""",
    "stubborn": """
        import signal, time
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print('up', flush=True)
        while True:
            time.sleep(1)""",
    "crasher": "raise ValueError('camera wrist_1 has no images')",
    "done": "print('up')",
    "parent": """
        import signal, subprocess, sys, time
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3600)'])
        print('grandchild', child.pid, flush=True)
        sys.exit(0)""",
    "echo": "import os, sys\nprint(sys.argv[1:], os.environ['OMP_NUM_THREADS'], flush=True)",
}
FAST = ((signal.SIGINT, 0.5), (signal.SIGTERM, 0.5), (signal.SIGKILL, 5.0))


def find(package: str, executable: str) -> list[str]:
    if executable not in SCRIPTS:
        raise ExecutableNotFound(executable)
    return [sys.executable, "-S", "-c", textwrap.dedent(SCRIPTS[executable])]


def make(tmp_path: Path, *executables: str, stop=FAST, **fields) -> sup.Supervisor:
    specs = [
        ProcessSpec(f"{executable}_{number}", "test", executable, **fields)
        for number, executable in enumerate(executables)
    ]
    return sup.Supervisor(specs, tmp_path / "logs", stop_sequence=stop, find=find)


def up(supervisor: sup.Supervisor) -> bool:
    return all("up" in sup.tail(log) for log in supervisor.logs.values())


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_crash_is_reported_with_last_lines_and_log_and_ends_the_others(tmp_path):
    with make(tmp_path, "sleeper", "crasher") as supervisor:
        other = supervisor.pid("sleeper_0")
        with pytest.raises(sup.ProcessFailure) as caught:
            wait_for(supervisor.poll)
    report = str(caught.value)
    assert "crasher_1 ended with exit code 1" in report
    assert "camera wrist_1 has no images" in report
    assert str(tmp_path / "logs" / "crasher_1.log") in report
    assert not alive(other)


def test_a_killed_child_is_named_by_its_signal(tmp_path):
    with make(tmp_path, "sleeper") as supervisor:
        wait_for(lambda: up(supervisor))
        os.kill(supervisor.pid("sleeper_0"), signal.SIGKILL)
        with pytest.raises(sup.ProcessFailure, match="sleeper_0 was ended by SIGKILL"):
            wait_for(supervisor.poll)


def test_clean_child_gets_to_close_and_is_not_killed(tmp_path):
    with make(tmp_path, "clean", stop=((signal.SIGINT, 20.0), (signal.SIGKILL, 1.0))) as supervisor:
        wait_for(lambda: up(supervisor))
        assert supervisor.stop() == []
    assert sup.tail(supervisor.logs["clean_0"])[-1] == "closed the bag"


def test_a_child_that_ignores_signals_is_killed(tmp_path):
    with make(tmp_path, "stubborn") as supervisor:
        wait_for(lambda: up(supervisor))
        pid = supervisor.pid("stubborn_0")
        assert 1e6 < supervisor.peak_memory()["stubborn_0"] < 1e9
        assert supervisor.stop() == ["stubborn_0"]
        assert not alive(pid)


def test_what_a_child_started_ends_too(tmp_path):
    with make(tmp_path, "parent", ends_run=True) as supervisor:
        wait_for(supervisor.poll)
        line = next(line for line in sup.tail(supervisor.logs["parent_0"]) if line.startswith("grandchild"))
        grandchild = int(line.split()[1])
        assert alive(grandchild)
    wait_for(lambda: not alive(grandchild))


def test_end_with_code_zero_completes_a_run_only_where_the_graph_says_so(tmp_path):
    with make(tmp_path / "a", "done", ends_run=True) as supervisor:
        assert wait_for(supervisor.poll).name == "done_0"
    with pytest.raises(sup.ProcessFailure, match="exit code 0"), make(tmp_path / "b", "done") as supervisor:
        wait_for(supervisor.poll)


def test_a_driver_is_started_again_as_often_as_allowed(tmp_path):
    with pytest.raises(sup.ProcessFailure), make(tmp_path, "crasher", max_restarts=2) as supervisor:
        wait_for(supervisor.poll)
    text = supervisor.logs["crasher_0"].read_text()
    assert text.count("camera wrist_1 has no images") >= 3


def test_a_missing_executable_starts_nothing(tmp_path):
    supervisor = make(tmp_path, "sleeper", "absent")
    with pytest.raises(ExecutableNotFound):
        supervisor.start()
    assert supervisor.running() == []


def test_arguments_and_environment_reach_the_process(tmp_path):
    with make(
        tmp_path, "echo", ends_run=True, environment={"OMP_NUM_THREADS": "7"}, parameters={"speed": "1.0"}
    ) as supervisor:
        wait_for(supervisor.poll)
    line = sup.tail(supervisor.logs["echo_0"])[-1]
    assert line.endswith(" 7")
    assert "__node:=echo_0" in line
    assert "speed:='1.0'" in line


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_child_outlives_the_supervisor(tmp_path, end):
    program = f"""
        import sys, time, signal
        sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}
        from test_supervisor import make, up
        from hil_serl_bringup.supervisor import interrupt_on_signals
        from pathlib import Path
        with interrupt_on_signals(), make(Path({str(tmp_path)!r}), 'stubborn', 'sleeper') as supervisor:
            while not up(supervisor):
                time.sleep(0.02)
            print(*(supervisor.pid(name) for name in supervisor.running()), flush=True)
            time.sleep(3600)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        pids = [int(word) for word in process.stdout.readline().split()]
        assert len(pids) == 2
        assert all(alive(pid) for pid in pids)
        process.send_signal(end)
        process.wait(PATIENCE)
    wait_for(lambda: not any(alive(pid) for pid in pids))


def test_executables_are_found_in_the_overlay_then_as_modules(tmp_path):
    program = tmp_path / "lib" / "demo_pkg" / "demo_node"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    environment = {"AMENT_PREFIX_PATH": f"/nonexistent:{tmp_path}"}
    with pytest.raises(ExecutableNotFound, match="demo_node"):
        find_command("demo_pkg", "demo_node", environment)  # not executable
    program.chmod(0o755)
    assert find_command("demo_pkg", "demo_node", environment) == [str(program)]
    assert find_command("json", "tool", {})[1:] == ["-m", "json.tool"]
    with pytest.raises(ExecutableNotFound, match="make setup"):
        find_command("hil_serl_nothing", "node", {})
    with pytest.raises(ExecutableNotFound, match="ros-jazzy-spacenav"):
        find_command("spacenav", "spacenav_node", {})
