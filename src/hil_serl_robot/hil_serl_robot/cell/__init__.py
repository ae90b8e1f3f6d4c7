# SPDX-License-Identifier: Apache-2.0
"""A real or mock cell's own services: reset motion, joint reset, recovery."""
