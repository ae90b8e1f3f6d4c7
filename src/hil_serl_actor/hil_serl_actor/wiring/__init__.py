# SPDX-License-Identifier: Apache-2.0
"""Parameters, services and messages of the nodes."""
