"""Files of search spaces and architectures: exact round trips, and one line for whatever else a file may hold."""

import dataclasses
import json
import random

import pytest

from tf_proxyless.space import io
from tf_proxyless.space import network
from tf_proxyless.space import ops
from tf_proxyless.space import proxyless
from tf_proxyless.space import published
from tf_proxyless.space import schema

SPACE = network.Network(
    'odd', (30, 17, 4),
    (network.Block('stem', ops.ConvBn(8, 5, 2)),
     network.Block('body', schema.OneOf((ops.MBConv(8, 7, 1, 2), ops.Zero()), 'kind'), residual=True),
     network.Block('end', ops.Classifier(7, 0.125))),
    padding='symmetric')


def architecture():
  """An architecture in which no field has its default."""
  genotype = schema.Genotype({'blocks/body/op': 1})
  return io.Architecture(
      schema.resolve(SPACE, genotype), genotype, io.Cost(123, 45, 6.75), io.TableReference('ab' * 32, '1 measured, 2 estimated'),
      io.Derivation('evidence', 80.0, 0.71, 0.004),
      {'mean': (0.5, 0.25, 0.5, 0.0), 'std': (0.125, 1.0, 1.0, 2.0)}, {'tensorflow': '2.21.0'}, 17)


@pytest.mark.parametrize('space', [SPACE, proxyless.proxyless(), proxyless.proxyless(width_multiplier=1.35, classes=7)])
def test_space_round_trip(space, tmp_path):
  path = tmp_path / 'search_space.json'
  io.save_search_space(space, path)
  assert io.load_search_space(path) == space


def test_architecture_round_trip(tmp_path):
  path = tmp_path / 'architecture.json'
  io.save_architecture(architecture(), path)
  assert io.load_architecture(path) == architecture()
  body = json.loads(path.read_text())
  assert body['schema'] == 'tf_proxyless/architecture' and body['version'] == 1
  assert body['genotype'] == {'blocks/body/op': 1}
  assert set(body) == {'schema', 'version', 'network', 'genotype', 'cost', 'latency_table', 'derivation',
                       'input_normalization', 'versions', 'seed'}


def test_only_network_and_genotype_are_required(tmp_path):
  space, genotype = published.published('proxyless_mobile')
  path = tmp_path / 'architecture.json'
  small = io.Architecture(schema.resolve(space, genotype), genotype)
  io.save_architecture(small, path)
  assert io.load_architecture(path) == small
  assert set(json.loads(path.read_text())) == {'schema', 'version', 'network', 'genotype'}


def test_an_architecture_has_no_open_decisions():
  with pytest.raises(ValueError, match="'odd' of an architecture has open decisions"):
    io.Architecture(SPACE, schema.Genotype({}))


def test_find_architecture(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'proxyless_gpu').mkdir()  # a published name wins over whatever lies here
  assert io.find_architecture('proxyless_gpu').network == published.network('proxyless_gpu')
  io.save_architecture(architecture(), 'mine')
  assert io.find_architecture('mine') == architecture()
  with pytest.raises(FileNotFoundError):
    io.find_architecture('yours.json')
  with pytest.raises(ValueError, match="unknown network 'proxyless_gpus'; .*; did you mean 'proxyless_gpu'"):
    io.find_architecture('proxyless_gpus')


def one_of(depth):
  return {'type': 'zero'} if depth == 0 else {'type': 'one_of', 'choices': [one_of(depth - 1)], 'tag': 't'}


