# SPDX-License-Identifier: Apache-2.0
"""Runs of the HIL-SERL suite on disk: run folder, episodes, labels, checkpoints, and what a run says about itself."""
