# SPDX-License-Identifier: Apache-2.0
"""Base of the errors that a person can cure; imports nothing heavy, so that a command line can name it."""


class RewardError(ValueError):
    """A reward cannot be computed or learnt; the message says why and what to do."""
