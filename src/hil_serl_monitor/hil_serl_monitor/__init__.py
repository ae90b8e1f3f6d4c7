# SPDX-License-Identifier: Apache-2.0
"""Watching runs of the HIL-SERL suite: run monitor, live view, markers, layouts."""
