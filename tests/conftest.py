# SPDX-License-Identifier: Apache-2.0
"""Runs of several processes over DDS, with kills."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor

from hil_serl_bringup.graph.build import GraphRequest, ProcessSpec, build_graph
from hil_serl_bringup.graph.executables import find_command
from hil_serl_core.episode import Mode
from hil_serl_core.testing.waiting import PATIENCE, wait_for
from hil_serl_msgs.msg import LearnerStatus
from hil_serl_ros import names, qos

sys.path.append(str(Path(__file__).parent))  # doc_pages and the like


class Processes:
    """The process graph of a run, each process to be killed and started again at will."""

    def __init__(self, request: GraphRequest) -> None:
        self.request = request
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._logs = request.run_dir / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)

    def spec(self, name: str, **changes: object) -> ProcessSpec:
        """The process as the graph of the request, or of a changed request, has it."""
        graph = build_graph(replace(self.request, **changes))  # type: ignore[arg-type]
        return next(process for process in graph if process.name == name)

    def start(self, name: str, **changes: object) -> None:
        """Start one process of the graph."""
        spec = self.spec(name, **changes)
        command = find_command(spec.package, spec.executable) + spec.ros_arguments()
        with (self._logs / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **spec.environment}
            )

    def kill(self, name: str) -> None:
        """SIGKILL, as a crash or the out-of-memory killer would."""
        self.running[name].kill()
        self.running.pop(name).wait()

    def check(self) -> None:
        """Fail with the log of a process that ended by itself."""
        for name, process in self.running.items():
            if process.poll() is not None:
                pytest.fail(f"{name} ended with {process.returncode}:\n{self.log(name)}")

    def log(self, name: str) -> str:
        """The end of a process's log."""
        return (self._logs / f"{name}.log").read_text(errors="replace")[-3000:]

    def stop(self) -> None:
        """End everything, politely first."""
        for process in self.running.values():
            process.send_signal(signal.SIGINT)
        for process in self.running.values():
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running.clear()


class Listener:
    """A ROS node of the test that keeps the latest learner status and calls services."""

    def __init__(self) -> None:
        rclpy.init()
        self.node = rclpy.create_node("test_listener")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.status: LearnerStatus | None = None
        self.node.create_subscription(
            LearnerStatus, names.LEARNER_STATUS, self._on_status, qos.LEARNER_STATUS
        )

    def _on_status(self, message: LearnerStatus) -> None:
        self.status = message

    def wait(self, condition: Callable[[], object], processes: Processes, what: str) -> None:
        """Spin until ``condition`` holds; a process that dies meanwhile fails the test at once."""

        def spin() -> None:
            processes.check()
            self.executor.spin_once(timeout_sec=0.1)

        def logs() -> str:
            ends = "\n".join(f"--- {name}\n{processes.log(name)}" for name in processes.running)
            return f"last status {self.status}\n{ends}"

        wait_for(condition, what, spin, logs)

    def call(self, service_type: type, name: str, request: object, processes: Processes) -> object:
        """Call a service and return its answer."""
        client = self.node.create_client(service_type, name)
        self.wait(client.service_is_ready, processes, f"service {name}")
        future = client.call_async(request)
        self.wait(future.done, processes, f"answer of {name}")
        return future.result()

    def close(self) -> None:
        """End the node."""
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown()


@pytest.fixture(scope="session")
def easy_task() -> Path:
    """A version of the RAM twin that is learnt quickly."""
    return Path(__file__).parent / "easy_insertion.yaml"


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture(scope="session")
def recording(easy_task: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folder with two demonstrations of the easy task."""
    folder = tmp_path_factory.mktemp("recording")
    task = shutil.copy(easy_task, folder / "task.yaml")
    run = Processes(GraphRequest(str(task), Mode.RECORD_DEMOS, folder, episodes=2, seed=3))
    try:
        for name in ("sim", "operator", "actor"):
            run.start(name)
        assert run.running["actor"].wait(PATIENCE) == 0, run.log("actor")
    finally:
        run.stop()
    return folder


@pytest.fixture
def demonstrated(recording: Path, tmp_path: Path) -> GraphRequest:
    """Request of a training on the easy task, whose run folder holds two demonstrations."""
    shutil.copytree(recording, tmp_path, dirs_exist_ok=True)
    return GraphRequest(str(tmp_path / "task.yaml"), Mode.TRAIN, tmp_path, seed=3)


@pytest.fixture
def start_run() -> Iterator[Callable[[GraphRequest], Processes]]:
    """Makes Processes that are ended whatever happens."""
    made: list[Processes] = []

    def make(request: GraphRequest) -> Processes:
        made.append(Processes(request))
        return made[-1]

    yield make
    for processes in made:
        processes.stop()
