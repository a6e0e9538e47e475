"""Simulates what the search of ImageNet's space costs on several devices, and prints the table of docs/scale.md.

python tools/simulate_scale.py

Nothing is run: seconds come from steps measured on one device (docs/performance.md#on-a-gpu) and a model of the reduction.
"""

from __future__ import annotations

import dataclasses
import sys

import numpy as np

from tf_proxyless.app import command_line
from tf_proxyless.app import options
from tf_proxyless.cost import counting
from tf_proxyless.space import proxyless
from tf_proxyless.space import schema

IMAGES, VALIDATION, TEST_BATCH = 1_281_167, 50_000, 1000
WARMUP, JOINT, FROZEN, EVERY, NETWORKS, FINALISTS = 40, 120, 1, 16, 10, 30


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
  devices: tuple[int, ...] = options.option((1, 8, 64), 'Numbers of devices, with commas between them.')
  batch_size: int = options.option(256, 'Images in a weight step, on all devices together.', low=1)
  step_seconds: float = options.option(0.016, 'What a step takes however few its images are, seconds.', above=0.0)
  image_seconds: float = options.option(0.00074, 'What each image of a weight step adds, seconds; a forward pass takes a third.', above=0.0)
  devices_per_machine: int = options.option(8, 'Devices that are linked within a machine.', low=1)
  bandwidth_inside: float = options.option(2e11, 'Of the reduction within a machine, bytes a second.', above=0.0)
  bandwidth_between: float = options.option(2.5e10, 'Of the reduction between machines, bytes a second.', above=0.0)
  hop_seconds: float = options.option(2e-5, 'What each of the 2 (n - 1) stages of a ring takes besides, seconds.', above=0.0)


@dataclasses.dataclass(frozen=True)
class Part:
  """A part of the search: steps, networks that run in each, images of each network, forward passes that an image counts for."""

  name: str
  steps: int
  networks: int
  images: int
  passes: int


def parts(batch: int) -> list[Part]:
  """The parts of the search of configs/mobile.flags with some batch size."""
  steps = (IMAGES - VALIDATION) // batch
  updates = (JOINT - FROZEN) * (steps // EVERY)
  validations = WARMUP + JOINT + FINALISTS
  return [Part('warm-up', WARMUP * steps, 1, batch, 3), Part('weights', JOINT * steps, 1, batch, 3),
          Part('scoring', updates, NETWORKS, TEST_BATCH, 1),
          Part('derivation', validations * (VALIDATION // TEST_BATCH), 1, TEST_BATCH, 1)]


def mean_network() -> tuple[float, float]:
  """Multiply-adds and parameters of a network whose choices are drawn evenly: means over 200."""
  space, rng = proxyless.proxyless(), np.random.default_rng(0)
  decisions = schema.decisions(space)
  paths = [[int(rng.integers(len(each.choices))) for each in decisions] for _ in range(200)]
  counts = [counting.count_network(schema.resolve(space, schema.genotype(space, path))) for path in paths]
  return float(np.mean([each.macs for each in counts])), float(np.mean([each.parameters for each in counts]))


def reduction(config: Config, devices: int, parameters: float) -> float:
  """Seconds of a ring reduction of float32 gradients, which begins when the last is there."""
  if devices == 1:
    return 0.0
  bandwidth = config.bandwidth_inside if devices <= config.devices_per_machine else config.bandwidth_between
  return 2 * (devices - 1) / devices * 4 * parameters / bandwidth + 2 * (devices - 1) * config.hop_seconds


def seconds(config: Config, part: Part, devices: int, parameters: float) -> float:
  """Seconds that all steps of a part take on some devices."""
  image = config.image_seconds * part.passes / 3
  if part.passes == 3:
    return part.steps * (config.step_seconds + part.images / devices * image + reduction(config, devices, parameters))
  rounds = -(-part.networks // devices) * part.steps if part.networks > 1 else -(-part.steps // devices)
  return rounds * (config.step_seconds + part.images * image)


def main(config: Config) -> None:
  macs, parameters = mean_network()
  print(f'mean network: {macs / 1e6:.0f} M multiply-adds, {parameters / 1e6:.1f} M parameters')
  _print_row('part', 'steps', 'images', 'FLOPs', *(f'{devices} device' + 's' * (devices > 1) for devices in config.devices))
  _print_row(*['---'] * (4 + len(config.devices)))
  totals = np.zeros(len(config.devices))
  for part in parts(config.batch_size):
    images = part.steps * part.networks * part.images
    times = [seconds(config, part, devices, parameters) for devices in config.devices]
    totals += times
    _print_row(part.name, f'{part.steps:,}', f'{images / 1e6:,.1f} M', f'{2 * macs * part.passes * images:.1e}', *map(_hours, times))
  _print_row('all', '', '', '', *map(_hours, totals))


def _print_row(*cells: str) -> None:
  print(f'| {" | ".join(cells)} |')


def _hours(time: float) -> str:
  return f'{time / 3600:.1f} h'


if __name__ == '__main__':
  command_line.run(sys.modules[__name__])
