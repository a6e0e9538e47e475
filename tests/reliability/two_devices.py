"""Tests of searches on two logical CPUs, which TensorFlow must have before anything else; `test_devices` runs them in a process."""

import numpy as np
import pytest
import tensorflow as tf

tf.config.set_logical_device_configuration(tf.config.list_physical_devices('CPU')[0], [tf.config.LogicalDeviceConfiguration()] * 2)

from tests.nn import spaces  # noqa: E402
from tests.reliability import searches  # noqa: E402
from tests.search import runs  # noqa: E402
from tf_proxyless.infra import distribution  # noqa: E402
from tf_proxyless.nn import supernet as supernet_lib  # noqa: E402
from tf_proxyless.search import loop  # noqa: E402
from tf_proxyless.search import steps as steps_lib  # noqa: E402
from tf_proxyless.search import weight_optimizer  # noqa: E402
from tf_proxyless.space import cifar_tree  # noqa: E402
from tf_proxyless.space import proxyless  # noqa: E402

SPACE = proxyless.proxyless(stage_filters=(8,), stage_blocks=(2,), stage_strides=(2,), stem_filters=8, first_block_filters=8,
                            head_filters=16, resolution=16, classes=5)
PATHS = np.array([(0, 6), (5, 1), (2, 2)], np.int32)
MIXTURE = np.full((2, 7), 1 / 7, np.float32)
RATE = tf.constant(0.05)


class Searched:
  """A supernet with its optimizer and steps."""

  def __init__(self, name, nested=False, space=SPACE, recompute=False):
    devices = distribution.Devices(distribution.choose(name))
    with devices.strategy.scope():
      self.supernet = supernet_lib.Supernet(space, 0, nested, recompute=recompute)
      self.optimizer = weight_optimizer.SupernetSGD(self.supernet)
    self.steps = steps_lib.SupernetSteps(self.supernet, self.optimizer, devices=devices)
    self.slots = [*self.optimizer.fixed_slots, *(slot for rows in self.optimizer.candidate_slots for row in rows for slot in row)]
    self.checkpoint = tf.train.Checkpoint(supernet=self.supernet, optimizer=self.optimizer)

  def train(self, images, labels, path):
    return [float(value) for value in self.steps.train(images, labels, tf.constant(path), RATE)]

  def values(self):
    """By device, all weights and then their momenta."""
    variables = [*spaces.all_weights(self.supernet), *self.slots]
    return [[np.array(each.numpy(), copy=True) for each in one] for one in zip(*map(distribution.variables_of, variables))]


def batch(count, seed=0):
  return spaces.batch(SPACE, count, seed)


def doubled(images, labels):
  return tf.concat([images, images], 0), tf.concat([labels, labels], 0)


def equal(found, expected):
  return [np.array_equal(a, b) for a, b in zip(found, expected, strict=True)]


@pytest.fixture(scope='module')
def one():
  return Searched('one')


@pytest.fixture(scope='module')
def two():
  return Searched('mirrored')


def test_steps_on_two_devices_are_those_on_one(one, two, tmp_path):
  """Of a batch with equal halves, whose statistics are those of each half; and a checkpoint of one is one of the other."""
  assert (one.steps.devices.replicas, two.steps.devices.replicas, len(two.values())) == (1, 2, 2)
  for i, path in enumerate(PATHS):
    loss, correct = one.train(*batch(8, i), path)
    assert two.train(*doubled(*batch(8, i)), path) == [loss, 2 * correct]
  first, second = two.values()
  assert all(equal(first, one.values()[0])) and all(equal(first, second))
  for source, target in ((two, one), (one, two)):
    source.train(*doubled(*batch(8, 7)), PATHS[0])
    expected = source.values()[0]
    target.checkpoint.read(source.checkpoint.write(str(tmp_path / 'ckpt'))).assert_consumed()
    assert all(all(equal(found, expected)) for found in target.values())


def test_what_was_not_sampled_stays_on_both_devices_and_the_rest_stays_equal(two):
  """Halves differ here, and with them the statistics and the gradients of the devices."""
  for i, path in enumerate(PATHS):
    before = two.values()
    two.train(*batch(8, 10 + i), path)
    after = two.values()
    assert all(equal(*after))
    sampled = {id(weight) for weight in two.supernet.fixed_weights + spaces.sampled_weights(two.supernet, path)}
    changed = [id(weight) in sampled for weight in spaces.all_weights(two.supernet)]
    assert 0 < sum(changed) < len(changed)
    for device in range(2):
      assert [not same for same in equal(before[device], after[device])] == 2 * changed  # weights, and momenta in their order


