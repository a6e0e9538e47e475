"""What a process holds while it runs, from /proc: memory, descriptors, children."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import os
import pathlib
import subprocess
import time

import numpy as np

_PAGE = os.sysconf('SC_PAGE_SIZE')


@dataclasses.dataclass(frozen=True)
class Sample:
  """Resources of a process at one moment.

  Attributes:
    resident_bytes: Resident memory.
    descriptors: Open files, sockets and pipes, by what they are, without those that stand for events and timers of the kernel.
    children: Processes that it has started and that are there.
  """

  resident_bytes: int
  descriptors: tuple[str, ...]
  children: int


def sample(pid: int) -> Sample:
  """Looks at a process."""
  root = pathlib.Path('/proc') / str(pid)
  resident = int((root / 'statm').read_text().split()[1]) * _PAGE
  descriptors = []
  for link in (root / 'fd').iterdir():
    try:
      descriptors.append(os.readlink(link))
    except FileNotFoundError:  # closed meanwhile
      pass
  children = sum(len((task / 'children').read_text().split()) for task in (root / 'task').iterdir())
  return Sample(resident, tuple(sorted(descriptors)), children)


def watch(process: subprocess.Popen, count: Callable[[], int], limit_s: float = 600) -> list[Sample]:
  """Samples of a process, one each time that `count()` has grown, until it ends."""
  samples, seen, deadline = [], 0, time.monotonic() + limit_s
  while process.poll() is None:
    assert time.monotonic() < deadline, f'still running after {len(samples)} samples'
    now = count()
    if now > seen:
      seen = now
      try:
        samples.append(sample(process.pid))
      except (FileNotFoundError, ProcessLookupError):
        break
    time.sleep(0.005)
  return samples


def growth(samples: list[Sample], warm: int) -> float:
  """By how much the memory of the last fifth is above that of the first fifth after `warm` samples, as a fraction; medians."""
  resident = np.array([one.resident_bytes for one in samples[warm:]])
  part = max(len(resident) // 5, 1)
  return float(np.median(resident[-part:]) / np.median(resident[:part]) - 1.0)
