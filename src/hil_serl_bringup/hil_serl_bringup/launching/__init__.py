# SPDX-License-Identifier: Apache-2.0
"""The process graph as launch actions."""
