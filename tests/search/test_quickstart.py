"""The quickstart's search as a user runs it, by gradients: a complete search on real images, and what it must reach.

That by REINFORCE, which measures this machine, is a part of tests/tools/test_quickstart.py. Here latencies follow from multiply-adds, so
that nothing depends on how busy the machine is.
"""

import json

import pytest

from tests.search import runs
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import flags
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.cost import counting
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.search import run_directory
from tf_proxyless.space import io
from tf_proxyless.space import network
from tf_proxyless.space import schema

pytestmark = pytest.mark.by_hand  # by one worker (--dist loadfile): the search is run once


def make_table(path):
  """A table of the quickstart's space: 2 us an operation, and 1 ms for 100 M multiply-adds."""
  lines = (runs.ROOT / 'configs' / 'quickstart.flags').read_text().splitlines()
  space = problem_lib.make_space(
      flags.from_flagfile((line for line in lines if not line.startswith('#')), config_lib.SearchConfig).space, 10)
  entries = []
  for signature in network.op_signatures(space):
    latency = table_lib.LatencyStats('measured', median_ms=0.002 + 1e-8 * counting.count(signature).macs)
    entries.append(table_lib.Entry(signature, latency))
  table_lib.save(table_lib.LatencyTable('made up', table_lib.Runtime('nothing', 'int8', 'builtin'), tuple(entries)), path)


@pytest.fixture(scope='module')
def finished(tmp_path_factory, data_dir):
  folder = tmp_path_factory.mktemp('quickstart')
  make_table(folder / 'table.json')
  result = runs.run('--flagfile=quickstart_gradient.flags', f'--run_dir={folder / "run"}', f'--data_dir={data_dir}',
                    f'--latency_table={folder / "table.json"}', cwd=folder)
  return result, run_directory.RunDirectory(folder / 'run')


def test_ends_well(finished):
  result, run = finished
  assert (result.returncode, result.stderr) == (0, '')
  assert str(run.architecture) in result.stdout
  assert json.loads(run.status.read_text())['state'] == 'finished'


def test_reaches_its_target(finished):
  _, run = finished
  history = run.read_history()
  assert [entry['epoch'] for entry in history] == list(range(len(history)))
  last = history[-1]
  target = io.load_architecture(run.architecture).derivation.budget
  assert last['most_likely_accuracy'] >= 0.25  # by shared weights; guessing has 0.1
  assert abs(last['expected_cost'] / target - 1.0) <= 0.05
  assert last['entropy'] < 0.9 * history[0]['entropy']


def test_the_architecture_is_under_its_budget_and_loads(finished):
  _, run = finished
  architecture = io.load_architecture(run.architecture)
  assert schema.is_resolved(architecture.network)
  space = io.load_search_space(run.search_space)
  assert schema.resolve(space, architecture.genotype) == architecture.network
  assert counting.count_network(architecture.network).macs == architecture.cost.macs
  table = table_lib.load(run.latency_table)
  predicted = model_lib.from_latency_table(space, table).cost(architecture.genotype)
  assert predicted <= architecture.derivation.budget
  assert architecture.cost.predicted_ms == pytest.approx(predicted, rel=1e-12)  # scaled before or after the sum
  assert (table.provenance, architecture.latency_table.provenance) == ('measured', 'measured')


def test_the_derived_network_scores_well_and_both_winners_are_told(finished):
  result, run = finished
  for line in ('most likely network', 'by probability', 'by evidence', 'chosen by validation', 'evidence differs from probability in'):
    assert line in result.stdout
  derivation = json.loads(run.derivation.read_text())
  assert derivation['validation_accuracy'] >= 0.35
  assert len(evaluations_lib.load(run.samples)[1]) >= 1000
