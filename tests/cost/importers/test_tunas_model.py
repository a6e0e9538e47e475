"""TuNAS's linear model, in the layouts of its code and of decoded files, with coefficients made here."""

import base64
import json
import struct

import numpy as np
import pytest

from tests.space import test_tunas
from tf_proxyless.cost import model
from tf_proxyless.cost import table as table_lib
from tf_proxyless.cost.importers import tunas_model
from tf_proxyless.infra import resources
from tf_proxyless.space import network
from tf_proxyless.space import published
from tf_proxyless.space import schema
from tf_proxyless.space import tunas

RUNTIME = table_lib.Runtime('Pixel 1', 'float32')
SKIPPABLE = [False, False, *([True] * 3 + [False]) * 5]


def coefficients():
  """By block; equal operations have equal ones, and to leave a block out is the cheapest."""
  generator = np.random.default_rng(0)
  rows = [generator.normal(size=3).tolist()]
  for skippable in SKIPPABLE[1:]:
    if skippable and SKIPPABLE[len(rows) - 1]:
      rows.append(rows[-1])
    else:
      rows.append([*generator.normal(size=6).tolist(), *[-9.0] * skippable])
  return rows


def in_json(bias=200.0, **changes):
  names = {f'block_{i}': row for i, row in enumerate(coefficients())}
  return json.dumps({'bias_ms': bias, 'layers': names, **changes})


def in_python(values=None, bias=(200.0,), kind='>f4'):
  def text(numbers):
    encoded = base64.encodebytes(struct.pack(f'>{len(numbers)}f', *numbers)).decode()
    return f'b"""\n{encoded}"""'
  flat = [value for row in coefficients() for value in row] if values is None else values
  return (f'# coding=utf-8\n_A = {text(flat)}\n\n_B = {text(bias)}\n\nSERIALIZATION_DTYPE = {kind!r}\n\n'
          "KERNEL_DATA = {\n    'proxylessnas_search': _A,\n    'other': b'',\n}\n\nBIAS_DATA = {\n    'proxylessnas_search': _B,\n}\n")


def read(tmp_path, text, name='cost_model_data.py'):
  (tmp_path / name).write_text(text)
  return tunas_model.load(tmp_path / name, 'tunas', RUNTIME)


def exact(genotype):
  """The model of its definition."""
  space, total = tunas.tunas(tunas.PROXYLESSNAS), 200.0
  for block, row in zip(space.blocks[1:], coefficients()):
    where = f'blocks/{block.name}/op'
    if genotype.get(where) == 1:
      total += row[6]
      continue
    where += '/0' if where in genotype else ''
    kernel, expansion = genotype[f'{where}/kernel_size'], genotype.get(f'{where}/expand_ratio', 0)
    total += row[kernel * 2 + expansion] if block.name != 'block_0' else row[kernel]
  return total


@pytest.mark.parametrize('text, name, tolerance', [(in_json(), 'model.json', 1e-9), (in_python(), 'cost_model_data.py', 1e-4)])
def test_networks_cost_what_the_model_says(tmp_path, text, name, tolerance):
  table = read(tmp_path, text, name)
  space = tunas.tunas(tunas.PROXYLESSNAS)
  costs = model.from_latency_table(space, table)
  generator = np.random.default_rng(1)
  for _ in range(50):
    genotype = schema.genotype(space, [int(generator.integers(len(decision.choices))) for decision in schema.decisions(space)])
    assert costs.cost(genotype) == pytest.approx(exact(genotype), abs=tolerance)
  assert all(entry.latency.provenance == 'published' for entry in table.entries)


def test_the_shipped_table():
  """The model's own test expects 84 +- 1 ms; 84.416 ms for ProxylessNAS-mobile and the range of the space by the decoded coefficients."""
  table = table_lib.load(resources.latency_table('pixel1_tunas'))
  space, genotype = published.published(f'proxylessnas_search:{test_tunas.INDICES}')
  costs = model.from_latency_table(space, table)
  assert costs.cost(genotype) == pytest.approx(84.017, abs=0.04)
  mobile = ('0:0:0:1:0:0:0:0:0:0:0:1:0:0:1:0:2:0:0:0:0:0:1:0:0:1:0:0:0:2:1:0:1:0:0:1:0:0:1:0:0:0:1:1:0:1:0:0:1:0:0:1:0:0:0:'
            '2:1:0:2:1:0:2:0:0:2:0:0:0:2:1:0:0:0')
  assert costs.cost(tunas.genotype(space, mobile)) == pytest.approx(84.416, abs=0.01)
  assert (costs.smallest, costs.largest) == (pytest.approx(30.9, abs=0.1), pytest.approx(219.1, abs=0.1))
  assert len(table.entries) == len(network.op_signatures(space))


@pytest.mark.parametrize('text, name, message', [
    (in_json(layers={'a': [1.0, 2.0]}), 'm.json', 'has 144 coefficients, got 2'),
    (in_json(layers=[1.0]), 'm.json', 'a linear model has "bias_ms" and "layers"'),
    (in_json(layers={'a': 1}), 'm.json', 'a linear model has "bias_ms" and "layers"'),
    (in_json(bias='x'), 'm.json', "bias and coefficients must be finite numbers, got 'x'"),
    (in_json(bias=float('nan')), 'm.json', 'NaN is not a number that JSON knows'),
    (in_json(bias=-100.0), 'm.json', 'the least network of the model takes -'),
    ('{', 'm.json', 'Expecting property name'),
    (in_python([1.0]), 'm.py', 'has 144 coefficients, got 1'),
    (in_python(bias=(1.0, 2.0)), 'm.py', 'BIAS_DATA must hold one number, got 2'),
    (in_python(kind='f8'), 'm.py', "SERIALIZATION_DTYPE must be '>f4' or '<f4', got 'f8'"),
    ('KERNEL_DATA = {}', 'm.py', "KERNEL_DATA['proxylessnas_search'] is not there, or no bytes"),
    (in_python().replace('_A,', 'open("x"),'), 'm.py', "KERNEL_DATA['proxylessnas_search'] is not there, or no bytes"),
    (in_python().replace('_A = b"""\n', '_A = b"""\nx'), 'm.py', 'KERNEL_DATA'),
    ('def', 'm.py', 'invalid syntax'),
    ('(' * 100_000, 'm.py', 'too many nested parentheses'),
    ('x = ' + '-' * 100_000 + '1', 'm.py', 'nested too deeply'),
    ('{"bias_ms": ' + '1' * 400 + ', "layers": {}}', 'm.json', 'has more than 64 bits'),
    ('{"bias_ms": ' * 40 + '1' + '}' * 40, 'm.json', 'm.json'),
    ('', 'm.py', 'is not there, or no bytes'),
])
def test_files_that_are_refused(tmp_path, text, name, message):
  with pytest.raises(ValueError) as error:
    read(tmp_path, text, name)
  assert message in str(error.value)
  assert str(error.value).startswith(f'{tmp_path / name}: ') and '\n' not in str(error.value)
