# SPDX-License-Identifier: Apache-2.0
"""Names that are on the disk when a power cut comes."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make what was created or renamed in a folder durable. Raises OSError if the disk refuses."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
