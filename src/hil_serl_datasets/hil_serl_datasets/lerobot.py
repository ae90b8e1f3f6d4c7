# SPDX-License-Identifier: Apache-2.0
"""Recordings as a LeRobotDataset v3.0 folder: parquet, one video per camera or images, meta files.

One frame is one transition: observation, executed action, and the reward and the end that it led to. The format has no
place for the last observation of an episode, from which no action was taken; it is left out, so a dataset cannot be turned
back into a recording. Termination and truncation stay apart: ``next.done`` is either, ``next.terminated`` only the former.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hil_serl_core.spec import TaskSpec, task_to_yaml
from hil_serl_core.step import Source, Step
from hil_serl_datasets import lerobot_files as files
from hil_serl_datasets.episodes import RecordedEpisode
from hil_serl_datasets.errors import DatasetError
from hil_serl_datasets.output import new_folder
from hil_serl_datasets.tasks import common_tasks
from hil_serl_ros.bag import step_of
from hil_serl_runs.terminal import word

VERSION = "v3.0"
_DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
_PARTS = {
    "tcp_pose": ("x", "y", "z", "rx", "ry", "rz"),
    "tcp_twist": ("vx", "vy", "vz", "wx", "wy", "wz"),
    "tcp_wrench": ("fx", "fy", "fz", "tx", "ty", "tz"),
    "gripper": ("opening",),
}
_JOINT_PARTS = {"joint_position": "q", "joint_velocity": "dq"}
_TWIST = ("dx", "dy", "dz", "drx", "dry", "drz")
_OWN = ("timestamp", "frame_index", "episode_index", "index", "task_index")


@dataclass(frozen=True)
class Converted:
    """What was written: episodes, frames, and what a person should know."""

    episodes: int
    frames: int
    notes: tuple[str, ...]


def require_pyarrow() -> None:
    """Raises DatasetError that says how to get pyarrow if it is not there; nothing else in the suite needs it."""
    if importlib.util.find_spec("pyarrow") is None:
        raise DatasetError(
            "a LeRobot dataset is made of parquet files; install their library with: pip install pyarrow"
        )


def features_of(spec: TaskSpec, videos: bool) -> dict[str, dict[str, Any]]:
    """Features of ``meta/info.json``, without what describes the encoded video."""

    def vector(dtype: str, names: list[str] | None, length: int = 1) -> dict[str, Any]:
        return {"dtype": dtype, "shape": [len(names) if names else length], "names": names}

    features: dict[str, dict[str, Any]] = {}
    for camera in spec.cameras:
        features[f"observation.images.{camera.name}"] = {
            "dtype": "video" if videos else "image",
            "shape": [camera.size, camera.size, 3],
            "names": ["height", "width", "channels"],
        }
    state = [f"{part}.{name}" for part, size in spec.state_sizes.items() for name in _names(part, size)]
    one = list(_TWIST if spec.action.kind == "twist" else spec.action.wrench_axes)
    arms = [f"{arm}." if arm else "" for arm in spec.arm_names]
    action = [f"{arm}{name}" for arm in arms for name in one]
    action += [f"{arm}gripper" for arm in arms] if spec.grippers else []
    features["observation.state"] = vector("float32", state)
    features["action"] = vector("float32", action)
    features["next.reward"] = vector("float32", None)
    features["next.done"] = vector("bool", None)
    features["next.terminated"] = vector("bool", None)
    features["complementary_info.discrete_penalty"] = vector("float32", ["discrete_penalty"])
    features["complementary_info.is_intervention"] = vector("bool", ["is_intervention"])
    return features | {name: vector("float32" if name == "timestamp" else "int64", None) for name in _OWN}


def _names(part: str, size: int) -> Sequence[str]:
    """Names of the numbers of a state part, as of ``left/joint_position``."""
    name = part.split("/")[-1]
    return _PARTS[name] if name in _PARTS else [f"{_JOINT_PARTS[name]}{i}" for i in range(1, size + 1)]


def convert(episodes: Sequence[RecordedEpisode], target: Path, *, videos: bool = True) -> Converted:
    """Write the dataset; ``target`` is there only when it is complete.

    Args:
        episodes: To convert, in this order of recordings.
        target: Must not exist.
        videos: MP4; else PNG images in the parquet file, without loss.

    Raises:
        DatasetError: Nothing to convert, tasks or their sizes differ, gaps, a size or rate that the format cannot hold.
        BagError: A recording cannot be read.
    """
    chosen = [e for e in episodes if e.episode.steps and e.records > 1]
    if not chosen:
        raise DatasetError("there is no episode with a transition to convert")
    if broken := [e for e in chosen if not e.whole]:
        raise DatasetError(
            f"{broken[0]} has gaps; leave it out with: hil-serl dataset trim --drop {word(broken[0])}"
        )
    specs = common_tasks(chosen)
    _check(specs, videos)
    with new_folder(target) as folder:
        writer = _Writer(folder, specs, videos)
        for steps in _read(chosen):
            writer.episode(steps)
        writer.close()
        sources = sorted({str(e.recording.folder) for e in chosen})
        extra = {"spec_hash": [spec.hash for spec in specs], "sources": sources}
        _write_json(folder / "meta" / "hil_serl.json", extra)
        (folder / "meta" / "task.yaml").write_text(task_to_yaml(specs[0]), encoding="utf-8")
    open_ends = sum(e.episode.aborted for e in chosen)
    notes = (
        (f"{open_ends} episodes had no end: next.done is false in all their frames.",) if open_ends else ()
    )
    return Converted(writer.episodes, writer.frames, notes)


def _check(specs: Sequence[TaskSpec], videos: bool) -> None:
    spec = specs[0]
    if any(features_of(other, videos) != features_of(spec, videos) for other in specs):
        raise DatasetError(
            f"tasks {[s.name for s in specs]} have other cameras, states or actions; convert them apart"
        )
    if spec.control.frequency != round(spec.control.frequency):
        raise DatasetError(
            f"the format wants whole frames per second, the task runs at {spec.control.frequency} Hz"
        )
    odd = [camera for camera in spec.cameras if camera.size % 2]
    if videos and odd:
        raise DatasetError(
            f"videos need an even size, camera '{odd[0].name}' has {odd[0].size} px; use --images"
        )


def _read(episodes: Sequence[RecordedEpisode]) -> Iterator[list[Step]]:
    """Records of each episode, recording after recording, each read once."""
    recordings = {e.recording.folder: e.recording for e in episodes}
    for folder, recording in recordings.items():
        left = {e.key: e.records for e in episodes if e.recording.folder == folder}
        collected: dict[tuple[str, int], list[Step]] = {}
        for message in recording.messages():
            step = step_of(message)
            key = step.actor_id, step.episode
            if key in left:
                collected.setdefault(key, []).append(step)
                if len(collected[key]) == left[key]:
                    del left[key]
                    yield collected.pop(key)


class _Writer:
    """Writes episode after episode, then the meta files."""

    def __init__(self, folder: Path, specs: Sequence[TaskSpec], videos: bool) -> None:
        self._folder = folder
        self._specs = specs
        self._features = features_of(specs[0], videos)
        self._fps = round(specs[0].control.frequency)
        self._data = files.Parquet(folder / "data" / f"{files.CHUNK}.parquet", self._features)
        self._cameras = {f"observation.images.{c.name}": c for c in specs[0].cameras}
        self._videos = {
            key: files.Video(folder / "videos" / key / f"{files.CHUNK}.mp4", self._fps, camera.size)
            for key, camera in self._cameras.items()
            if videos
        }
        self._rows: list[dict[str, Any]] = []
        self._vectors: dict[str, list[np.ndarray]] = {}
        self._histograms: dict[str, np.ndarray] = {}
        self.frames = 0

    @property
    def episodes(self) -> int:
        """Written so far."""
        return len(self._rows)

    def episode(self, steps: Sequence[Step]) -> None:
        """Append one episode."""
        task = next(i for i, spec in enumerate(self._specs) if spec.hash == steps[0].spec_hash)
        columns = self._columns(steps, task)
        count = len(columns["index"])
        statistics = {}
        for key, values in columns.items():
            self._vectors.setdefault(key, []).append(values)
            statistics[key] = files.statistics(values.reshape(count, -1))
        pictures = {}
        for key, camera in self._cameras.items():
            images = [step.frames[camera.name] for step in steps[:-1]]
            counts = files.histogram(images)
            self._histograms[key] = self._histograms.get(key, 0) + counts
            statistics[key] = files.image_statistics(counts, count)
            if key in self._videos:
                for image in images:
                    self._videos[key].write(image)
            else:
                pictures[key] = [files.png(image) for image in images]
        self._data.write({key: list(values) for key, values in columns.items()} | pictures)
        self._rows.append(self._row(count, task, statistics))
        self.frames += count

    def _columns(self, steps: Sequence[Step], task: int) -> dict[str, np.ndarray]:
        """Feature to its values over the transitions, (N,) or (N, D)."""
        now, after = steps[:-1], steps[1:]
        order = np.arange(len(now))
        parts = self._specs[0].state_sizes
        return {
            "observation.state": np.array(
                [np.concatenate([s.state[p] for p in parts]) for s in now], np.float32
            ),
            "action": np.array([s.action for s in now], np.float32),
            "next.reward": np.array([s.reward for s in after], np.float32),
            "next.done": np.array([s.is_last for s in after]),
            "next.terminated": np.array([s.is_terminal for s in after]),
            "complementary_info.discrete_penalty": np.array([s.grasp_penalty for s in after], np.float32),
            "complementary_info.is_intervention": np.array([s.source == Source.HUMAN for s in now]),
            "timestamp": (order / self._fps).astype(np.float32),
            "frame_index": order,
            "episode_index": np.full(len(now), self.episodes),
            "index": self.frames + order,
            "task_index": np.full(len(now), task),
        }

    def _row(self, count: int, task: int, statistics: dict[str, Any]) -> dict[str, Any]:
        """The episode's row in ``meta/episodes``."""
        row: dict[str, Any] = {
            "episode_index": self.episodes,
            "tasks": [self._specs[task].description],
            "length": count,
            "data/chunk_index": 0,
            "data/file_index": 0,
            "dataset_from_index": self.frames,
            "dataset_to_index": self.frames + count,
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
        }
        for key in self._videos:
            row[f"videos/{key}/chunk_index"] = 0
            row[f"videos/{key}/file_index"] = 0
            row[f"videos/{key}/from_timestamp"] = self.frames / self._fps
            row[f"videos/{key}/to_timestamp"] = (self.frames + count) / self._fps
        row |= {f"stats/{key}/{name}": v for key, s in statistics.items() for name, v in s.items()}
        return row

    def close(self) -> None:
        """Finish data and videos, and write the meta files."""
        self._data.close()
        for key, video in self._videos.items():
            video.close()
            self._features[key]["info"] = self._video_info(video, self._cameras[key].size)
        meta = self._folder / "meta"
        files.write_tasks(meta / "tasks.parquet", [spec.description for spec in self._specs])
        files.write_rows(meta / "episodes" / f"{files.CHUNK}.parquet", self._rows)
        vectors = {
            k: files.statistics(np.concatenate(v).reshape(self.frames, -1)) for k, v in self._vectors.items()
        }
        images = {k: files.image_statistics(counts, self.frames) for k, counts in self._histograms.items()}
        _write_json(meta / "stats.json", images | vectors)
        _write_json(meta / "info.json", self._info())

    def _video_info(self, video: files.Video, size: int) -> dict[str, Any]:
        return {
            "video.height": size,
            "video.width": size,
            "video.codec": video.codec,
            "video.pix_fmt": "yuv420p",
            "video.is_depth_map": False,
            "video.fps": self._fps,
            "video.channels": 3,
            "has_audio": False,
        }

    def _info(self) -> dict[str, Any]:
        return {
            "codebase_version": VERSION,
            "robot_type": None,
            "total_episodes": self.episodes,
            "total_frames": self.frames,
            "total_tasks": len(self._specs),
            "chunks_size": 1000,
            "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 200,
            "fps": self._fps,
            "splits": {"train": f"0:{self.episodes}"},
            "data_path": _DATA,
            "video_path": _VIDEO if self._videos else None,
            "features": self._features,
        }


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=4) + "\n", encoding="utf-8")
