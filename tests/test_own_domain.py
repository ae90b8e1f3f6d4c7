# SPDX-License-Identifier: Apache-2.0
"""Test suites that run side by side, and beside runs, are in ROS domains of their own."""

import os
import re
import subprocess

import pytest
from doc_pages import ROOT

from hil_serl_ros.domain import hold_domain, role


def test_the_domain_of_this_suite_is_shown():
    print(f"domain {os.environ['ROS_DOMAIN_ID']} of the suite")


@pytest.mark.timeout(300)
def test_two_suites_and_a_run_do_not_meet(monkeypatch):
    mine = os.environ["ROS_DOMAIN_ID"]
    monkeypatch.delenv("ROS_DOMAIN_ID")
    command = ["bash", str(ROOT / "tools/test.sh"), __file__, "-s", "-k", "is_shown"]
    with hold_domain([role("actor")]) as run:
        suites = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for _ in range(2)
        ]
        said = [suite.communicate(timeout=280)[0] for suite in suites]
    domains = [found.group(1) for text in said if (found := re.search(r"domain (\d+) of the suite", text))]
    assert len({mine, str(run), *domains}) == 4, said
