# SPDX-License-Identifier: Apache-2.0
"""How commands talk to a person: text as it is, and paths that can be pasted."""

from __future__ import annotations

import shlex

from rich.console import Console


def plain_console(stderr: bool = False, terminal: bool | None = None) -> Console:
    """A console without markup, which would swallow the square brackets of a path; styles are given as such.

    Args:
        stderr: Write there instead of to the standard output.
        terminal: Whether a terminal reads it; None: look.
    """
    return Console(stderr=stderr, markup=False, highlight=False, force_terminal=terminal)


def word(value: object) -> str:
    """A value as a word of a command that a person is to paste into a shell."""
    return shlex.quote(str(value))
