# SPDX-License-Identifier: Apache-2.0
"""Between ``hil_serl_core`` and ROS 2: conversions, QoS, names, parameters, diagnostics, bags."""
