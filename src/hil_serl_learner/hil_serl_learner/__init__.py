# SPDX-License-Identifier: Apache-2.0
"""Learner: replay, RLPD, trainer, checkpoints, ingest ledger, and the node that wires them to ROS."""
