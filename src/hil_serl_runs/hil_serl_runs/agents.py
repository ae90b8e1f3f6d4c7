# SPDX-License-Identifier: Apache-2.0
"""Agents of forward-backward training. Each has its learner, topics and run folder under its name."""

FORWARD, BACKWARD = "forward", "backward"
