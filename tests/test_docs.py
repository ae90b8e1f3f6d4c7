# SPDX-License-Identifier: Apache-2.0
"""What README and docs tell people to type exists: commands, options and their values, make targets, files."""

import os
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted({ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "src").glob("*/README.md")})
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^]]*\]\(([^)#\s]+)")


def commands(page: Path) -> list[list[str]]:
    """Words of every command line in a page's shell blocks, continued lines joined, comments dropped."""
    blocks = [
        text for kind, text in FENCE.findall(page.read_text(encoding="utf-8")) if kind in ("bash", "console")
    ]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    found = (shlex.split(line.removeprefix("$ "), comments=True) for line in lines)
    return [words for words in found if words]


def typed(program: str) -> list:
    """Every command of a program in all pages, with its page as the test's name."""
    return [
        pytest.param(words[1:], id=f"{page.relative_to(ROOT)}: {' '.join(words[1:])}")
        for page in PAGES
        for words in commands(page)
        if words[0] == program
    ]


@pytest.mark.parametrize("words", typed("hil-serl"))
def test_commands_and_options_exist(words, capsys):
    from hil_serl_bringup.cli import COMMANDS, parse

    if words[0] == "doctor":  # works without the packages that the parser needs
        assert words[0] in COMMANDS
        return
    try:
        parse(words)
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


def test_launch_lines_name_files_and_arguments_that_exist():
    from hil_serl_bringup.launching.arguments import ARGUMENTS

    files = {path.name for path in (ROOT / "src").glob("*/launch/*.launch.py")}
    lines = [(page, words) for page in PAGES for words in commands(page) if words[:2] == ["ros2", "launch"]]
    assert lines
    for page, words in lines:
        package, name, *arguments = words[2:]
        if package != "hil_serl_bringup":
            continue
        assert name in files, f"{page.name}: {name}"
        if name != "task.launch.py":
            continue
        for argument in (word for word in arguments if ":=" in word):
            key, value = argument.split(":=", 1)
            assert key in ARGUMENTS, f"{page.name}: {key}"
            assert not ARGUMENTS[key].choices or value in ARGUMENTS[key].choices, f"{page.name}: {argument}"


def test_nothing_that_people_type_depends_on_this_machine():
    for page in PAGES:
        for words in commands(page):
            for word in words:
                assert not (os.path.isabs(word) and word.startswith(("/home/", "/root/", "/tmp/"))), (
                    page,
                    word,
                )
