# SPDX-License-Identifier: Apache-2.0
"""Operator's devices."""
