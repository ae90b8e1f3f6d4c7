# SPDX-License-Identifier: Apache-2.0
"""The process graph of a run: request, robots, processes."""
