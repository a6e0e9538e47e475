"""Fits the estimate of int8 latencies on the Pixel 2 to published latencies of whole networks, and says how well it fits.

python tools/fit_pixel2_estimate.py
python tools/fit_pixel2_estimate.py --output=configs/latency/published/pixel2_int8_estimate.json

The second line makes the file that ships. Figures and their sources are in pixel2_int8.json beside it; their roles are 'fit', 'factor'
(fixes that of the LPIRC clock), 'held_out', 'compared' (not fitted to, but `pixel2.EXTRA_TAP_NS` was chosen with it in view) and 'excluded'
(the note says why). Clocks are states of TensorFlow Lite: 'server' (October 2019), 'older' (2018 and 2019) and 'lpirc' (spring 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import sys
from typing import NamedTuple

import numpy as np
from scipy import optimize

from tf_proxyless.app import command_line
from tf_proxyless.app import options
from tf_proxyless.cost import features as features_lib
from tf_proxyless.cost import mobilenets
from tf_proxyless.cost import pixel2
from tf_proxyless.infra import errors
from tf_proxyless.infra import files
from tf_proxyless.infra import resources
from tf_proxyless.infra import serialization


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
  output: str | None = options.option(None, 'Where to write the formula, a JSON file; by default it is only shown.')


_ROUNDING_MS = 12**-0.5  # standard deviation of what whole milliseconds leave out
_RELATIVE_ERROR = 0.03  # assumed of any published latency besides

# (filters, strides) of each separable convolution: Howard et al., arXiv 1704.04861, table 1.
_V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))

# (expanded channels, filters, strides) of each block: Howard et al., ICCV 2019, arXiv 1905.02244, table 1. The authors' variant
# "minimalistic" has ReLU for h-swish, 3x3 for 5x5 and no squeeze-and-excite.
_V3_LARGE = ((16, 16, 1), (64, 24, 2), (72, 24, 1), (72, 40, 2), (120, 40, 1), (120, 40, 1), (240, 80, 2), (200, 80, 1), (184, 80, 1),
             (184, 80, 1), (480, 112, 1), (672, 112, 1), (672, 160, 2), (960, 160, 1), (960, 160, 1))


def mobilenet_v1(width: float, resolution: int) -> features_lib.Features:
  """MobileNetV1 with 1001 classes."""
  channels, size = int(32 * width), resolution // 2
  total = features_lib.convolution(size**2, 3, channels, 3)
  for filters, strides in _V1:
    size //= strides
    filters = int(filters * width)
    total += features_lib.depthwise(size**2, channels, 3) + features_lib.convolution(size**2, channels, filters)
    channels = filters
  return total + features_lib.convolution(1, channels, 1001)


def mobilenet_v3_large_minimalistic(resolution: int = 224) -> features_lib.Features:
  """MobileNetV3-Large, minimalistic, of width 1, with 1001 classes."""
  channels, size = 16, resolution // 2
  total = features_lib.convolution(size**2, 3, channels, 3)
  for expanded, filters, strides in _V3_LARGE:
    if expanded != channels:
      total += features_lib.convolution(size**2, channels, expanded)
    size //= strides
    total += features_lib.depthwise(size**2, expanded, 3) + features_lib.convolution(size**2, expanded, filters)
    if strides == 1 and filters == channels:
      total += features_lib.addition(size**2, filters)
    channels = filters
  layers = ((size**2, channels, 960), (1, 960, 1280), (1, 1280, 1001))  # the last two stand behind the pooling
  return sum((features_lib.convolution(*layer) for layer in layers), total)


class Figure(NamedTuple):
  """A published latency of a whole network."""

  network: str
  width: float
  resolution: int
  latency_ms: float
  clock: str
  role: str

  @property
  def features(self) -> features_lib.Features:
    """The network's amounts of work."""
    match self.network:
      case 'mobilenet_v1':
        return mobilenet_v1(self.width, self.resolution)
      case 'mobilenet_v2':
        return features_lib.of_network(mobilenets.mobilenet_v2(self.width, self.resolution))
      case 'mobilenet_v3_large_minimalistic':
        return mobilenet_v3_large_minimalistic(self.resolution)
      case _:
        return features_lib.of_network(mobilenets.proxyless_mobile(self.width, self.resolution))

  def error_percent(self, estimate: pixel2.Estimate) -> float:
    """By how much the formula misses it."""
    return 100 * (estimate.network_ms(self.features, self.clock) / self.latency_ms - 1)


