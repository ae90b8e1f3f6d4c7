# SPDX-License-Identifier: Apache-2.0
"""Actor of the HIL-SERL suite."""
