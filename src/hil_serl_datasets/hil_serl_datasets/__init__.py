# SPDX-License-Identifier: Apache-2.0
"""Recorded data as files to look after: list, check, trim, relabel, merge, convert and import. No running ROS."""
