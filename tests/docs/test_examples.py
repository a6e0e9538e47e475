"""The examples of docs/extend.md: what each promises, each as a short search on digits."""

from __future__ import annotations

import numpy as np
import pytest

from tests.docs import examples
import tf_proxyless as nas
from tf_proxyless.cost import counting
from tf_proxyless.space import io
from tf_proxyless.space import schema

SHORT = {'warmup_epochs': 1, 'search_epochs': 2, 'weight_steps_per_update': 4, 'validation_batch_size': 100}


@pytest.fixture(scope='module')
def results(tmp_path_factory, data_dir):
  """The result of each example's search, made when it is first asked for."""
  made = {}

  def result(name):
    if name not in made:
      made[name] = examples.load(name).main(str(tmp_path_factory.mktemp(name) / 'run'), data_dir=data_dir, **SHORT)
    return made[name]

  return result


def test_every_example_is_here():
  assert sorted(path.stem for path in examples.FOLDER.glob('*.py')) == ['cost', 'designer', 'objective', 'operation', 'optimizer', 'space']


def test_every_example_is_in_the_document():
  text = (examples.FOLDER.parent / 'extend.md').read_text(encoding='utf-8')
  assert all(f'(examples/{path.name})' in text for path in examples.FOLDER.glob('*.py'))


@pytest.mark.long
@pytest.mark.parametrize('name', ['cost', 'objective', 'operation', 'optimizer', 'space'])
def test_searches_and_keeps_its_target(name, results):
  result = results(name)
  problem, architecture = result.problem, result.architecture
  assert result.state == 'finished'
  assert problem.cost_model.cost(architecture.genotype) <= problem.target
  assert architecture.network == schema.resolve(problem.space, architecture.genotype)


@pytest.mark.long
@pytest.mark.parametrize('name', ['objective', 'optimizer'])
def test_what_was_handed_over_is_part_of_the_identity(name, results):
  body = results(name).run.identity.read_text(encoding='utf-8')
  assert {'objective': 'HingeConfig(weight=2.0)', 'optimizer': 'LeaveOneOutConfig(learning_rate=None, networks=8)'}[name] in body


def test_the_operation_is_counted_by_its_layers():
  op = examples.load('operation').FusedBottleneck(16, 3, 2, 4)
  signature = nas.Network('one', (8, 8, 8), (
      nas.Block('fused', op), nas.Block('classifier', nas.spaces.Classifier(2))))
  count = counting.count_network(signature)
  assert count.macs == 4 * 4 * (9 * 8 * 32 + 32 * 16) + 16 * 2
  assert count.parameters == 9 * 8 * 32 + 2 * 32 + 32 * 16 + 2 * 16 + 16 * 2 + 2


@pytest.mark.long
def test_the_operation_is_read_back_from_files(results):
  result = results('operation')
  assert io.load_search_space(result.run.search_space) == examples.load('operation').make_space()
  assert result.keras_model(weights='random').output_shape == (None, 10)


def test_the_widths_are_one_decision_a_stage():
  space = examples.load('space').make_space()
  names = [decision.path for decision in nas.spaces.decisions(space)]
  assert sum(name.startswith('width_') for name in names) == 2 and len(names) == 8
  assert nas.spaces.cardinality(space) == (3 * 2 * 2 * 3) ** 2


def test_the_hinge_and_its_gradient():
  import tensorflow as tf

  objective = examples.load('objective').HingeConfig(2.0).build(50.0, 10.0, 1.0, 100)
  cost = tf.constant(60.0)
  with tf.GradientTape() as tape:
    tape.watch(cost)
    loss = objective.loss(tf.constant(1.5), cost)
  assert float(loss) == pytest.approx(1.5 + 2.0 * 0.2)
  assert float(tape.gradient(loss, cost)) == pytest.approx(2.0 / 50.0)
  assert float(objective.loss(tf.constant(1.5), tf.constant(49.0))) == 1.5
  assert float(objective.reward(tf.constant([0.7]), cost)[0]) == pytest.approx(0.7)


def test_leave_one_out_needs_others():
  with pytest.raises(ValueError, match='at least 2 networks'):
    examples.load('optimizer').LeaveOneOut(None, None, None, None, 0.1, networks=1)


def test_traffic_is_counted_by_hand():
  """A 1x1 convolution with batch normalisation and activation: each reads and writes."""
  network = nas.Network('one', (4, 4, 3), (nas.Block('conv', nas.spaces.ConvBn(8, 1)), nas.Block('classifier', nas.spaces.Classifier(2))))
  row = counting.count_blocks(network)[0]
  convolution = 4 * 4 * 3 + 3 * 8 + 4 * 4 * 8
  assert examples.load('cost').traffic(row.signature) == convolution + (16 * 8 + 2 * 8 + 16 * 8) + (16 * 8 + 16 * 8)
  assert examples.load('cost').traffic(None) == 0.0


@pytest.mark.long
def test_the_cost_of_bytes_and_of_weights_both_hold(results):
  result = results('cost')
  smaller = examples.load('cost').derive_smaller(result)
  weights = nas.costs.file_bytes(result.space)
  assert weights.cost(smaller.genotype) <= (weights.smallest + weights.largest) / 2
  assert result.problem.cost_model.cost(smaller.genotype) <= result.problem.target


@pytest.mark.long
def test_annealing_beats_random_search():
  annealing, evolution, random = examples.load('designer').main()
  assert len(annealing) == len(evolution) == len(random) == 300
  assert min(annealing.accuracy.max(), evolution.accuracy.max()) > random.accuracy.max() + 0.02
  np.testing.assert_array_equal(annealing.paths[:10], random.paths[:10])  # both start with the same draws
