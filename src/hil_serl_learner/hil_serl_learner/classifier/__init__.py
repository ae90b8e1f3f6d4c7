# SPDX-License-Identifier: Apache-2.0
"""Training of success classifiers: labelled steps of bags, split by episode, threshold, picture of the mistakes."""
