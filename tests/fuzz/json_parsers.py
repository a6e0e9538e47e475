"""JSON files that describe networks, tables, models and tunings."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

from tests.fuzz import harness
from tests.fuzz.harness import written
from tf_proxyless.app import architectures
from tf_proxyless.app import model_card
from tf_proxyless.app import tuning
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import files
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import proxyless
from tf_proxyless.space import published
from tf_proxyless.space import schema

describe = harness.tool('describe')

RUNTIME = table_lib.Runtime('Pixel 2', 'int8', 'builtin', threads=1, soc='msm8998', core_mask='10', date='2026-01-02')


def space() -> network_lib.Network:
  """A search space of two decisions."""
  return proxyless.proxyless(stage_filters=(8,), stage_blocks=(2,), stage_strides=(2,), stem_filters=8, first_block_filters=8,
                             head_filters=16, resolution=32, classes=5, name='small')


def genotype() -> schema.Genotype:
  return schema.Genotype({path: 1 for path, _ in schema.walk(space())})


def network() -> network_lib.Network:
  return schema.resolve(space(), genotype())


def table() -> table_lib.LatencyTable:
  """Covers the network, with an entry of each provenance."""
  signatures = network_lib.op_signatures(network())
  latencies = [table_lib.LatencyStats(provenance, 0.1, 0.09, 0.2, 0.11, 0.01, 20) for provenance in table_lib.PROVENANCES]
  entries = tuple(table_lib.Entry(signature, latencies[i % 3]) for i, signature in enumerate(signatures))
  return table_lib.LatencyTable('host', RUNTIME, entries, 'measured', table_lib.Calibration(1.1, 0.2, 5),
                                    table_lib.Validation(0.1, 2.0, 90.0, 100.0, 0.99, 8), 30.0)


def architecture() -> io.Architecture:
  return io.Architecture(network(), genotype(), io.Cost(1_000_000, 5000, 1.5), io.TableReference('ab' * 32, 'measured'),
                         io.Derivation('validation', 2.0, 0.9, 0.01), {'mean': (0.5, 0.5, 0.5), 'std': (0.2, 0.2, 0.2)},
                         {'numpy': '2.0'}, 1)


def card() -> model_card.ModelCard:
  predicted = model_card.Prediction(1.0, 'host', 'ab' * 32, 'measured', RUNTIME)
  measured = model_card.Measurement(1.25, 1.2, 1.5, 100, 5, 0.4, RUNTIME, predicted)
  return model_card.ModelCard(
      'small', {'blocks/block_1/op': 5}, network(), 1_234_567, 8900, 'int8', 'qat', 45678, 'ab' * 32,
      model_card.Tensor((1, 32, 32, 3), 'uint8', 1 / 255, 0), model_card.Tensor((1, 5), 'uint8', 0.1, 90), {'CONV_2D': 11}, 5, False,
      {'numpy': '2'}, {'mean': (0.5, 0.5, 0.5), 'std': (0.25, 0.25, 0.25)}, 'digits', 360, {'float': 0.99, 'qat': 0.985, 'tflite': 0.98},
      {'tflite': 1.0}, {'qat': 0.98, 'ptq': 0.97}, 0.995, 2.0, 1.0, predicted, (measured,))


def study() -> tuning.Study:
  return tuning.Study('train', ('learning_rate=0.01:0.4:log', 'optimizer=sgd|rmsprop'), ('--dataset=digits',), 0, (
      tuning.Trial(0, {}, 'finished', 0.9, 0.89), tuning.Trial(1, {'learning_rate': '0.1', 'optimizer': 'sgd'}, 'finished', 0.95),
      tuning.Trial(2, {'learning_rate': '0.3', 'optimizer': 'sgd'}, 'failed', reason='the loss became nan'),
      tuning.Trial(3, {'learning_rate': '0.2', 'optimizer': 'rmsprop'}, 'running')))


def read_twice(path: pathlib.Path, content: bytes, load, save) -> Any:
  """What a file of that content holds; fails if that cannot be written, or is another after it was written."""
  path.write_bytes(content)
  found = load(path)
  with harness.accepted():
    save(found, path)
    assert load(path) == found, 'another after it was written'
  return found


def _parse_json(content: bytes, folder: pathlib.Path) -> None:
  json.dumps(files.parse_json(content), allow_nan=False).encode()


def _architecture(content: bytes, folder: pathlib.Path) -> None:
  found = read_twice(folder / 'architecture.json', content, io.load_architecture, io.save_architecture)
  describe.to_text(describe.describe(found.network, None), None)
  architectures.digest(found)
  architectures.adapt(found, 'x', found.network.classes, resolution=64)


def _search_space(content: bytes, folder: pathlib.Path) -> None:
  found = read_twice(folder / 'space.json', content, io.load_search_space, io.save_search_space)
  model_lib.from_macs(found)
  schema.cardinality(found)


def _latency_table(content: bytes, folder: pathlib.Path) -> None:
  found = read_twice(folder / 'table.json', content, table_lib.load, table_lib.save)
  assert found.sha256 and found.provenance
  known = network()
  if not found.missing(network_lib.op_signatures(known)):
    describe.to_text(describe.describe(known, found), found)


def _model_card(content: bytes, folder: pathlib.Path) -> None:
  found = read_twice(folder / 'card.json', content, model_card.load, model_card.save)
  model_card.describe(found)


def _study(content: bytes, folder: pathlib.Path) -> None:
  found = read_twice(folder / 'tuning.json', content, tuning.load, tuning.save)
  assert found.best is None or 0 <= found.best.accuracy <= 1
  tuning.differences(found, dataclasses.replace(study(), seed=1))


def _hyperparameter(content: bytes, folder: pathlib.Path) -> None:
  tuning.parse(content.decode('utf-8', 'replace'))


PARSERS = (
    harness.Parser('JSON', ('tf_proxyless.infra.files',), 'json',
                   lambda: [b'{"a": [1, 2.5, "x", null, true], "b": {"c": {}}}'], _parse_json),
    harness.Parser('architecture', ('tf_proxyless.space.io', 'tf_proxyless.infra.serialization', 'tf_proxyless.app.architectures'), 'json',
                   lambda: [written(io.save_architecture, architecture())], _architecture),
    harness.Parser('published network', ('tf_proxyless.space.io',), 'json',
                   lambda: [written(io.save_architecture, io.Architecture(published.network('proxyless_mobile'), {}))], _architecture),
    harness.Parser('search space', ('tf_proxyless.space.io',), 'json', lambda: [written(io.save_search_space, space())], _search_space),
    harness.Parser('latency table', ('tf_proxyless.cost.table', 'tf_proxyless.cost.named_tables'), 'json',
                   lambda: [written(table_lib.save, table())], _latency_table),
    harness.Parser('model card', ('tf_proxyless.app.model_card',), 'json', lambda: [written(model_card.save, card())], _model_card),
    harness.Parser('tuning', ('tf_proxyless.app.tuning',), 'json', lambda: [written(tuning.save, study())], _study),
    harness.Parser('hyper-parameter', ('tf_proxyless.app.tuning',), 'text',
                   lambda: [b'learning_rate=0.01:0.4:log', b'epochs=5:30:integer', b'optimizer=sgd|rmsprop'], _hyperparameter),
)
