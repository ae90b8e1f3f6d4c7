# SPDX-License-Identifier: Apache-2.0
"""What the actor hears, and how healthy it is."""
