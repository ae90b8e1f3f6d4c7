# SPDX-License-Identifier: Apache-2.0
"""ROS-free core of the HIL-SERL suite: what actor, learner and simulator share."""