def load_figures() -> list[Figure]:
  """The published latencies that ship with the package."""
  body = files.read_json(resources.folder() / 'latency/published/pixel2_int8.json', 'published_latencies')
  return [Figure(*(row[name] for name in Figure._fields)) for row in body['figures']]


def fit(figures: Sequence[Figure]) -> pixel2.Estimate:
  """Fits the formula: least squares with coefficients that are not negative, and one factor for all figures of the older clock.

  Args:
    figures: Those with role 'fit' fix the coefficients and the older clock's factor, then those with role 'factor' the LPIRC clock's.
  """
  used = [figure for figure in figures if figure.role == 'fit']
  work = [figure.features for figure in used]
  amounts = np.array([(1.0, 1e-6 * each.matrix_macs, 1e-6 * each.output_elements, 1e-6 * each.weights) for each in work])
  published = np.array([figure.latency_ms for figure in used])
  older = np.array([figure.clock == 'older' for figure in used])
  sigma = np.hypot(_ROUNDING_MS, _RELATIVE_ERROR * published)

  def at(factor: float) -> tuple[np.ndarray, float]:
    rows = amounts * np.where(older, factor, 1.0)[:, None]
    return optimize.nnls(rows / sigma[:, None], published / sigma)

  factor = float(optimize.minimize_scalar(lambda factor: at(factor)[1], bounds=(0.5, 2.0), method='bounded', options={'xatol': 1e-6}).x)
  estimate = pixel2.Estimate(*at(factor)[0].tolist(), pixel2.EXTRA_TAP_NS, factor, 1.0, len(used))
  ratios = [figure.latency_ms / estimate.network_ms(figure.features) for figure in figures if figure.role == 'factor']
  return dataclasses.replace(estimate, lpirc_factor=float(np.mean(ratios)))


def _rms(values: Sequence[float]) -> float:
  return float(np.sqrt(np.mean(np.square(values))))


def to_text(figures: Sequence[Figure], estimate: pixel2.Estimate) -> str:
  """All figures with the estimate and its errors, and the coefficients."""
  left_out = {figure: figure.error_percent(fit([other for other in figures if other is not figure]))
              for figure in figures if figure.role == 'fit'}
  rows = [('network', 'width', 'pixels', 'clock', 'role', 'published ms', 'estimate ms', 'error %', 'left out %')]
  for figure in figures:
    rows.append((figure.network, f'{figure.width:.2f}', str(figure.resolution), figure.clock, figure.role, f'{figure.latency_ms:.1f}',
                 f'{estimate.network_ms(figure.features, figure.clock):.2f}', f'{figure.error_percent(estimate):+.1f}',
                 f'{left_out[figure]:+.1f}' if figure in left_out else ''))
  widths = [max(map(len, column)) for column in zip(*rows)]
  lines = ['  '.join(cell.rjust(width) for cell, width in zip(row, widths)) for row in rows]
  fitted, unseen = _rms([figure.error_percent(estimate) for figure in left_out]), _rms(list(left_out.values()))
  lines += ['', f'fitted to {estimate.networks} figures: rms error {fitted:.1f} %; each left out in turn {unseen:.1f} %']
  lines += [f'{field.name:<24}{getattr(estimate, field.name):>8.4g}' for field in dataclasses.fields(estimate)]
  return '\n'.join(lines)


def main(config: Config) -> None:
  with errors.user_errors():
    figures = load_figures()
    estimate = fit(figures)
    if config.output:
      files.write_json(config.output, pixel2.ESTIMATE_KIND, serialization.encode(estimate))
  print(to_text(figures, estimate))
  if config.output:
    print(f'formula written to {config.output}')


if __name__ == '__main__':
  command_line.run(sys.modules[__name__])
