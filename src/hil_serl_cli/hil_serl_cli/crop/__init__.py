# SPDX-License-Identifier: Apache-2.0
"""Choosing the area of interest of a camera by looking at its picture."""
