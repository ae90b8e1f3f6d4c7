# SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

package_name = "hil_serl_teleop"

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
    description="Operator devices of the HIL-SERL suite: layouts of SpaceMouse and gamepads, keyboard, self-test.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "keyboard_teleop = hil_serl_teleop.keyboard_node:main",
        ]
    },
)
