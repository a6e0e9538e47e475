"""Estimates the entries that a latency table lacks from those that it has.

ms = a * MACs of matrix products + b * output elements + c * weights + d * MACs of depthwise taps beyond 3x3 + e * layers, and no
coefficient is negative: what is known to matter on mobile CPUs, and few enough unknowns for a table of some dozens of entries.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np

from tf_proxyless.cost import features as features_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.space import network as network_lib

MIN_ENTRIES = 10


@dataclasses.dataclass(frozen=True)
class Fill:
  """A table that was completed.

  Attributes:
    table: The entries that were there, and the estimates; its source and `estimate_error_percent` say so.
    estimated: The signatures that were missing.
    rmse_percent: Root mean square of the relative errors when each entry is estimated from the others, the largest of those for the
      kinds of operations that were missing; None if nothing was missing.
  """

  table: table_lib.LatencyTable
  estimated: tuple[network_lib.OpSignature, ...]
  rmse_percent: float | None


def fill(table: table_lib.LatencyTable, signatures: Sequence[network_lib.OpSignature]) -> Fill:
  """Completes a table with estimates.

  An operation is estimated from the entries of its own kind if there are ten of them, otherwise from all: a fully connected layer waits for
  memory and tells little about convolutions. Entries that are estimates themselves teach nothing and are kept.

  Args:
    table: A table of some runtime.
    signatures: What it shall have entries for.

  Returns:
    The table with entries for all of them.

  Raises:
    ValueError: Something is missing, and the table has fewer than ten entries that were measured or published.
  """
  missing = table.missing(dict.fromkeys(signatures))
  if not missing:
    return Fill(table, (), None)
  known = [entry for entry in table.entries if entry.latency.provenance != 'estimated']
  if len(known) < MIN_ENTRIES:
    raise ValueError(f'{table} lacks {len(missing)} entries and has {len(known)} that are not estimates; at least '
                     f'{MIN_ENTRIES} are needed to estimate others: {"; ".join(map(str, missing))}')
  estimates: list[tuple[network_lib.OpSignature, float]] = []
  errors: list[float] = []
  for kind in dict.fromkeys(signature.kind for signature in missing):
    wanted = [signature for signature in missing if signature.kind == kind]
    same = [entry for entry in known if entry.signature.kind == kind]
    teachers = same if len(same) >= MIN_ENTRIES else known
    amounts = _amounts([entry.signature for entry in teachers])
    latencies = np.array([entry.latency.latency_ms for entry in teachers])
    errors.append(_leave_one_out_percent(amounts, latencies))
    estimates += zip(wanted, (_amounts(wanted) @ _fit(amounts, latencies)).tolist())
  rmse_percent = max(errors)
  entries = tuple(table_lib.Entry(signature, table_lib.LatencyStats('estimated', mean_ms=ms)) for signature, ms in estimates)
  total = len(table.entries) + len(missing)
  source = (f'{table.source} ESTIMATED: {len(missing)} of {total} entries, by regression on the others; each of those, left out, is '
            f'missed by {rmse_percent:.1f} % (rms).').lstrip()
  filled = dataclasses.replace(table, entries=table.entries + entries, source=source,
                               estimate_error_percent=max(rmse_percent, table.estimate_error_percent or 0.0))
  return Fill(filled, missing, rmse_percent)


def _leave_one_out_percent(amounts: np.ndarray, latencies: np.ndarray) -> float:
  errors = []
  for i in range(len(latencies)):
    coefficients = _fit(np.delete(amounts, i, 0), np.delete(latencies, i))
    errors.append(amounts[i] @ coefficients / latencies[i] - 1)
  return float(100 * np.sqrt(np.mean(np.square(errors))))


def _fit(amounts: np.ndarray, latencies: np.ndarray) -> np.ndarray:
  """Coefficients, none negative, with the least squares of the relative errors."""
  from scipy import optimize  # slow to import, and most tables are complete

  return optimize.nnls(amounts / latencies[:, None], np.ones(len(latencies)))[0]


def _amounts(signatures: Sequence[network_lib.OpSignature]) -> np.ndarray:
  """What the coefficients weigh, in units that make them of similar size."""
  rows = []
  for signature in signatures:
    f = features_lib.of_signature(signature)
    rows.append((1e-6 * f.matrix_macs, 1e-5 * f.output_elements, 1e-6 * f.weights, 1e-6 * f.extra_tap_macs, 1e-2 * f.layers))
  return np.array(rows)
