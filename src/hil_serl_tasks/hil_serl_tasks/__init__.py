# SPDX-License-Identifier: Apache-2.0
"""Task files of the HIL-SERL suite, of real cells and their simulated twins, and what finds them by name."""
