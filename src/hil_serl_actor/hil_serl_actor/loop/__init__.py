# SPDX-License-Identifier: Apache-2.0
"""The control loop: what the actor does at 10 Hz. No ROS."""
