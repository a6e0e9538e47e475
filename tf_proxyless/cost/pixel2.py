"""An estimate of int8 latencies on the Pixel 2, from published latencies of whole networks; none of it was measured by operation.

ms of a network = per network + a * MACs of matrix products + b * output elements + c * weights + d * MACs of depthwise taps beyond 3x3.

No table of the Pixel 2's operations is to be had, but the latencies of some forty networks were published, all for the builtin kernels of
TensorFlow Lite of 2018 and 2019 on one big core. They fix everything but d, for their kernels are 3x3.
"""

from __future__ import annotations

import dataclasses

from tf_proxyless.cost import features as features_lib
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

_ESTIMATE = 'latency/published/pixel2_int8_estimate.json'
ESTIMATE_KIND = 'latency_estimate'


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


def load_estimate() -> Estimate:
  """The formula that ships with the package; tools/fit_pixel2_estimate.py made it."""
  return serialization.decode(Estimate, files.read_json(resources.folder() / _ESTIMATE, ESTIMATE_KIND))


def named_table(name: str, space: network_lib.Network) -> table_lib.LatencyTable:
  """The estimate as a latency table for a search space, or for one architecture.

  Args:
    name: `SERVER`, for the server's TensorFlow Lite of October 2019, or `LPIRC`, for that of spring 2019.
    space: Whose operations get entries.

  Returns:
    A table whose entries are all estimated. What a network costs besides its operations is the calibration's offset.

  Raises:
    ValueError: The name is unknown.
  """
  if name not in NAMES:
    raise ValueError(f'name must be one of {", ".join(NAMES)}, got {name!r}')
  estimate = load_estimate()
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
