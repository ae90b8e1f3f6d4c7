# SPDX-License-Identifier: Apache-2.0
"""What a user can cause and cure about recorded data."""


class DatasetError(ValueError):
    """Recorded data that cannot be used as asked; the message names it, the reason and the remedy."""
