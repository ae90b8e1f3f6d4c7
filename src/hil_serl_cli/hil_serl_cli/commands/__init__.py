# SPDX-License-Identifier: Apache-2.0
"""The commands of hil-serl, one module a group."""
