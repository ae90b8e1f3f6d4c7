# SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

package_name = "hil_serl_datasets"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package_name: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},  # colcon test runs pytest where this is declared
    zip_safe=True,
    maintainer="HIL-SERL ROS maintainers",
    maintainer_email="hil-serl-ros@example.org",
    description="Recorded data of the HIL-SERL suite: check, edit, import from HIL-SERL's release, export to LeRobot.",
    license="Apache-2.0",
)
