"""tools/describe.py as a user runs it."""

import functools
import json

import pytest

from tests.search import runs
from tests.space import official_configs
from tests.space import test_tunas
from tf_proxyless.cost import counting
from tf_proxyless.space import fbnet_v2
from tf_proxyless.space import io
from tf_proxyless.space import proxyless
from tf_proxyless.space import published
from tf_proxyless.space import schema


describe = functools.partial(runs.tool, 'describe', kind='light')


@pytest.fixture
def architecture(tmp_path):
  """The default space with the largest candidate everywhere, as a file."""
  space = proxyless.proxyless(name='largest')
  genotype = schema.Genotype({path: 5 for path, _ in schema.walk(space)})
  path = tmp_path / 'architecture.json'
  io.save_architecture(io.Architecture(schema.resolve(space, genotype), genotype), path)
  return path


@pytest.mark.parametrize('name, macs, parameters', [
    ('proxyless_mobile', 320_427_584, 4_080_512), ('proxyless_gpu', 465_260_160, 7_119_848)])
def test_json_of_a_published_network(tmp_path, name, macs, parameters):
  result = describe(name, '--json', cwd=tmp_path)
  assert (result.stderr, result.returncode) == ('', 0)
  found = json.loads(result.stdout)
  assert set(found) == {'name', 'macs', 'parameters', 'file_bytes', 'memory_bytes', 'latency_ms', 'energy_mj', 'blocks'}
  assert (found['name'], found['macs'], found['parameters'], found['latency_ms']) == (name, macs, parameters, None)
  assert sum(block['macs'] for block in found['blocks']) == macs
  assert sum(block['parameters'] for block in found['blocks']) == parameters
  assert [block['name'] for block in found['blocks']] == [block.name for block in published.network(name).blocks]


def test_networks_of_others(tmp_path):
  """Once-for-All's at a resolution that its file does not say; TuNAS's by its indices, at the cost that its authors' test expects."""
  network = published.network(published.MOBILENET_V3_LARGE, resolution=160)
  (tmp_path / 'net.json').write_text(json.dumps(official_configs.mobilenet_v3_config(network)))
  found = json.loads(describe('--architecture=net.json', '--resolution=160', '--json', cwd=tmp_path).stdout)
  assert (found['name'], found['macs']) == ('MobileNetV3', counting.count_network(network).macs)
  result = describe(f'--architecture=proxylessnas_search:{test_tunas.INDICES}', '--latency_table=pixel1_tunas', cwd=tmp_path)
  assert result.stdout.splitlines()[-1].startswith('84.02 ms by pixel1_tunas (published; Pixel 1, float32')
  result = describe('--architecture=proxylessnas_search:0:1', cwd=tmp_path)
  runs.check_mistake(result, "indices of tunas_proxylessnas_search must be 73 numbers joined by colons, got 2: '0:1'")


def test_latency_of_the_largest_network(architecture, tmp_path):
  result = describe(f'--architecture={architecture}', '--latency_table=pixel1_tflite_float', '--json', cwd=tmp_path)
  found = json.loads(result.stdout)
  assert found['latency_ms'] == pytest.approx(191.033, abs=1e-9)
  assert sum(block['latency_ms'] for block in found['blocks']) == pytest.approx(191.033, abs=1e-9)
  assert found['blocks'][2] == {
      'name': 'block_1', 'op': 'k7e6', 'input_shape': [112, 112, 16], 'output_shape': [56, 56, 24], 'strides': 2,
      'residual': False, 'macs': 112 * 112 * 16 * 96 + 56 * 56 * 96 * (49 + 24),
      'parameters': 16 * 96 + 192 + 49 * 96 + 192 + 96 * 24 + 48, 'latency_ms': 22.105, 'energy_mj': None}


def test_text(architecture, tmp_path):
  result = describe(f'--architecture={architecture}', '--latency_table=pixel1_tflite_float', cwd=tmp_path)
  lines = result.stdout.splitlines()
  assert lines[0].split() == ['name', 'op', 'input', 'output', 'stride', 'shortcut', 'MACs', 'parameters', 'ms']
  assert lines[3].split() == ['block_1', 'k7e6', '112x112x16', '56x56x24', '2', '41,244,672', '8,976', '22.105']
  assert lines[-3].startswith('largest: 606.59 M MACs, ')
  assert lines[-2] == 'in int8: a file of about 5,796 kB, 1,656 kB of memory'
  assert lines[-1] == '191 ms by pixel1_tflite_float (published; Pixel 1, float32, kernels unknown)'


def test_a_space(tmp_path):
  """By name, shipped, or in a file; decisions of every kind; the costs of the cheapest and the dearest network."""
  found = json.loads(describe('fbnet', '--json', cwd=tmp_path).stdout)
  assert (found['networks'], len(found['decisions']), found['latency_ms']) == (9**22, 22, None)
  assert found['decisions'][0]['name'] == 'block_1' and found['decisions'][0]['choices'][-1] == 'zero'
  lines = describe('quickstart', cwd=tmp_path).stdout.splitlines()
  assert lines[0] == 'stage_1_1 stage_2_1 stage_3_1' and lines[1].split()[:2] == ['k3e1', 'k3e3']
  assert lines[-1].startswith('quickstart: 6 decisions, 10^6.1 networks, ')
  space = fbnet_v2.fbnet_v2(stage_filters=((8, 16),), stage_blocks=(1,), stage_strides=(2,), resolution=(32, 48), name='small')
  io.save_search_space(space, tmp_path / 'small.json')
  lines = describe('small.json', cwd=tmp_path).stdout.splitlines()
  assert lines[:2] == ['resolution', '  32 48'] and '  8 16' in lines
  runs.check_mistake(describe('small.json', '--resolution=64', cwd=tmp_path), 'the space in small.json has its own --resolution')
  result = describe('proxyless', '--latency_table=pixel1_tflite_float', cwd=tmp_path)
  assert result.stdout.splitlines()[-1].endswith('191 ms by pixel1_tflite_float (published; Pixel 1, float32, kernels unknown)')


@pytest.mark.parametrize('arguments, messages', [
    (['proxyless_moble'], ["did you mean 'proxyless_mobile'?"]),
    (['quickstat'], ["did you mean 'quickstart'?"]),
    (['--architecture=missing.json'], ['missing.json: No such file or directory']),
    (['--architecture=empty.json'], ['empty.json: empty, not JSON']),
    (['--architecture=.'], ['Is a directory']),
    ([], ['--architecture is required']),
    (['proxyless_mobile', 'proxyless_cpu'], ["unexpected argument 'proxyless_cpu'"]),
    (['proxyless_mobile', '--architecture=proxyless_cpu'], ["unexpected argument 'proxyless_mobile'"]),
    (['--architecture=proxyless_cpu', '--latency_table=pixel2'], ["latency table 'pixel2' is neither", 'pixel1_tflite_float.json']),
    (['--architecture=proxyless_cpu', '--latency_table=empty.json'], ['empty.json: empty, not JSON']),
    # Every missing entry is listed.
    (['--architecture=proxyless_mobile', '--latency_table=pixel1_tflite_float'],
     ['lacks 3 of the 17', '112x112x16 -> 32 k5 s2 e3', '56x56x32 -> 32 k3 s1 e3 residual', '56x56x32 -> 40 k7 s2 e3']),
])
def test_mistakes_are_one_line(tmp_path, arguments, messages):
  (tmp_path / 'empty.json').write_text('')
  result = describe(*arguments, cwd=tmp_path)
  runs.check_mistake(result, *messages)
