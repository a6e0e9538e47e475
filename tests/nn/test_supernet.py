"""A supernet runs the network that its gates name, and nothing else."""

import numpy as np
import pytest
import tensorflow as tf

from tests import suites
from tests.nn import spaces
from tf_proxyless.nn import template
from tf_proxyless.nn import keras_network
from tf_proxyless.nn import segment as segment_lib
from tf_proxyless.nn import supernet as supernet_lib
from tf_proxyless.nn import transfer
from tf_proxyless.search import steps as steps_lib
from tf_proxyless.search import weight_optimizer
from tf_proxyless.space import cifar_tree

Z = spaces.ZERO
PATHS = ((0, 1, 2, 3), (5, 4, 3, Z), (Z, 2, 5, 0), (Z, Z, 1, Z))


@pytest.mark.parametrize('input_shape, padding', suites.few([
    ((13, 18, 1), 'same'), ((16, 16, 3), 'symmetric'), ((13, 18, 1), 'symmetric'), ((16, 16, 3), 'same')]))
def test_one_hot_supernet_is_its_plain_network_on_batch_statistics(input_shape, padding):
  space = spaces.tiny(input_shape, padding)
  supernet = spaces.supernet(space)
  images, _ = spaces.batch(space)
  run = tf.function(lambda images, path: supernet(images, supernet.sample(path)), autograph=False)
  outputs = []
  for path in PATHS:
    outputs.append(run(images, tf.constant(path)).numpy())
    plain = keras_network.build(spaces.resolve(space, path))
    transfer.inherit(plain, supernet, path)
    expected = plain(images, training=True).numpy()
    np.testing.assert_allclose(outputs[-1], expected, atol=2e-5 * np.abs(expected).max())
  assert all(np.abs(outputs[0] - other).max() > 0.01 for other in outputs[1:])


def test_one_trace_serves_all_paths():
  space = spaces.tiny()
  supernet = spaces.supernet(space)
  images, _ = spaces.batch(space)
  run = tf.function(lambda images, path: supernet(images, supernet.sample(path)), autograph=False)
  run(images, tf.constant(PATHS[0]))
  bodies = template._body.cache_info().misses
  for path in PATHS[1:]:
    run(images, tf.constant(path))
  assert run.experimental_get_tracing_count() == 1
  assert template._body.cache_info().misses == bodies


def test_only_sampled_candidates_run():
  space = spaces.tiny()
  supernet = spaces.supernet(space)
  images, _ = spaces.batch(space)
  active, inactive = (Z, 1, 2, 3), (0, Z, 4, 5)
  kept = {id(weight) for path in (active, inactive) for decision, index in enumerate(path)
          for weight in supernet.choices[decision].candidates[index].weights}
  kept |= {id(weight) for weight in supernet.fixed_weights}
  for weight in spaces.all_weights(supernet):
    if id(weight) not in kept:
      weight.assign(tf.fill(weight.shape, np.nan))

  @tf.function(autograph=False)
  def run(active, inactive):
    one, two = supernet.sample(active), supernet.sample_pair(active, inactive)
    sources = [one[1].weights, [pair.gates for pair in two], supernet.fixed_weights]
    with tf.GradientTape() as tape:
      tape.watch(sources[:2])
      loss = tf.reduce_sum(tf.sin(supernet(images, one)) + tf.cos(supernet(images, two)))
    return loss, tape.gradient(loss, sources)

  for value in tf.nest.flatten(run(tf.constant(active), tf.constant(inactive))):
    assert np.isfinite(value).all()
  poisoned = supernet(images, supernet.sample(tf.constant((2, 1, 2, 3))))
  assert np.isnan(poisoned).all()


def test_start_values_are_a_function_of_the_seed():
  space = spaces.tiny()
  first, again, other = (supernet_lib.Supernet(space, seed) for seed in (0, 0, 1))
  for a, b, c in zip(*map(spaces.all_weights, (first, again, other)), strict=True):
    np.testing.assert_array_equal(a, b)
    if a.shape.rank > 1:
      assert (a.numpy() != c.numpy()).all()
  kernels = [weight.numpy() for weight in spaces.all_weights(first) if weight.shape.rank > 1]
  for i, kernel in enumerate(kernels):
    assert not any(np.array_equal(kernel, before) for before in kernels[:i])


def test_without_decisions_it_starts_as_the_plain_network():
  network = spaces.resolve(spaces.tiny(), PATHS[1])
  supernet = supernet_lib.Supernet(network, seed=5)
  plain = keras_network.build(network, seed=5)
  images, _ = spaces.batch(network)
  expected = plain(images, training=True).numpy()
  np.testing.assert_allclose(supernet(images, []), expected, atol=2e-5 * np.abs(expected).max())


