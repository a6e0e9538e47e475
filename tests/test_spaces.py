"""Every space that has a name keeps the same invariants; small in width and resolution, whole in its decisions but for the tree."""

import numpy as np
import pytest
import tensorflow as tf

from tests.nn import spaces as nn_spaces
from tests.search import test_kinds_of_decisions as kinds
from tf_proxyless.cost import counting
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.derive import solver
from tf_proxyless.nn import keras_network
from tf_proxyless.nn import transfer
from tf_proxyless.search import objectives
from tf_proxyless.search import policy as policy_lib
from tf_proxyless.search import steps as steps_lib
from tf_proxyless.search import weight_optimizer
from tf_proxyless.search.optimizers import reinforce
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import published
from tf_proxyless.space import schema

SLOW = ('tunas_proxylessnas_enlarged_search', 'tunas_mobilenet_v3_like_search')  # many seconds for their costs
SAME_KIND = ('tunas_proxylessnas_enlarged_search', 'tunas_mobilenet_v3_like_search')  # as others
NAMES = [pytest.param(name, marks=pytest.mark.long) if name in SLOW else name for name in published.SPACES]
ARGUMENTS = {'cifar_tree': {'stage_blocks': (1, 1), 'width_multiplier': 0.5}}


def make(name):
  return published.SPACES[name](**{'width_multiplier': 0.25, 'resolution': 32, 'classes': 10, **ARGUMENTS.get(name, {})})


def invented_table(space):
  """Milliseconds by multiply-adds, some microseconds each besides, so that no two operations take the same."""
  entries = tuple(table_lib.Entry(signature, table_lib.LatencyStats('measured', median_ms=1e-6 * counting.macs(signature) + 1e-3 * (i + 1)))
                  for i, signature in enumerate(network_lib.op_signatures(space)))
  return table_lib.LatencyTable('invented', table_lib.Runtime('here', 'int8'), entries, '', table_lib.Calibration(0.9, 0.5, 4))


@pytest.mark.parametrize('name', NAMES)
def test_costs_derivation_and_files(name, tmp_path):
  space = make(name)
  io.save_search_space(space, tmp_path / 'space.json')
  assert io.load_search_space(tmp_path / 'space.json') == space
  table = invented_table(space)
  table_lib.save(table, tmp_path / 'table.json')
  assert table_lib.load(tmp_path / 'table.json') == table
  generator = np.random.default_rng(0)
  for costs, total in ((model_lib.from_macs(space), lambda network: counting.count_network(network).macs),
                       (model_lib.from_latency_table(space, table), lambda network: 0.5 + 0.9 * model_lib.entry_sum(table, network))):
    for path in kinds.random_paths(space, 3):
      network = schema.resolve(space, genotype := schema.genotype(space, path))
      assert costs.cost(genotype) == costs.cost(path) == pytest.approx(total(network), rel=1e-12)
      one_hot = np.array([[float(i == choice) for i in range(max(costs.choice_counts))] for choice in path])
      assert float(costs.expected(one_hot)) == pytest.approx(costs.cost(path), rel=1e-12)
      assert costs.smallest <= costs.cost(path) <= costs.largest
    others = [tuple(map(int, path)) for path in kinds.random_paths(space, 200, seed=1)]
    limit = float(np.quantile([costs.cost(path) for path in others], 0.3))
    values = [generator.normal(size=count) for count in costs.choice_counts]
    best = solver.solve(values, [solver.Constraint(costs, limit)])
    assert costs.cost(best.tolist()) <= limit
    assert tuple(best) == schema.canonical(costs.decisions, best)
    worth = [sum(row[choice] for i, (row, choice) in enumerate(zip(values, path)) if schema.counts(costs.decisions, path, i))
             for path in (best.tolist(), *(path for path in others if costs.cost(path) <= limit))]
    assert worth[0] == max(worth) and len(worth) > 50


@pytest.mark.long
@pytest.mark.parametrize('name', [
    pytest.param(name, marks=pytest.mark.by_hand) if name in SAME_KIND else name for name in published.SPACES])
def test_its_supernet(name):
  """One graph gives what each sampled network gives alone; weight steps and updates of REINFORCE are finite."""
  space = make(name)
  supernet = nn_spaces.supernet(space, nested=True)
  images = kinds.images_of(supernet)
  run = tf.function(lambda images, path: supernet(images, supernet.sample(path)), autograph=False)
  for path in kinds.random_paths(space, 3):
    plain = keras_network.build(schema.resolve(space, schema.genotype(space, path)))
    transfer.inherit(plain, supernet, path)
    expected = plain(images, training=True).numpy()
    np.testing.assert_allclose(run(images, tf.constant(path)), expected, atol=1e-4 * np.abs(expected).max())
  assert run.experimental_get_tracing_count() == 1
  steps = steps_lib.SupernetSteps(supernet, weight_optimizer.SupernetSGD(supernet, 0.9, 1e-4))
  costs = model_lib.from_macs(space)
  policy = policy_lib.Policy(costs.choice_counts, parents=schema.parent_indices(costs.decisions))
  config = reinforce.ReinforceConfig(0.05)
  target = (costs.smallest + costs.largest) / 2
  optimizer = config.build(policy, costs, objectives.ConstrainedConfig().build(target, costs.smallest, config.SCALE, 100), steps, 100)
  labels = tf.range(4) % 10
  for step in range(2):
    loss, _ = steps.train(images, labels, optimizer.next_path(tf.constant(step, tf.int64)), tf.constant(0.05))
    optimizer.update((images, labels))
    assert np.isfinite(loss)
  assert np.isfinite(policy.alpha).all()
  assert float(optimizer.state()['expected_cost']) == pytest.approx(target, rel=0.01)
