# SPDX-License-Identifier: Apache-2.0
"""MuJoCo twins of HIL-SERL cells and the scripted operator."""
