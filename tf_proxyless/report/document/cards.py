"""The latency table of a search, and the files that were made of its networks, for its report."""

from __future__ import annotations

import collections
import math
import pathlib
from collections.abc import Sequence
from typing import Any

from tf_proxyless.measure import model_card
from tf_proxyless.cost import counting
from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import serialization
from tf_proxyless.measure import validation as validation_lib
from tf_proxyless.report.document import run_files as report_files
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib

CARD_SUFFIX = '_card.json'
_HOW = {'float': 'converted', 'ptq': 'post-training quantization', 'qat': 'quantization-aware training'}


def table(found: table_lib.LatencyTable, proof: Sequence[validation_lib.Row] | None) -> dict[str, Any]:
  """A table of latency or energy: runtime, provenance, entries, and how well it predicts."""
  entries = []
  for entry in found.entries:
    latency = entry.latency
    entries.append({'label': str(entry.signature), 'ms': latency.latency_ms, 'p5': latency.p5_ms, 'p95': latency.p95_ms,
                    'provenance': latency.provenance, 'macs': counting.count(entry.signature).macs})
  counts = collections.Counter(entry['provenance'] for entry in entries)
  return {
      'name': found.name,
      'unit': found.unit,
      'runtime': serialization.encode(found.runtime),
      'provenance': {name: counts[name] for name in table_lib.PROVENANCES},
      'calibration': serialization.encode(found.calibration) if found.calibration.networks else None,
      'validation': None if found.validation is None else serialization.encode(found.validation),
      'estimate_error_percent': found.estimate_error_percent,
      'entries': entries,
      'proof': None if proof is None else [_proven(row) for row in proof],
      'source': found.source or None,
  }


def _proven(row: validation_lib.Row) -> dict[str, Any]:
  return {'name': row.name, 'purpose': row.purpose, 'predicted_ms': row.predicted_ms, 'measured_ms': row.measured_ms}


def load_proof(path: pathlib.Path, found: table_lib.LatencyTable) -> tuple[validation_lib.Row, ...]:
  """The networks of a table's proof.

  Raises:
    ValueError: The file is not a proof, or that of another table: its predictions are not those of the table's calibration.
    OSError: The file cannot be read.
  """
  rows = validation_lib.load_rows(path)
  line = found.calibration
  for row in rows:
    predicted_ms = line.offset_ms + line.scale * row.sum_ms
    if not math.isclose(predicted_ms, row.predicted_ms, rel_tol=1e-6):
      raise ValueError(f'{path}: of another table: it predicts {row.predicted_ms:g} {found.unit} for {row.name}, this one '
                       f'{predicted_ms:g}')
  return rows


def deployments(paths: Sequence[pathlib.Path], architecture: io.Architecture | None, reader: report_files.Reader) -> list[dict[str, Any]]:
  """The files that model cards describe.

  Args:
    paths: Model cards.
    architecture: The found architecture, to compare networks with.
    reader: Collects problems.
  """
  rows = []
  for path in paths:
    card = reader.attempt(lambda path=path: model_card.load(path))
    if card is not None:
      rows.append(_deployment(path, card, architecture))
  return rows


def _deployment(path: pathlib.Path, card: model_card.ModelCard, architecture: io.Architecture | None) -> dict[str, Any]:
  accuracies = card.accuracies or {}
  measured = card.measured[-1] if card.measured else None
  predicted = card.predicted or (measured.predicted if measured else None)
  stem = path.name.removesuffix(CARD_SUFFIX)
  return {
      'name': path.resolve().parent.name if stem == 'model' else stem,
      'quantization': 'float32' if card.quantization == 'none' else card.quantization, 'how': _HOW[card.how],
      'float_accuracy': accuracies.get('float'), 'int8_accuracy': accuracies.get('tflite'),
      'dataset': card.dataset, 'test_images': card.test_images,
      'predicted_ms': predicted.latency_ms if predicted else None,
      'measured_ms': measured.latency_ms if measured else None,
      'measured_p5_ms': measured.p5_ms if measured else None,
      'measured_p95_ms': measured.p95_ms if measured else None,
      'device': f'{measured.runtime.device}, {measured.runtime.kernels} kernels, threads {measured.runtime.threads}' if measured else None,
      'macs': card.macs, 'parameters': card.parameters,
      'size_bytes': card.size_bytes, 'sha256': card.sha256,
      'same_network': architecture is not None and _computes(card.network) == _computes(architecture.network),
  }


def _computes(network: network_lib.Network) -> tuple[Any, ...]:
  """Everything that the computation of a network depends on; neither its name nor its dropout."""
  return network.input_shape, tuple(row.signature for row in counting.count_blocks(network))
