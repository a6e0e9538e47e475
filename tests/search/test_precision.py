"""What precision changes in a real search, the quickstart's: ranks of networks, and what is found."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from tests.search import runs
from tests.search import test_quickstart
from tf_proxyless.app import build_search
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import dataset
from tf_proxyless.app import flags
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.nn import supernet as supernet_lib
from tf_proxyless.search import loop
from tf_proxyless.search import run_directory
from tf_proxyless.search import steps as steps_lib
from tf_proxyless.search import weight_optimizer

pytestmark = pytest.mark.by_hand  # a search by each precision


@pytest.fixture(name='searched', scope='module')
def _searched(tmp_path_factory, data_dir):
  """Finished searches by precision, made when first asked for."""
  folder, made = tmp_path_factory.mktemp('precision'), {}
  test_quickstart.make_table(folder / 'table.json')

  def get(precision):
    if precision not in made:
      result = runs.run('--flagfile=quickstart.flags', f'--run_dir={folder / precision}', f'--latency_table={folder / "table.json"}',
                        f'--data_dir={data_dir}', f'--precision={precision}', cwd=folder, limit_s=3600)
      assert result.returncode == 0, result.stderr
      made[precision] = run_directory.RunDirectory(folder / precision)
    return made[precision]

  return get


def scores(run, precision):
  """Accuracies of 60 random networks on the validation images, by the weights of a search and in some precision."""
  config = flags.read(run.flags, config_lib.SearchConfig)
  problem = problem_lib.restore(run, config)
  found = build_search.build_search(config, problem, dataset.open_source(config.data.dataset, config.data), run, loop.Observer())
  assert found.checkpoint.restore()
  supernet = supernet_lib.Supernet(problem.space, nested=config.weights.nested, precision=precision)
  for weight, value in zip(supernet.weights, found.steps._supernet.weights, strict=True):
    weight.assign(value)
  paths = np.random.default_rng(5).integers(problem.cost_model.choice_counts, size=(60, len(found.steps.decisions))).astype(np.int32)
  return steps_lib.SupernetSteps(supernet, weight_optimizer.SupernetSGD(supernet)).accuracies_over(paths, found.data.validation_pass())


def test_ranks_hold(searched):
  """Networks lie within 4 %: between two halves of the images Kendall's tau is far lower (docs/performance.md)."""
  expected, bfloat16, float16 = (scores(searched('float32'), precision) for precision in config_lib.PRECISIONS)
  assert stats.kendalltau(expected, float16).statistic > 0.95
  assert stats.kendalltau(expected, bfloat16).statistic > 0.9


@pytest.mark.parametrize('precision', config_lib.PRECISIONS[1:])
def test_a_search_in_half_precision_ends_as_well(searched, precision):
  plain, half = searched('float32'), searched(precision)
  assert scores(half, precision).mean() == pytest.approx(scores(plain, 'float32').mean(), abs=0.03)
  accuracies = [json.loads(run.derivation.read_text())['validation_accuracy'] for run in (plain, half)]
  assert accuracies[1] == pytest.approx(accuracies[0], abs=0.03)
