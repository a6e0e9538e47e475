"""An estimate of int8 latencies on the Pixel 2, from published latencies of whole networks; none of it was measured by operation.

ms of a network = per network + a * MACs of matrix products + b * output elements + c * weights + d * MACs of depthwise taps beyond 3x3.

No table of the Pixel 2's operations is to be had, but the latencies of some forty networks were published, all for the builtin kernels of
TensorFlow Lite of 2018 and 2019 on one big core. They fix everything but d, for their kernels are 3x3.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

import numpy as np

from tf_proxyless.cost import features as features_lib
from tf_proxyless.cost import mobilenets
from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import files
from tf_proxyless.infra import resources
from tf_proxyless.infra import serialization
from tf_proxyless.space import network as network_lib

SERVER, LPIRC = NAMES = ('pixel2_int8_estimate', 'pixel2_int8_estimate_lpirc')

RUNTIME = table_lib.Runtime('Pixel 2', 'int8', kernels='builtin', threads=1, soc='Snapdragon 835', core_mask='10',
                                benchmark_tool='TFLite 2019 builtin kernels')

# Two published tables of float latencies on a Pixel 1 give 0.41 to 0.42 (medians of the differences of their 5x5 and 7x7 blocks to the 3x3
# ones), the LPIRC latencies of ProxylessNAS 0.47 and 0.40, of which this is the mean. Anything from 0.34 to 0.50 is possible.
EXTRA_TAP_NS = 0.43

# Where block latencies are known, a float Pixel 1, the same recipe misses them by 14 and 29 percent (one standard deviation).
ENTRY_ERROR_PERCENT = 30.0

CLOCKS = ('server', 'older', 'lpirc')
ROLES = ('fit', 'factor', 'held_out', 'compared', 'excluded')
NETWORKS = ('mobilenet_v1', 'mobilenet_v2', 'mobilenet_v3_large_minimalistic', 'proxyless_mobile')

_FOLDER = 'latency/published'
_FIGURES = (f'{_FOLDER}/pixel2_int8.json', 'published_latencies')
_ESTIMATE = (f'{_FOLDER}/pixel2_int8_estimate.json', 'latency_estimate')

_ROUNDING_MS = 12**-0.5  # standard deviation of what whole milliseconds leave out
_RELATIVE_ERROR = 0.03  # assumed of any published latency besides


@dataclasses.dataclass(frozen=True)
class Figure:
  """A published latency.

  Attributes:
    network: One of `NETWORKS`, with 1001 classes.
    width, resolution: Multiplier of all widths; input height and width in pixels.
    latency_ms: Latency of the whole network.
    clock: 'server' (October 2019), 'older' (2018 and 2019) or 'lpirc' (spring 2019): the state of TensorFlow Lite, which changed the
      latencies of a family of networks by a factor.
    role: 'fit', 'factor' (fixes that of the LPIRC clock), 'held_out', 'compared' (not fitted to, but `EXTRA_TAP_NS` was chosen with it in
      view), or 'excluded' (the note says why).
    source: A key of `Figures.sources`.
    note: What else is to be known.
  """

  network: str
  width: float
  resolution: int
  latency_ms: float
  clock: str
  role: str
  source: str
  note: str | None = None

  def __post_init__(self) -> None:
    for name, accepted in (('network', NETWORKS), ('clock', CLOCKS), ('role', ROLES)):
      if getattr(self, name) not in accepted:
        raise ValueError(f'Figure.{name} must be one of {", ".join(accepted)}, got {getattr(self, name)!r}')
    if not self.latency_ms > 0:
      raise ValueError(f'Figure.latency_ms must be positive, got {self.latency_ms}')

  @property
  def features(self) -> features_lib.Features:
    """The network's amounts of work."""
    match self.network:
      case 'mobilenet_v1':
        return mobilenets.mobilenet_v1(self.width, self.resolution)
      case 'mobilenet_v2':
        return features_lib.of_network(mobilenets.mobilenet_v2(self.width, self.resolution))
      case 'mobilenet_v3_large_minimalistic':
        return mobilenets.mobilenet_v3_large_minimalistic(self.resolution)
      case _:
        return features_lib.of_network(mobilenets.proxyless_mobile(self.width, self.resolution))


@dataclasses.dataclass(frozen=True)
class Figures:
  """Published latencies of a device, and where they are from."""

  name: str
  sources: Mapping[str, str]
  figures: tuple[Figure, ...]

  def __post_init__(self) -> None:
    unknown = sorted({figure.source for figure in self.figures} - set(self.sources))
    if unknown:
      raise ValueError(f'figures name sources {unknown} that are not among {sorted(self.sources)}')


