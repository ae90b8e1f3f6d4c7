# SPDX-License-Identifier: Apache-2.0
"""The commands that README and docs print, and what a page says a command needs."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted({ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "src").glob("*/README.md")})
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
PROGRAMS = ("hil-serl", "make", "ros2", "colcon")  # whose mention in a sentence counts as a command

#: What a page may say a command needs, in a comment behind it, or in a comment line before those it holds for. Only
#: commands that need a full ROS 2 are run by tests nevertheless, where there is one.
FULL_ROS = "needs a full ROS 2"
MARKS = (
    "needs hardware",
    FULL_ROS,
    "needs a display",
    "needs Docker",
    "needs root",
    "needs two machines",
    "takes hours",
)
_MARK = re.compile("|".join(MARKS))


@dataclass(frozen=True)
class Command:
    """A command as a page prints it.

    Attributes:
        page: Path of the page below the repository.
        text: The line without comment, continued lines joined.
        mark: What the page says it needs, one of MARKS, or empty.
        mention: Stands in a sentence instead of a block of commands.
    """

    page: str
    text: str
    mark: str = ""
    mention: bool = False

    @property
    def words(self) -> list[str]:
        """As the shell takes it apart."""
        return shlex.split(self.text)

    @property
    def key(self) -> tuple[str, str]:
        """Page and text."""
        return self.page, self.text


def _mark(comment: str) -> str:
    found = _MARK.search(comment)
    return found.group() if found else ""


def block_commands(page: Path) -> list[Command]:
    """Every command line of a page's shell blocks, in order."""
    name, found = str(page.relative_to(ROOT)), []
    for kind, block in FENCE.findall(page.read_text(encoding="utf-8")):
        if kind not in ("bash", "console"):
            continue
        of_block = ""
        for line in block.replace("\\\n", " ").splitlines():
            text, _, comment = line.removeprefix("$ ").partition("#")
            text = " ".join(text.split())
            if text:
                found.append(Command(name, text, _mark(comment) or of_block))
            elif comment:
                of_block = _mark(comment)
    return found


def mentioned_commands(page: Path) -> list[Command]:
    """Commands in a page's sentences that say more than a program's name, each once."""
    name, prose = str(page.relative_to(ROOT)), FENCE.sub("", page.read_text(encoding="utf-8"))
    spans = dict.fromkeys(" ".join(span.split()) for span in SPAN.findall(prose))
    return [
        Command(name, span, mention=True)
        for span in spans
        if span.startswith(tuple(f"{p} " for p in PROGRAMS))
    ]


def all_commands() -> list[Command]:
    """Of all pages."""
    return [command for page in PAGES for command in (*block_commands(page), *mentioned_commands(page))]
