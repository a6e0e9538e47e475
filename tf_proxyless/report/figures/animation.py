"""The course of a search as a moving picture: the most likely network, the probabilities of all decisions, and costs, epoch by epoch.

A GIF is written by Pillow, an MP4 by the program ffmpeg, both atomically.
"""

from __future__ import annotations

import io
import itertools
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tf_proxyless.infra import files
from tf_proxyless.report.figures import frames

SUFFIXES = ('.gif', '.mp4')
_SECONDS = 12.0  # of a whole animation, unless that would be too fast or too slow to follow
_FRAMES_PER_SECOND = (2.0, 10.0)
_HOLD_SECONDS = 2.5  # on the last epoch
_MAX_FRAMES = 300  # longer histories are thinned evenly

Progress = Callable[[int, int], None]  # frames that are done, and all


def check(path: files.PathLike) -> None:
  """Checks that an animation of this name can be written, before anything is drawn for it.

  Raises:
    ValueError: The name ends in neither .gif nor .mp4, or ffmpeg, which .mp4 needs, is not installed.
  """
  suffix = pathlib.Path(path).suffix.lower()
  if suffix not in SUFFIXES:
    raise ValueError(f'{path}: animations are {" and ".join(SUFFIXES)} files, not {suffix or "files without a suffix"}')
  if suffix == '.mp4' and shutil.which('ffmpeg') is None:
    raise ValueError(f'{path}: MP4 needs the program ffmpeg, which is not installed; install it, or write a .gif')


def save(document: Mapping[str, Any], path: files.PathLike, progress: Progress | None = None, width: int = 880) -> None:
  """Writes the history of the first run of a report's document.

  Args:
    document: A report's document with at least one epoch and one decision.
    path: A .gif or .mp4 file; its folder must exist.
    progress: Called after each frame.
    width: Pixels; 16 wide are 9 high.

  Raises:
    ValueError: As `check`, the run has no history yet, or ffmpeg failed.
    OSError: The file cannot be written.
  """
  check(path)
  run = document['runs'][0]
  if not run['history']['epoch'] or not run['decisions']:
    raise ValueError(f'{run["name"]}: no epoch of a search is logged yet, so there is nothing to animate')
  epochs = thin(len(run['history']['epoch']))
  slowest, fastest = _FRAMES_PER_SECOND
  frames_per_second = min(max(len(epochs) / _SECONDS, slowest), fastest)
  write = _gif if pathlib.Path(path).suffix.lower() == '.gif' else _mp4
  write(_count(frames.draw(run, epochs, width), len(epochs), progress), path, frames_per_second)


def thin(count: int) -> list[int]:
  """Indices of the epochs that are frames: all of `count`, or 300 evenly from the first to the last."""
  if count <= _MAX_FRAMES:
    return list(range(count))
  return [round(i * (count - 1) / (_MAX_FRAMES - 1)) for i in range(_MAX_FRAMES)]


def _count(images: Iterable[np.ndarray], total: int, progress: Progress | None) -> Iterator[np.ndarray]:
  for done, image in enumerate(images, 1):
    yield image
    if progress is not None:
      progress(done, total)


def _gif(images: Iterable[np.ndarray], path: files.PathLike, frames_per_second: float) -> None:
  """All frames share one palette, so that what does not change is stored once."""
  from PIL import Image

  pictures = [Image.fromarray(image) for image in images]
  examples = np.concatenate([np.asarray(pictures[index]) for index in (0, len(pictures) // 2, -1)])
  palette = Image.fromarray(examples).quantize(48, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
  colors = np.array(palette.getpalette()).reshape(-1, 3)
  colors[colors.sum(axis=1).argmax()] = 255  # paper is white
  palette.putpalette(colors.flatten().tolist())
  pictures = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
  durations = [round(1000 / frames_per_second)] * (len(pictures) - 1) + [round(1000 * _HOLD_SECONDS)]
  content = io.BytesIO()
  pictures[0].save(content, format='GIF', save_all=True, append_images=pictures[1:], duration=durations, loop=0, optimize=False)
  files.write_atomically(path, content.getvalue())


def _mp4(images: Iterator[np.ndarray], path: files.PathLike, frames_per_second: float) -> None:
  """H.264 in the pixel format that every player knows; ffmpeg needs a file that it can go back in, so it gets one elsewhere."""
  first = next(images)
  height, width, _ = first.shape
  with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as errors:
    target = os.path.join(folder, 'animation.mp4')
    command = ['ffmpeg', '-loglevel', 'error', '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', f'{width}x{height}',
               '-r', f'{frames_per_second}', '-i', '-', '-vf', f'tpad=stop_mode=clone:stop_duration={_HOLD_SECONDS}',
               '-c:v', 'libx264', '-crf', '20', '-pix_fmt', 'yuv420p', '-movflags', '+faststart', target]
    encoder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors)
    try:
      for image in itertools.chain([first], images):
        encoder.stdin.write(image.tobytes())
    except BrokenPipeError:
      pass  # it has ended, and says below why
    finally:
      _close(encoder)
    if encoder.returncode:
      errors.seek(0)
      reason = ' '.join(errors.read().decode('utf-8', 'replace').split())[-300:]
      raise ValueError(f'{path}: ffmpeg failed with {encoder.returncode}: {reason}')
    files.write_atomically(path, pathlib.Path(target).read_bytes())


def _close(encoder: subprocess.Popen) -> None:
  """Ends the input and waits."""
  try:
    encoder.stdin.close()
  except BrokenPipeError:
    pass
  encoder.wait()
