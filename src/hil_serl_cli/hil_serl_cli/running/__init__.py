# SPDX-License-Identifier: Apache-2.0
"""Running a graph on this machine: supervisor, phases, run folders."""
