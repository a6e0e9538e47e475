"""Mistyped datasets are told before TensorFlow is loaded."""

import subprocess
import sys

import pytest
import tensorflow_datasets as tfds

from tf_proxyless.data import names as dataset_names


def test_embedded_ones_are_those_of_the_data_room():
  from tf_proxyless.data import cluttered_digits
  from tf_proxyless.data import digits
  assert dataset_names.EMBEDDED == (digits.Digits.name, cluttered_digits.ClutteredDigits.name)


def test_channels_that_are_known_without_opening():
  names = {'fashion_mnist': 1, 'emnist/letters:3.1.0': 1, 'digits': 3, 'cluttered_digits:1.0.0': 3, 'cifar10': 3, 'folder:mnist': None}
  assert {name: dataset_names.channels(name) for name in names} == names


def test_names_that_only_the_user_has(tmp_path):
  """A folder, a dataset that was prepared by other means, and a builder of one's own that was imported."""
  dataset_names.check(f'folder:{tmp_path}')
  (tmp_path / 'my_prepared').mkdir()
  dataset_names.check('my_prepared:1.0.0', str(tmp_path))
  with pytest.raises(ValueError, match="unknown dataset 'my_own_flowers'"):
    dataset_names.check('my_own_flowers', str(tmp_path))
  type('MyOwnFlowers', (tfds.core.GeneratorBasedBuilder,), {
      '__module__': __name__, 'VERSION': tfds.core.Version('1.0.0'),
      **dict.fromkeys(('_info', '_split_generators', '_generate_examples'), lambda self: None)})
  dataset_names.check('my_own_flowers', str(tmp_path))


@pytest.mark.parametrize('name, message', [
    ('digitz', "unknown dataset 'digitz': accepted are digits, cluttered_digits, folder:PATH and .*; did you mean 'digits'\\?$"),
    ('cifra10:3.0.2', "did you mean 'cifar10'\\?$"),
    ('huggingface:mnist', "unknown dataset 'huggingface:mnist'"),
    ('../digits', "unknown dataset '../digits'"),
    ('', "unknown dataset ''"),
    ('folder:/no/such', "--dataset=folder:/no/such: '/no/such' is not a folder"),
])
def test_what_is_refused(name, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    dataset_names.check(name, str(tmp_path))


def test_tensorflow_is_not_loaded():
  code = 'import sys\nfrom tf_proxyless.data import names\nnames.check("cifar10")\nprint("tensorflow" in sys.modules)'
  result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
  assert (result.stdout, result.stderr, result.returncode) == ('False\n', '', 0)