@pytest.mark.parametrize('change, message', [
    (lambda b: b.update(colour='red'), r"unknown fields \['colour'\]; fields are network, genotype, cost"),
    (lambda b: b.pop('genotype'), r"missing fields \['genotype'\]"),
    (lambda b: b.update(network=[]), r'network: must be an object, got \[\]'),
    (lambda b: b.update(genotype={'x': 1.5}), 'genotype/x: must be an integer, got 1.5'),
    (lambda b: b.update(seed='1'), "seed: must be an integer, got '1'"),
    (lambda b: b['cost'].update(macs=True), 'cost/macs: must be an integer, got True'),
    (lambda b: b['cost'].update(flops=1), r"cost: unknown fields \['flops'\]"),
    (lambda b: b['derivation'].update(estimate=[0.5]), 'derivation/estimate: must be a finite number'),
    (lambda b: b['input_normalization'].update(mean=0.5), 'input_normalization/mean: must be a list'),
    (lambda b: b['network'].update(padding='valid'), "network: padding must be one of .* got 'valid'"),
    (lambda b: b['network'].update(input_shape=[30, 17]), 'network/input_shape: must have 3 elements, got 2'),
    (lambda b: b['network']['blocks'][0]['op'].update(type='dilated'),
     "network/blocks/0/op: type must be one of conv_bn, mbconv, .*classifier, .*one_of, got 'dilated'"),
    (lambda b: b['network']['blocks'][0]['op'].update(type=['conv_bn']), 'type must be one of'),
    (lambda b: b['network']['blocks'][0].update(op='conv_bn'), "network: not an operation: 'conv_bn'"),
    (lambda b: b['network']['blocks'][0]['op'].update(filters=-8), 'op: ConvBn.filters must be a positive integer, got -8'),
    (lambda b: b['network']['blocks'][0]['op'].update(dilation=2), r"op: unknown fields \['dilation'\]"),
    (lambda b: b['network']['blocks'][0].update(residual=1), 'residual: must be true or false, got 1'),
    (lambda b: b['network']['blocks'][0].update(residual=True), "network: block 'stem' has a shortcut, but maps"),
    (lambda b: b['network']['blocks'][1].update(op=one_of(1)), 'open decisions'),
    (lambda b: b['network']['blocks'][1].update(op=one_of(3)), 'open decisions'),
    (lambda b: b['network']['blocks'][1].update(op=one_of(100)), 'nested deeper than 32 levels'),
    (lambda b: b['network']['blocks'][1].update(op={'type': 'one_of', 'choices': [], 'tag': ''}), 'non-empty tuple'),
])
def test_files_that_are_refused(tmp_path, change, message):
  path = tmp_path / 'architecture.json'
  body = {'schema': 'tf_proxyless/architecture', 'version': 1, **io.architecture_to_json(architecture())}
  change(body)
  path.write_text(json.dumps(body))
  with pytest.raises(ValueError, match=message) as error:
    io.load_architecture(path)
  assert str(error.value).startswith(f'{path}: ') and '\n' not in str(error.value)


def test_a_space_is_no_architecture(tmp_path):
  path = tmp_path / 'file.json'
  io.save_search_space(SPACE, path)
  with pytest.raises(ValueError, match="must be 'tf_proxyless/architecture' and 1, got 'tf_proxyless/search_space' and 1"):
    io.load_architecture(path)


def test_truncated_files_are_refused(tmp_path):
  path = tmp_path / 'file.json'
  io.save_architecture(architecture(), path)
  content = path.read_bytes().rstrip()
  for length in range(0, len(content), 5):
    path.write_bytes(content[:length])
    with pytest.raises(ValueError, match='not JSON'):
      io.load_architecture(path)


def _mutate(value, rng):
  """Replaces one random node of a JSON value by something else."""
  junk = [None, True, -1, 0, 10**30, 1e308, '', 'x', [], {}, [[]], {'type': 'zero'}, {'type': 'one_of', 'choices': [{}]}]
  if not isinstance(value, (dict, list)) or not value or rng.random() < 0.2:
    return rng.choice(junk)
  key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
  copy = dict(value) if isinstance(value, dict) else list(value)
  copy[key] = _mutate(value[key], rng)
  return copy


def check_mutations(seeds, tmp_path):
  path = tmp_path / 'file.json'
  body = {'schema': 'tf_proxyless/architecture', 'version': 1, **io.architecture_to_json(architecture())}
  refused = 0
  for seed in seeds:
    path.write_text(json.dumps(_mutate(body, random.Random(seed))))
    try:
      found = io.load_architecture(path)
    except ValueError as error:
      refused += 1
      assert str(error).startswith(f'{path}: ') and '\n' not in str(error)
    else:
      assert io.architecture_from_json(io.architecture_to_json(found)) == found
  assert refused > len(seeds) / 2


def test_mutated_files_load_or_are_refused(tmp_path):
  check_mutations(range(300), tmp_path)


@pytest.mark.long
def test_many_mutated_files_load_or_are_refused(tmp_path):
  check_mutations(range(500, 20_000), tmp_path)


def test_fields_that_are_none_are_left_out(tmp_path):
  bare = dataclasses.replace(architecture(), cost=io.Cost(macs=5), derivation=None, seed=0)
  io.save_architecture(bare, tmp_path / 'a.json')
  assert io.load_architecture(tmp_path / 'a.json') == bare