@dataclasses.dataclass(frozen=True)
class Estimate:
  """The formula. Times are those of the server clock; nanoseconds for one are milliseconds for a million.

  Attributes:
    per_network_ms: Once for each network.
    per_matrix_mac_ns, per_output_element_ns, per_weight_ns, per_extra_tap_ns: For one of each of `Features`.
    older_factor, lpirc_factor: What a latency is multiplied with for those clocks.
    networks: Number of latencies that it was fitted to.
  """

  per_network_ms: float
  per_matrix_mac_ns: float
  per_output_element_ns: float
  per_weight_ns: float
  per_extra_tap_ns: float
  older_factor: float
  lpirc_factor: float
  networks: int

  def operation_ms(self, features: features_lib.Features) -> float:
    """Milliseconds of an operation on the server clock."""
    return 1e-6 * (self.per_matrix_mac_ns * features.matrix_macs + self.per_output_element_ns * features.output_elements
                   + self.per_weight_ns * features.weights + self.per_extra_tap_ns * features.extra_tap_macs)

  def network_ms(self, features: features_lib.Features, clock: str = 'server') -> float:
    """Milliseconds of a whole network."""
    factor = {'server': 1.0, 'older': self.older_factor, 'lpirc': self.lpirc_factor}[clock]
    return factor * (self.per_network_ms + self.operation_ms(features))


def load_figures() -> Figures:
  """The published latencies that ship with the package."""
  path, kind = _FIGURES
  return serialization.decode(Figures, files.read_json(resources.folder() / path, kind))


def load_estimate() -> Estimate:
  """The formula that ships with the package, fitted to them by tools/fit_pixel2_estimate.py."""
  path, kind = _ESTIMATE
  return serialization.decode(Estimate, files.read_json(resources.folder() / path, kind))


def save_estimate(estimate: Estimate, path: files.PathLike) -> None:
  """Writes a formula atomically."""
  files.write_json(path, _ESTIMATE[1], serialization.encode(estimate))


def fit(figures: Figures) -> Estimate:
  """Fits the formula: least squares with coefficients that are not negative, and one factor for all figures of the older clock.

  Args:
    figures: Those with role 'fit' fix the coefficients and the older clock's factor, then those with role 'factor' the LPIRC clock's.
  """
  from scipy import optimize  # slow to import, and only fitting needs it

  used = [figure for figure in figures.figures if figure.role == 'fit']
  amounts = np.array([_amounts(figure.features) for figure in used])
  published = np.array([figure.latency_ms for figure in used])
  older = np.array([figure.clock == 'older' for figure in used])
  sigma = np.hypot(_ROUNDING_MS, _RELATIVE_ERROR * published)

  def at(factor: float) -> tuple[np.ndarray, float]:
    rows = amounts * np.where(older, factor, 1.0)[:, None]
    return optimize.nnls(rows / sigma[:, None], published / sigma)

  factor = float(optimize.minimize_scalar(lambda factor: at(factor)[1], bounds=(0.5, 2.0), method='bounded', options={'xatol': 1e-6}).x)
  network_ms, mac_ns, element_ns, weight_ns = at(factor)[0].tolist()
  estimate = Estimate(network_ms, mac_ns, element_ns, weight_ns, EXTRA_TAP_NS, factor, 1.0, len(used))
  ratios = [figure.latency_ms / estimate.network_ms(figure.features) for figure in figures.figures if figure.role == 'factor']
  return dataclasses.replace(estimate, lpirc_factor=float(np.mean(ratios)))


def _amounts(features: features_lib.Features) -> tuple[float, float, float, float]:
  """What the fitted coefficients weigh, in the order of the fields of `Estimate`."""
  return 1.0, 1e-6 * features.matrix_macs, 1e-6 * features.output_elements, 1e-6 * features.weights


def named_table(name: str, space: network_lib.Network, estimate: Estimate | None = None) -> table_lib.LatencyTable:
  """The estimate as a latency table for a search space, or for one architecture.

  Args:
    name: `SERVER`, for the server's TensorFlow Lite of October 2019, or `LPIRC`, for that of spring 2019.
    space: Whose operations get entries.
    estimate: The formula; by default the one that ships with the package.

  Returns:
    A table whose entries are all estimated. What a network costs besides its operations is the calibration's offset.

  Raises:
    ValueError: The name is unknown.
  """
  if name not in NAMES:
    raise ValueError(f'name must be one of {", ".join(NAMES)}, got {name!r}')
  estimate = estimate or load_estimate()
  factor = estimate.lpirc_factor if name == LPIRC else 1.0
  entries = tuple(
      table_lib.Entry(signature, table_lib.LatencyStats(
          'estimated', mean_ms=factor * estimate.operation_ms(features_lib.of_signature(signature))))
      for signature in network_lib.op_signatures(space))
  calibration = table_lib.Calibration(1.0, factor * estimate.per_network_ms, estimate.networks)
  return table_lib.LatencyTable(name, RUNTIME, entries, _source(name, factor), calibration, estimate_error_percent=ENTRY_ERROR_PERCENT)


def _source(name: str, factor: float) -> str:
  clock = 'October 2019' if name == SERVER else f'spring 2019, {factor:.2f} times the latencies of October 2019'
  return (f'ESTIMATED, not measured, from published latencies of whole networks; TFLite of {clock}. A whole network about +-10 % there; '
          'other states of TFLite shift it by 1.0 to 1.25 times or more (1.67 was seen); two networks compared +-6 %; one block +-30 % or '
          'worse; the effect of 5x5 and 7x7 +-20 %, of 7x7 at 56 and 112 pixels +-40 %. These bands are judgement. Calibrate with your '
          'phone: measure three networks or more, one of them with 7x7, for tools/calibrate_latency_table.py.')
