# SPDX-License-Identifier: Apache-2.0
"""A ROS domain of their own for the tests of each file, so that those that run side by side do not meet."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _own_domain():
    coordinator = pytest.importorskip("domain_coordinator")
    with coordinator.domain_id() as domain, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_DOMAIN_ID", str(domain))
        yield
