# SPDX-License-Identifier: Apache-2.0
"""Robot descriptions: a URDF from a robot file, with the task's frames in it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from hil_serl_bringup.graph.executables import package_share
from hil_serl_bringup.graph.robot_model import Description, File, RobotFileError


def path_of(file: File) -> Path:
    """Where a file is.

    Raises:
        RobotFileError: It does not exist.
        ExecutableNotFound: Its package is missing.
    """
    path = package_share(file.package) / file.file if file.package else Path(file.file)
    if not path.is_file():
        raise RobotFileError(
            f"there is no file {path}" + (f" in package '{file.package}'" if file.package else "")
        )
    return path


def urdf_of(description: Description) -> str:
    """URDF of a xacro or URDF file.

    Raises:
        RobotFileError: The file is missing, or xacro refuses it.
        ExecutableNotFound: A package is missing.
    """
    path = path_of(description)
    if path.suffix != ".xacro":
        return path.read_text(encoding="utf-8")
    package_share("xacro")
    xacro = importlib.import_module("xacro")  # comes with ROS
    try:
        document = xacro.process_file(str(path), mappings=dict(description.arguments))
    except Exception as error:  # xacro raises what its macros raise
        raise RobotFileError(f"xacro cannot read {path}: {error}") from error
    return str(document.toxml())


def with_frames(urdf: str, links: Mapping[str, str], what: str, base_on_top: bool = False) -> str:
    """URDF with the task's frames as links, fixed to the robot's own links, where it does not have them.

    Args:
        urdf: The description.
        links: Frame of the task -> link of the robot, the base first; an empty link means that the frame is one.
        what: Name for messages.
        base_on_top: The base frame becomes the root where nothing is above its link but empty links. Two arms need that:
            the task places their bases in the world, and their descriptions may share a root, as Franka's do.

    Raises:
        RobotFileError: No URDF, or it lacks a link.
    """
    try:
        root = ElementTree.fromstring(urdf)
    except ElementTree.ParseError as error:
        raise RobotFileError(f"{what} is no URDF: {error}") from error
    known = {link.get("name") for link in root.iter("link")}
    for frame, link in links.items():
        if frame in known:
            continue
        if link not in known:
            key = "base_link" if frame == next(iter(links)) else "tcp_link"
            raise RobotFileError(
                f"{what} has no link '{link or frame}' for the task's frame '{frame}'; set {key} in the robot file to "
                f"one of {', '.join(sorted(filter(None, known)))}"
            )
        on_top = base_on_top and frame == next(iter(links)) and _uncovered(root, link)
        parent, child = (frame, link) if on_top else (link, frame)
        ElementTree.SubElement(root, "link", name=frame)
        joint = ElementTree.SubElement(root, "joint", name=f"{parent}_to_{child}", type="fixed")
        ElementTree.SubElement(joint, "parent", link=parent)
        ElementTree.SubElement(joint, "child", link=child)
        known.add(frame)
    return ElementTree.tostring(root, encoding="unicode")


def _uncovered(root: ElementTree.Element, link: str) -> bool:
    """Make a link the root of a description: remove the fixed, empty links above it. False, if there are others."""
    above: list[ElementTree.Element] = []
    joints = root.findall("joint")
    while (joint := next((one for one in joints if _end(one, "child") == link), None)) is not None:
        link = _end(joint, "parent")
        (owner,) = (one for one in root.findall("link") if one.get("name") == link)
        alone = sum(_end(one, "parent") == link for one in joints) == 1
        if joint.get("type") != "fixed" or len(owner) or not alone:
            return False
        above += [joint, owner]
    for element in above:
        root.remove(element)
    return True


def _end(joint: ElementTree.Element, which: str) -> str:
    found = joint.find(which)
    return "" if found is None else found.get("link", "")
