"""Fits the estimate of int8 latencies on the Pixel 2 to published latencies of whole networks, and says how well it fits.

python tools/fit_pixel2_estimate.py
python tools/fit_pixel2_estimate.py --output=configs/latency/published/pixel2_int8_estimate.json

The second line makes the file that ships. Figures and their sources are in pixel2_int8.json beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import sys

import numpy as np

from tf_proxyless.app import command_line
from tf_proxyless.app import options
from tf_proxyless.cost import pixel2
from tf_proxyless.infra import errors


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
  """Options of the command."""

  output: str | None = options.option(None, 'Where to write the formula, a JSON file; by default it is only shown.')


def leave_one_out(figures: pixel2.Figures) -> dict[pixel2.Figure, float]:
  """For each figure that is fitted to, the percentage by which the formula fitted to the others misses it."""
  errors = {}
  for figure in figures.figures:
    if figure.role == 'fit':
      others = tuple(other for other in figures.figures if other is not figure)
      errors[figure] = _error_percent(pixel2.fit(dataclasses.replace(figures, figures=others)), figure)
  return errors


def _error_percent(estimate: pixel2.Estimate, figure: pixel2.Figure) -> float:
  return 100 * (estimate.network_ms(figure.features, figure.clock) / figure.latency_ms - 1)


def _rms(values: Sequence[float]) -> float:
  return float(np.sqrt(np.mean(np.square(values))))


def to_text(figures: pixel2.Figures, estimate: pixel2.Estimate) -> str:
  """All figures with the estimate and its errors, and the coefficients."""
  left_out = leave_one_out(figures)
  rows = [('network', 'width', 'pixels', 'clock', 'role', 'published ms', 'estimate ms', 'error %', 'left out %')]
  for figure in figures.figures:
    rows.append((figure.network, f'{figure.width:.2f}', str(figure.resolution), figure.clock, figure.role, f'{figure.latency_ms:.1f}',
                 f'{estimate.network_ms(figure.features, figure.clock):.2f}', f'{_error_percent(estimate, figure):+.1f}',
                 f'{left_out[figure]:+.1f}' if figure in left_out else ''))
  widths = [max(map(len, column)) for column in zip(*rows)]
  lines = ['  '.join(cell.rjust(width) for cell, width in zip(row, widths)) for row in rows]
  fitted = _rms([_error_percent(estimate, figure) for figure in left_out])
  unseen = _rms(list(left_out.values()))
  lines += ['', f'fitted to {estimate.networks} figures: rms error {fitted:.1f} %; each left out in turn {unseen:.1f} %']
  lines += [f'{field.name:<24}{getattr(estimate, field.name):>8.4g}' for field in dataclasses.fields(estimate)]
  return '\n'.join(lines)


def main(config: Config) -> None:
  with errors.user_errors():
    figures = pixel2.load_figures()
    estimate = pixel2.fit(figures)
    if config.output:
      pixel2.save_estimate(estimate, config.output)
  print(to_text(figures, estimate))
  if config.output:
    print(f'formula written to {config.output}')


if __name__ == '__main__':
  command_line.run(sys.modules[__name__])
