# SPDX-License-Identifier: Apache-2.0
from glob import glob

from setuptools import find_packages, setup

package_name = "hil_serl_bringup"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package_name: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
        (f"share/{package_name}/config", glob("config/*.yaml")),
        (f"share/{package_name}/config/robots", glob("config/robots/*.yaml")),
        (f"share/{package_name}/config/dds", glob("config/dds/*.xml")),
        (f"share/{package_name}/launch", glob("launch/*.launch.py")),
        *[
            (f"share/{package_name}/{folder}", glob(f"{folder}/*"))
            for folder in ("rviz", "rqt", "plotjuggler", "foxglove")
        ],
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},  # colcon test runs pytest where this is declared
    zip_safe=True,
    maintainer="HIL-SERL ROS maintainers",
    maintainer_email="hil-serl-ros@example.org",
    description="Bringup of the HIL-SERL suite: launch files, robot files, layouts, launch plan.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "included_launch = hil_serl_bringup.launching.included:main",
        ]
    },
)
