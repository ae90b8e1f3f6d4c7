# SPDX-License-Identifier: Apache-2.0
"""Dockerfile, compose file and scripts fit one another; linted where the linters are."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
SCRIPTS = [*sorted((ROOT / "docker").glob("*.sh")), ROOT / "tools" / "rosdep_skip_keys.sh"]


def test_every_service_builds_a_stage_that_exists_with_arguments_that_it_takes():
    stages = set(re.findall(r"^FROM \S+ AS (\w+)$", DOCKERFILE, re.MULTILINE))
    arguments = set(re.findall(r"^ARG (\w+)=", DOCKERFILE, re.MULTILINE))
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))["services"]
    for name, service in services.items():
        assert service["build"]["target"] == name
        assert set(service["build"]["args"]) <= arguments, name
    assert set(services) == stages - {"base"}


def test_no_argument_is_a_variable_that_bash_sets_itself():
    # RUN sees arguments as variables of the environment, and bash keeps its own UID: 0 in a build.
    assert not {"UID", "EUID", "GROUPS", "HOSTNAME"} & set(
        re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE)
    )


def test_files_that_the_images_use_exist_and_can_be_run():
    used = set(re.findall(r"(?:docker|tools)/\w+\.sh", DOCKERFILE))
    assert {f"{path.parent.name}/{path.name}" for path in SCRIPTS} == used
    assert all(path.stat().st_mode & 0o111 for path in SCRIPTS)


def test_rosdep_skips_every_python_package_and_nothing_else():
    keys = set(subprocess.run([SCRIPTS[-1]], check=True, capture_output=True, text=True).stdout.split())
    declared = set()
    for package in (ROOT / "src").glob("*/package.xml"):
        declared |= set(re.findall(r"<\w*depend[^>]*>([^<]+)<", package.read_text(encoding="utf-8")))
    assert keys == {key for key in declared if key.startswith("python3-")}


@pytest.mark.parametrize(
    "command",
    [
        ("hadolint", "--config", "docker/.hadolint.yaml", "docker/Dockerfile"),
        ("shellcheck", *(str(path) for path in SCRIPTS)),
    ],
    ids=lambda command: command[0],
)
def test_linted(command):
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
