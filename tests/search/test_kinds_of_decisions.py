"""Supernets of spaces whose decisions are of any kind: widths in several places, numbers inside operations, nested ones, the resolution."""

import numpy as np
import pytest
import tensorflow as tf

from tests import suites
from tests.nn import spaces as nn_spaces
from tests.space import spaces
from tf_proxyless.nn import keras_network
from tf_proxyless.nn import supernet as supernet_lib
from tf_proxyless.nn import transfer
from tf_proxyless.search import steps as steps_lib
from tf_proxyless.search import weight_optimizer
from tf_proxyless.space import schema


SPACES = {**spaces.COUPLED, 'chain': nn_spaces.tiny}
CASES = [*((name, False) for name in SPACES), *((name, True) for name in ('chain', 'parts', 'fbnet_v2', 'tree'))]
QUICK = [('parts', True)]


def random_paths(space, count, seed=0):
  counts = [len(decision.choices) for decision in schema.decisions(space)]
  return np.random.default_rng(seed).integers(0, counts, (count, len(counts)), np.int32)


def images_of(supernet, count=4):
  generator = np.random.default_rng(1)
  return tf.constant(generator.standard_normal((count, *supernet.input_size)).astype(np.float32))


def resized(images, network):
  if images.shape[1] == network.input_shape[0]:
    return images
  return tf.image.resize(images, network.input_shape[:2], antialias=True)


def part_of(weight, shape):
  """Of a kernel the centre, of the rest the first channels."""
  begin = [(full - size) // 2 if i < 2 and len(shape) == 4 else 0 for i, (full, size) in enumerate(zip(weight.shape, shape))]
  return tuple(slice(first, first + size) for first, size in zip(begin, shape))


@pytest.mark.parametrize('name, nested', suites.few(CASES))
def test_each_path_is_its_plain_network_on_batch_statistics_in_one_graph(name, nested):
  space = SPACES[name]()
  supernet = nn_spaces.supernet(space, nested=nested)
  images = images_of(supernet)
  run = tf.function(lambda images, path: supernet(images, supernet.sample(path), path=path), autograph=False)
  outputs = []
  for path in random_paths(space, 3):
    outputs.append(run(images, tf.constant(path)).numpy())
    network = schema.resolve(space, schema.genotype(space, path))
    plain = keras_network.build(network)
    transfer.inherit(plain, supernet, path)
    expected = plain(resized(images, network), training=True).numpy()
    np.testing.assert_allclose(outputs[-1], expected, atol=2e-5 * np.abs(expected).max())
  assert run.experimental_get_tracing_count() == 1
  assert any(np.abs(outputs[0] - other).max() > 0.01 for other in outputs[1:])


@pytest.mark.long
@pytest.mark.parametrize('name, nested', [case if case in QUICK else pytest.param(*case, marks=pytest.mark.long) for case in CASES])
def test_a_weight_step_is_that_of_the_network_alone_and_changes_nothing_else(name, nested):
  """The parts of weights and of momenta that the path uses, as in a supernet of its network alone; the others keep every bit."""
  space = SPACES[name]()
  supernet = nn_spaces.supernet(space, nested=nested)
  optimizer = weight_optimizer.SupernetSGD(supernet, 0.9, 0.01)
  compiled = steps_lib.SupernetSteps(supernet, optimizer)
  labels = tf.constant([1, 2, 3, 4])
  pairs = list(zip(supernet.fixed_weights, optimizer.fixed_slots))
  for choice, slots in zip(supernet.choices, optimizer.candidate_slots):
    for candidate, row in zip(choice.candidates, slots):
      pairs += zip(candidate.weights, row)
  slot_of = {id(weight): slot for weight, slot in pairs}
  for path in random_paths(space, 3, seed=2):
    network = schema.resolve(space, schema.genotype(space, path))
    alone = supernet_lib.Supernet(network)
    alone_optimizer = weight_optimizer.SupernetSGD(alone, 0.9, 0.01)
    used = [weight for layer in supernet.block_layers
            for weight in (layer.candidate(path) if layer in supernet.choices else layer).weights]
    for weight, slot, source in zip(alone.fixed_weights, alone_optimizer.fixed_slots, used, strict=True):
      part = part_of(source, weight.shape)
      weight.assign(source[part])
      slot.assign(slot_of[id(source)][part])
    before = {id(variable): variable.numpy().copy() for pair in pairs for variable in pair}
    images = images_of(supernet)
    compiled.train(images, labels, tf.constant(path), tf.constant(0.05))
    steps_lib.SupernetSteps(alone, alone_optimizer).train(resized(images, network), labels, tf.zeros([0], tf.int32), tf.constant(0.05))
    for weight, slot, source in zip(alone.fixed_weights, alone_optimizer.fixed_slots, used, strict=True):
      part = part_of(source, weight.shape)
      for ours, theirs in ((source, weight), (slot_of[id(source)], slot)):
        np.testing.assert_allclose(ours[part], theirs, rtol=2e-4, atol=2e-5)
        before[id(ours)][part] = ours[part]
    for pair in pairs:
      for variable in pair:
        np.testing.assert_array_equal(variable, before[id(variable)])
