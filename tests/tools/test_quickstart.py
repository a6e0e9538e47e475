"""tools/quickstart.py: the whole way on digits, as the README starts it; and its parts."""

import json
import os
import pathlib

import pytest

from tests.search import runs
from tf_proxyless.app.commands import quickstart
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import proxyless
from tf_proxyless.space import sampling
from tf_proxyless.space import schema

SPACE = proxyless.proxyless(stage_filters=(8,), stage_blocks=(2,), stage_strides=(1,), resolution=8, stem_filters=8, stem_strides=1,
                            first_block_filters=8, head_filters=16, classes=10)


@pytest.fixture
def run(tmp_path):
  """Files of a search that has found something."""
  entries = tuple(table_lib.Entry(signature, table_lib.LatencyStats('measured', median_ms=0.01 * (1 + i**2 % 17)))
                  for i, signature in enumerate(network_lib.op_signatures(SPACE)))
  table = table_lib.LatencyTable('planted', table_lib.Runtime('here', 'int8', 'builtin'), entries)
  genotype = sampling.spread(SPACE, 1, seed=5)[0]
  cost = model_lib.from_latency_table(SPACE, table).cost(genotype)
  table_lib.save(table, tmp_path / 'latency_table.json')
  io.save_search_space(SPACE, tmp_path / 'search_space.json')
  io.save_architecture(io.Architecture(schema.resolve(SPACE, genotype), genotype, cost=io.Cost(1, 1, cost)), tmp_path / 'architecture.json')
  return tmp_path


def test_the_random_network_is_another_one_of_about_the_same_latency(run):
  found = io.load_architecture(run / 'architecture.json')
  other = quickstart.random_network(run, seed=0)
  assert other.genotype != found.genotype
  model = model_lib.from_latency_table(SPACE, table_lib.load(run / 'latency_table.json'))
  distance = abs(other.cost.predicted_ms - found.cost.predicted_ms)
  everything = sampling.spread(SPACE, 41, 0, frozenset([found.genotype]))  # all that the space has
  assert distance == min(abs(model.cost(genotype) - found.cost.predicted_ms) for genotype in everything)


def stage(name, *arguments):
  return quickstart.Stage(name, ('-c', 'import sys; open(sys.argv[1], "a").write("x"); sys.exit(int(sys.argv[2]))', *arguments), 1)


def test_a_finished_stage_is_not_run_again(tmp_path, capfd):
  log = tmp_path / 'log'
  for _ in range(2):
    quickstart.Pipeline(tmp_path).run(stage('one', str(log), '0'))
  assert log.read_text() == 'x'
  quickstart.Pipeline(tmp_path).run(stage('one', str(log), '00'))  # another command
  assert log.read_text() == 'xx'
  assert capfd.readouterr().out.count('== one') == 2


def test_a_stage_that_fails_is_told_and_run_again(tmp_path):
  log = tmp_path / 'log'
  for _ in range(2):
    with pytest.raises(ValueError, match='one ended with exit code 3, see above; the same command continues'):
      quickstart.Pipeline(tmp_path).run(stage('one', str(log), '3'))
  assert log.read_text() == 'xx'


def test_the_table_says_what_is_not_predicted():
  row = {'network': 'found', 'float_accuracy': 0.99, 'int8_accuracy': 0.9875, 'predicted_ms': 0.05, 'measured_ms': 0.055,
         'size_bytes': 51234, 'macs': 612345, 'test_images': 360}
  text = quickstart.to_text([row, {**row, 'network': 'mobilenet_v2', 'predicted_ms': None}])
  assert 'found           99.00 %  98.75 %    0.050 ms   0.055 ms    51 kB     0.61' in text
  assert '           -' in text.splitlines()[2]
  assert 'measured +10.0 % from the prediction' in text


@pytest.mark.long
def test_the_whole_way(tmp_path, data_dir):
  """Every claim of the README's main job but latencies, which are those of a busy machine.

  Where it was run already, QUICKSTART_FLAGS are its flags: the same command then only says its results again.
  """
  fresh = f'--work_dir={tmp_path / "work"} --data_dir={data_dir} --cache_dir={tmp_path / "cache"}'
  arguments = os.environ.get('QUICKSTART_FLAGS', fresh).split()
  work = pathlib.Path(arguments[0].removeprefix('--work_dir='))
  result = runs.tool('quickstart', *arguments, cwd=tmp_path, limit_s=1700)
  assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
  found, other, baseline = json.loads((work / 'results.json').read_text())['networks']
  assert (found['network'], other['network'], baseline['network']) == ('found', 'random', 'mobilenet_v2')
  assert found['test_images'] == 360 and found['float_accuracy'] >= 0.95
  assert abs(found['int8_accuracy'] - found['float_accuracy']) <= 0.02
  assert 'found: measured' in result.stdout
  page = (work / 'search' / 'report.html').read_text(encoding='utf-8')
  assert 'Files made of it' in page and all(name in page for name in ('found', 'random', 'mobilenet_v2'))
  again = runs.tool('quickstart', *arguments, cwd=tmp_path, limit_s=120)
  assert again.returncode == 0 and '==' not in again.stdout
