# SPDX-License-Identifier: Apache-2.0
"""Grippers behind one topic each way: an opening from 0 (closed) to 1 (open)."""
