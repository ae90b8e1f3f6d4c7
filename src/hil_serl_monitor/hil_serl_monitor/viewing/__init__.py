# SPDX-License-Identifier: Apache-2.0
"""What viewers and mock cameras show."""
