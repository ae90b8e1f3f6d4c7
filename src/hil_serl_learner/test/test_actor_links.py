# SPDX-License-Identifier: Apache-2.0
"""Namespaces of the actors, as a person lists them."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("hil_serl_msgs.msg")

from hil_serl_learner.actor_links import parse_cells


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("", ("",)),
        (" , ", ("",)),
        ("cell_1", ("cell_1",)),
        ("cell_1, /lab/cell_2/", ("cell_1", "/lab/cell_2")),
    ],
)
def test_a_list_of_namespaces(text, cells):
    assert parse_cells(text) == cells


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cell_1,cell 2", "'cell 2' is no ROS namespace"),
        ("1st", "'1st' is no ROS namespace"),
        ("cell_1,cell_1", "listed twice"),
    ],
)
def test_what_is_no_list_of_namespaces(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse_cells(text)
