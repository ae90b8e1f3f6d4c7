# SPDX-License-Identifier: Apache-2.0
"""Nodes of a real or mock cell of the HIL-SERL suite: resets, recovery, grippers."""