def test_shared_weights_are_updated_in_part_on_both_devices():
  one, two = Searched('one', nested=True), Searched('mirrored', nested=True)
  for i, path in enumerate(PATHS):
    one.train(*batch(4, i), path)
    two.train(*doubled(*batch(4, i)), path)
  first, second = two.values()
  assert all(equal(first, one.values()[0])) and all(equal(first, second))


@pytest.mark.long
def test_recomputed_activations_on_both_devices():
  space = cifar_tree.cifar_tree(stage_blocks=(1,), stem_filters=8, widening=8, resolution=16, classes=5)
  one, two = Searched('one', space=space), Searched('mirrored', space=space, recompute=True)
  for i, path in enumerate(np.random.default_rng(2).integers(0, 7, (2, len(one.supernet.decisions)), np.int32)):
    one.train(*batch(4, i), path)
    two.train(*doubled(*batch(4, i)), path)
  first, second = two.values()
  assert all(equal(first, second))
  for found, expected in zip(first, one.values()[0], strict=True):
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_scores_do_not_depend_on_the_devices(one, two, tmp_path):
  two.checkpoint.read(one.checkpoint.write(str(tmp_path / 'ckpt')))
  for paths in (PATHS, PATHS[:2], PATHS[:1]):
    np.testing.assert_array_equal(two.steps.accuracies(paths, batch(13)), one.steps.accuracies(paths, batch(13)))
    batches = [batch(9, 1), batch(9, 2), batch(8, 3)]
    np.testing.assert_array_equal(two.steps.accuracies_over(paths, batches), one.steps.accuracies_over(paths, batches))


@pytest.mark.parametrize('kind', ['gate_gradients', *(pytest.param(name, marks=pytest.mark.long)
                                                      for name in ('mixture_gradients', 'sampled_gradients'))])
def test_gradients_of_gates_are_means_over_the_devices(one, two, tmp_path, kind):
  two.checkpoint.read(one.checkpoint.write(str(tmp_path / 'ckpt')))
  small = batch(6)
  arguments = {'gate_gradients': PATHS[:2], 'mixture_gradients': [MIXTURE], 'sampled_gradients': [MIXTURE]}[kind]
  (loss, found), (expected_loss, expected) = (
      getattr(each.steps, kind)(*arguments, data) for each, data in ((two, doubled(*small)), (one, small)))
  assert float(loss) == float(expected_loss)
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_a_bad_weight_is_named_on_two_devices(two):
  weight = two.supernet.choices[0].candidates[5].weights[0]
  before = weight.numpy()
  weight.assign(before * np.nan)
  with pytest.raises(ValueError, match=r'block_\d.*whose weights are not finite'):
    two.steps.accuracies(PATHS[:2], batch(4))
  weight.assign(before)


@pytest.mark.long
@pytest.mark.parametrize('optimizer', ['reinforce', 'gradient'])
def test_a_search_goes_on_with_other_devices(tmp_path, optimizer):
  """From two devices to one and back, each time with all variables of the checkpoint bit for bit."""
  components = None
  for name in ('mirrored', 'one', 'mirrored', 'one'):
    saved = {} if components is None else runs.variables(components.run)
    done = []
    observer = loop.Observer(on_epoch=done.append, should_stop=lambda done=done: len(done) == 1 and done[0]['epoch'] < 3)
    components = searches.assemble(tmp_path, f'--architecture_optimizer={optimizer}', observer=observer,
                                   devices=distribution.Devices(distribution.choose(name)))
    components.search.save()
    for key, value in saved.items():
      np.testing.assert_array_equal(runs.variables(components.run)[key], value, err_msg=key)
    finished = components.search.run()
    pairs = map(distribution.variables_of, components.steps._supernet.weights)
    assert all(np.array_equal(pair[0], pair[-1]) for pair in pairs)
  assert finished and [entry['epoch'] for entry in runs.history(components.run)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize('data, message', [
    (('--batch_size=127',), r'`batch_size=127` cannot be divided among 2 devices: give a multiple such as 126, or `distribution=one`'),
    (('--batch_size=1',), r'`batch_size=1` cannot be divided among 2 devices: give a multiple such as 2'),
    (('--validation_batch_size=51', '--architecture_optimizer=gradient'), r'`validation_batch_size=51` cannot be divided'),
])
def test_batches_that_two_devices_do_not_divide(tmp_path, data, message):
  with pytest.raises(ValueError, match=message):
    searches.assemble(tmp_path, *data, devices=distribution.Devices(distribution.choose('mirrored')))
