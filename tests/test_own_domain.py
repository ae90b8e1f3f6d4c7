# SPDX-License-Identifier: Apache-2.0
"""Test processes that run side by side, and beside runs, are in ROS domains of their own."""

import os
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from doc_pages import ROOT

from hil_serl_core.testing.waiting import PATIENCE
from hil_serl_ros.domain import hold_domain, role


def test_the_domain_of_this_suite_is_shown(record_property):
    child = [sys.executable, "-c", "import os; print(os.environ['ROS_DOMAIN_ID'])"]
    inherited = subprocess.run(child, capture_output=True, text=True, check=True).stdout.strip()
    assert inherited == os.environ["ROS_DOMAIN_ID"]
    record_property("domain", inherited)
    print(f"domain {inherited} of the suite")


def test_two_suites_and_a_run_do_not_meet(monkeypatch):
    mine = os.environ["ROS_DOMAIN_ID"]
    monkeypatch.delenv("ROS_DOMAIN_ID")
    command = ["bash", str(ROOT / "tools/test.sh"), __file__, "-s", "-k", "is_shown"]
    with hold_domain([role("actor")]) as run:
        suites = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for _ in range(2)
        ]
        said = [suite.communicate(timeout=PATIENCE)[0] for suite in suites]
    domains = [found.group(1) for text in said if (found := re.search(r"domain (\d+) of the suite", text))]
    assert len({mine, str(run), *domains}) == 4, said


def test_the_workers_of_one_suite_do_not_meet(tmp_path):
    pytest.importorskip("xdist")
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", __file__, "-k", "is_shown", f"--junitxml={report}"]
    each = subprocess.run([*command, "-n", "2", "--dist", "each"], cwd=ROOT, capture_output=True, text=True)
    assert each.returncode == 0, each.stdout + each.stderr
    domains = {entry.get("value") for entry in ElementTree.parse(report).iter("property")}
    assert len({os.environ["ROS_DOMAIN_ID"], *domains}) == 3, each.stdout