def test_all_weights_are_tracked_by_keras_and_by_checkpoints(tmp_path):
  space = spaces.tiny()
  supernet = spaces.supernet(space)
  assert ({id(weight) for weight in supernet.trainable_weights}
          == {id(weight) for weight in spaces.all_weights(supernet)})
  path = tf.train.Checkpoint(model=supernet).write(str(tmp_path / 'supernet'))
  restored = supernet_lib.Supernet(space, seed=9)
  tf.train.Checkpoint(model=restored).read(path).assert_consumed()
  for a, b in zip(spaces.all_weights(supernet), spaces.all_weights(restored), strict=True):
    np.testing.assert_array_equal(a, b)
  images, _ = spaces.batch(space)
  np.testing.assert_array_equal(
      *(model(images, model.sample(tf.constant(PATHS[0]))) for model in (supernet, restored)))


def test_blocks_that_may_run_at_one_time_have_graphs_of_their_own():
  chain, cell = spaces.tiny(), cifar_tree.cifar_tree(stage_blocks=(1, 1, 1))
  assert set(supernet_lib._copies(chain.sources)) == {0}
  copies = dict(zip([block.name for block in cell.blocks], supernet_lib._copies(cell.sources)))
  leaves = [copies[f'block_2.{branch}.{i}.{j}'] for branch in 'ab' for i in (1, 2) for j in (1, 2)]
  assert len(set(leaves)) == 8 and copies['block_1'] == copies['block_2'] == 0 and max(copies.values()) < 10


def test_segments_are_what_one_tensor_passes_between():
  assert segment_lib.segments([(-1,), (0,), (1,)]) == [range(0, 1), range(1, 2), range(2, 3)]
  assert segment_lib.segments([(-1,), (0,), (0, 1), (2, 0), (3,)]) == [range(0, 1), range(1, 4), range(4, 5)]
  assert segment_lib.segments([(-1,), (-1,), (0, 1), (2,)]) == [range(0, 3), range(3, 4)]


_TREE = cifar_tree.cifar_tree(stage_blocks=(2, 1), stem_filters=8, widening=12, resolution=8, classes=5)


def test_cells_of_several_widths_share_a_graph(monkeypatch):
  """Outputs and gradients of two cells that run as one graph are those of their blocks one by one."""
  supernet, (images, _) = spaces.supernet(_TREE), spaces.batch(_TREE, 4)
  gates = supernet.sample(tf.constant(np.random.default_rng(4).integers(0, 7, len(supernet.decisions)), tf.int32))
  weights = [*(gate.weights for gate in gates), *supernet.fixed_weights]
  graphs, found = [], []
  monkeypatch.setattr(segment_lib, '_graph', lambda *args, make=segment_lib._graph: graphs.append(args) or make(*args))
  for run in (supernet, lambda images, gates: supernet.block_outputs(images, gates)[-1]):
    with tf.GradientTape() as tape:
      tape.watch(weights)
      logits = run(images, gates)
      loss = tf.reduce_sum(logits * tf.constant([1.0, -2.0, 0.5, 1.5, -1.0]))
    found.append([logits, *tf.nest.flatten(tape.gradient(loss, weights, unconnected_gradients='zero'))])
  assert len(graphs) == 5  # the stem, cells of stride 1 and 2, the last normalisation, the classifier
  for shared, alone in zip(*found, strict=True):
    np.testing.assert_allclose(shared, alone, rtol=1e-3, atol=2e-5 * max(1.0, np.abs(alone).max()))


@pytest.mark.parametrize('space, precision', [
    pytest.param(spaces.tiny(), 'float32', id='chain'),
    pytest.param(spaces.tiny(), 'mixed_float16', id='half', marks=pytest.mark.long),
    pytest.param(_TREE, 'float32', id='tree', marks=pytest.mark.long)])
def test_recomputed_activations_change_no_step(space, precision):
  """Losses, gradients of gates, and weights after two steps."""
  images, labels = spaces.batch(space, 8)
  counts = [len(decision.choices) for decision in supernet_lib.Supernet(space).decisions]
  paths = np.random.default_rng(1).integers(0, counts, (3, len(counts)), np.int32)
  found = []
  for recompute in (False, True):
    supernet = spaces.supernet(space, precision=precision)
    supernet.recompute = recompute
    steps = steps_lib.SupernetSteps(supernet, weight_optimizer.SupernetSGD(supernet))
    values = [steps.gate_gradients(paths[0], paths[1], (images, labels))[1]]
    if len(counts) < 5:  # a mixture of a tree takes two minutes
      values.append(steps.mixture_gradients(np.full((len(counts), max(counts)), 1 / max(counts), np.float32), (images, labels))[1])
    values += [steps.train(images, labels, tf.constant(path), tf.constant(0.05))[0] for path in paths[:2]]
    found.append([np.asarray(value) for value in (*values, *spaces.all_weights(supernet))])
  for plain, recomputed in zip(*found, strict=True):
    rtol, atol = (1e-3, 2e-5) if precision == 'float32' else (1e-2, 1e-3)
    np.testing.assert_allclose(recomputed, plain, rtol=rtol, atol=atol * max(1.0, np.abs(plain).max()))
