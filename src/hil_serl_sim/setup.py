# SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

PACKAGE = "hil_serl_sim"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={PACKAGE: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},  # colcon test runs pytest where this is declared
    zip_safe=True,
    maintainer="HIL-SERL ROS maintainers",
    maintainer_email="hil-serl-ros@example.org",
    description="MuJoCo twins of HIL-SERL cells and the scripted operator",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "sim_node = hil_serl_sim.sim_node:main",
            "gym_node = hil_serl_sim.gym_node:main",
            "operator_node = hil_serl_sim.operator_node:main",
            "fig3 = hil_serl_sim.fig3:main",
        ],
    },
)
