# SPDX-License-Identifier: Apache-2.0
"""Bringup of the HIL-SERL suite: the process graph, its supervisor, the command-line tool and its reports."""
