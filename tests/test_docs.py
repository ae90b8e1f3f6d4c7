# SPDX-License-Identifier: Apache-2.0
"""What README and docs tell people to type exists, and is run by a test or the page says what it needs."""

import ast
import contextlib
import os
import re
import shlex

import pytest
from doc_pages import FENCE, FULL_ROS, PAGES, ROOT, all_commands, block_commands
from doc_table import ELSEWHERE, ENVIRONMENT, NOT_RUN, ROS_STORIES, STARTS_THE_TESTS, STORIES

LINK = re.compile(r"!?\[[^]]*\]\(([^)#\s]+)")
COMMANDS = all_commands()


def keys_of(page, runs):
    """(page, command) of some runs and of those beside them."""
    own = {(run.page or page, run.text) for run in runs}
    return own.union(*(keys_of(page, run.beside) for run in runs))


def all_of(stories):
    """(page, command) of all runs of some stories."""
    return set().union(*(keys_of(page, runs) for page, runs in stories.items()))


RUN, RUN_WITH_ROS = all_of(STORIES), all_of(ROS_STORIES)


def name_of(text):
    """Program and sub-commands of a command line: the words before the first option, argument or open place."""
    words = text.split()
    depth = {"hil-serl": 3 if words[1] in ("dataset", "classifier", "network") else 2, "ros2": 3}
    return tuple(words[: depth.get(words[0], 2)])


def classes_of(command):
    """The classes that a command of a page falls into; one, if page and table agree."""
    if command.mention:
        return mention_classes(command)
    return [
        name
        for name, holds in {
            "run": command.key in RUN or command.text == ENVIRONMENT,
            "run with a full ROS 2": command.key in RUN_WITH_ROS,
            "run by another test": command.key in ELSEWHERE,
            "starts the tests": command.text in STARTS_THE_TESTS,
            command.mark: command.mark not in ("", FULL_ROS),
        }.items()
        if holds
    ]


def mention_classes(command):
    """A command in a sentence: run as it stands, or the command of that name is run with other arguments."""
    names = {name_of(text) for _, text in (*RUN, *RUN_WITH_ROS, *ELSEWHERE)}
    names |= {tuple(text.split()) for text in STARTS_THE_TESTS}
    if command.key in NOT_RUN:
        return ["mention, not run"]
    if command.key in RUN | RUN_WITH_ROS | set(ELSEWHERE) or command.text in STARTS_THE_TESTS:
        return ["mention, run"]
    known = any(name[: len(name_of(command.text))] == name_of(command.text) for name in names)
    return ["mention of a command that is run"] if known else []


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.page}: {command.text}")
def test_every_command_is_run_or_says_what_it_needs(command):
    found = classes_of(command)
    assert len(found) == 1, (
        f"{command.page}: '{command.text}' is {' and '.join(found) or 'in no class'}: put it into a story of "
        "tests/doc_table.py, name the test that runs it there, or say on the page what it needs"
    )
    if command.mark == FULL_ROS:
        assert found[0] in ("run with a full ROS 2", "run by another test", "starts the tests")


def test_the_table_names_commands_that_the_pages_print():
    printed = {command.key for command in COMMANDS}
    assert not (RUN | RUN_WITH_ROS | set(ELSEWHERE) | set(NOT_RUN)) - printed
    assert set(STARTS_THE_TESTS) <= {text for _, text in printed}


@pytest.mark.parametrize("test", sorted(set(ELSEWHERE.values())))
def test_the_tests_that_run_a_command_exist(test):
    file, name = test.split("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def typed(program):
    """Every command of a program in all pages, open places filled in, with its page as the test's name."""
    return [
        pytest.param(shlex.split(command.text)[1:], id=f"{command.page}: {command.text}")
        for command in COMMANDS
        if command.words[0] == program
    ]


@pytest.mark.parametrize("words", typed("hil-serl"))
def test_commands_and_options_exist(words, capsys):
    from hil_serl_cli.cli import COMMANDS, parse

    if words[0] == "doctor":  # works without the packages that the parser needs
        assert words[0] in COMMANDS
        return
    bare = words in (
        ["replay"],
        ["eval"],
        ["analyse"],
        ["crop"],
        ["network"],
        ["dataset"],
    )  # mentioned without their argument
    try:
        parse([*words, "--help"] if bare else words)
        code = 0
    except SystemExit as end:
        code = end.code
    assert code == 0, capsys.readouterr().err


@pytest.mark.parametrize("words", typed("make"))
def test_make_targets_exist(words):
    targets = re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {word for word in words if "=" not in word} <= set(targets)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    linked = LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    here = [target for target in linked if not re.match(r"[a-z]+:", target)]
    missing = [target for target in here if not (page.parent / target).exists()]
    assert not missing


def launch_lines():
    """Every `ros2 launch` of the suite's launch files, as page, file and arguments."""
    for command in (command for page in PAGES for command in block_commands(page)):
        if command.words[:3] == ["ros2", "launch", "hil_serl_bringup"]:
            yield command.page, command.words[3], [word for word in command.words[4:] if ":=" in word]


def test_launch_lines_name_files_and_arguments_that_exist():
    from hil_serl_bringup.launching.arguments import ARGUMENTS

    files = {path.name for path in (ROOT / "src").glob("*/launch/*.launch.py")}
    assert list(launch_lines())
    for page, name, arguments in launch_lines():
        assert name in files, f"{page}: {name}"
        for argument in arguments if name == "task.launch.py" else ():
            key, value = argument.split(":=", 1)
            assert key in ARGUMENTS, f"{page}: {key}"
            assert not ARGUMENTS[key].choices or value in ARGUMENTS[key].choices, f"{page}: {argument}"


def test_launch_lines_fit_their_task_and_robot_also_where_the_robot_is_missing(tmp_path, monkeypatch):
    from hil_serl_bringup.graph.executables import ExecutableNotFound
    from hil_serl_bringup.launching.request import request_from

    monkeypatch.chdir(tmp_path)
    for _page, name, arguments in launch_lines():
        if name == "task.launch.py" and arguments:
            with contextlib.suppress(
                ExecutableNotFound
            ):  # drivers; looked up when all the rest was found good
                request_from(dict(argument.split(":=", 1) for argument in arguments))


def test_nothing_that_people_type_depends_on_this_machine():
    for command in COMMANDS:
        for word in command.words:
            assert not (os.path.isabs(word) and word.startswith(("/home/", "/root/", "/tmp/"))), command


def test_pages_say_how_often_the_learner_reports():
    from hil_serl_learner import learner_node

    periods = learner_node._STATUS_PERIOD, learner_node._ACK_PERIOD
    rates = "{:.0f} to {:.0f} Hz".format(*(1 / period for period in periods))
    for page in ("monitoring", "two_machines"):
        rows = (ROOT / "docs" / f"{page}.md").read_text().splitlines()
        (row,) = (row for row in rows if row.startswith("| `learner_status`"))
        assert rates in row, page
