# SPDX-License-Identifier: Apache-2.0
"""tools/test.sh: all tests in two passes with one summary and one exit status, or what its arguments say."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from doc_pages import ROOT

from hil_serl_core.testing import waiting

# Writes down what pytest is asked for, and plays it: a report, and the exit status of the pass's folder.
PYTHON = """#!/bin/sh
case "$*" in *test_summary*) exec {python} "$@" ;; esac
echo "$*" >> "$PLAYED/asked"
for word in "$@"; do case "$word" in --junitxml=*) report="${{word#--junitxml=}}" ;; esac; done
[ -n "$report" ] || exit 0
pass="$(basename "$report" .xml)"
cat "$PLAYED/$pass.xml" > "$report"
exit "$(cat "$PLAYED/$pass.status")"
"""
GOOD = '<testcase classname="a.test_a" name="test_one" time="1"/>'
SKIPPED = '<testcase classname="a.test_a" name="test_two" time="0"><skipped message="no camera"/></testcase>'
BAD = '<testcase classname="a.test_a" name="test_three[x]" time="1"><failure message="no"/></testcase>'


@pytest.fixture
def suite(tmp_path):
    """``suite(passes, arguments)``: tools/test.sh with a pytest that is played; what it said and was asked for."""
    tools, programs = tmp_path / "clone" / "tools", tmp_path / "programs"
    for folder in (tools, programs):
        folder.mkdir(parents=True)
    for name in ("test.sh", "test_summary.py"):
        shutil.copy(ROOT / "tools" / name, tools)
    (tools / "env.sh").touch()
    (programs / "python").write_text(PYTHON.format(python=sys.executable))
    (programs / "python").chmod(0o755)

    def run(passes, *arguments):
        for name, (status, cases) in passes.items():
            (tmp_path / f"{name}.status").write_text(f"{status}\n")
            text = f'<testsuites><testsuite name="pytest" time="61.5">{cases}</testsuite></testsuites>'
            (tmp_path / f"{name}.xml").write_text(text)
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", str(tools / "test.sh"), *arguments],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PATH": path, "PLAYED": str(tmp_path)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done, (tmp_path / "asked").read_text().splitlines()

    return run


def test_all_tests_run_in_two_passes_and_are_counted_together(suite):
    done, asked = suite({"side_by_side": (0, GOOD + SKIPPED), "alone": (0, GOOD)})
    assert done.returncode == 0, done.stderr
    beside, alone = asked
    assert "-m not alone" in beside
    assert "--dist loadfile" in beside
    assert f"-n {min(len(os.sched_getaffinity(0)) + 1, 8)} " in beside
    assert "-m alone" in alone
    assert "-n " not in alone
    assert done.stdout.splitlines()[-1] == "  2 passed, 1 skipped in 2 min 3 s"


@pytest.mark.parametrize("name", ["side_by_side", "alone"])
@pytest.mark.parametrize(("status", "cases"), [(1, GOOD + BAD), (3, ""), (0, BAD)])
def test_a_failure_of_either_pass_fails_the_whole_and_the_other_pass_runs(suite, name, status, cases):
    passes = {"side_by_side": (0, GOOD), "alone": (0, GOOD), name: (status, cases)}
    done, asked = suite(passes)
    assert done.returncode == 1
    assert len(asked) == 2
    assert ("  FAILED a.test_a::test_three[x]" in done.stdout.splitlines()) == (BAD in cases)


def test_a_person_who_interrupts_the_first_pass_does_not_get_the_second(suite):
    done, asked = suite({"side_by_side": (2, GOOD), "alone": (0, GOOD)})
    assert done.returncode == 2
    assert len(asked) == 1


def test_arguments_are_pytests_and_nothing_runs_side_by_side(suite):
    done, asked = suite({}, "tests/test_docs.py", "-k", "links")
    assert done.returncode == 0, done.stderr
    (line,) = asked
    assert line.endswith("-q tests/test_docs.py -k links")
    assert "-n" not in line.split()
    assert "junitxml" not in line


def test_a_pass_that_leaves_no_report_is_a_failure(tmp_path):
    script = [sys.executable, str(ROOT / "tools" / "test_summary.py"), str(tmp_path / "alone.xml")]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the pass 'alone' ended without a report" in done.stdout


def test_the_files_that_judge_real_time_have_the_marker():
    """Without it they would run beside others, where they fail only sometimes."""
    for name in ("tests/test_real_time.py", "src/hil_serl_actor/test/test_cell_node_ends.py"):
        assert "pytest.mark.alone" in (ROOT / name).read_text(encoding="utf-8"), Path(name).name


def test_what_never_comes_fails_with_words_and_many_such_do_not_hold_up_the_suite(monkeypatch):
    monkeypatch.setattr(waiting, "PATIENCE", 1.0)
    monkeypatch.setattr(waiting, "_in_vain", [])
    for number in range(waiting.FEW + 1):
        begin = time.monotonic()
        with pytest.raises(pytest.fail.Exception, match=r"in vain for the arm\nits log"):
            waiting.wait_for(lambda: False, "the arm", says=lambda: "its log")
        assert time.monotonic() - begin >= (1.0 if number < waiting.FEW else 0.1)
    assert waiting.wait_for(lambda: "there") == "there"
    looks = []
    waiting.let_pass(0.2, lambda: looks.append(waiting.pause()))
    assert looks


def test_the_files_that_workers_begin_with_are_there():
    """A file of another name would be the last one, and everybody would wait for it."""
    text = (ROOT / "conftest.py").read_text(encoding="utf-8")
    named = re.findall(r'^    "((?:src|tests)/.*\.py)",$', text, re.MULTILINE)
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []
