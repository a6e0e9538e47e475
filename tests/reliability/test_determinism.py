"""Same seed, same machine, same result: from one process to the next, and however many threads prepare the data."""

import numpy as np
import pytest
import tensorflow as tf

from tests import suites
from tests.reliability import searches
from tests.search import runs as search_runs
from tests.search import test_resume
from tests.tools import test_derive
from tests.tools import test_quantize
from tests.train import runs as train_runs
from tests.train import test_main as train_main
from tf_proxyless.data import pipelines
from tf_proxyless.data import preprocessing
from tf_proxyless.data import sources
from tf_proxyless.data import splits
from tf_proxyless.search import run_directory


@pytest.mark.parametrize('transform', suites.few([preprocessing.Plain(8), preprocessing.ImageNet(16, 'strong')], 1))
def test_batches_do_not_depend_on_the_number_of_threads(data_dir, transform):
  split = splits.make(sources.open_dataset('digits', data_dir), 287, seed=0)

  def batches(threads):
    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    training = pipelines.training_batches(split, transform, 50, seed=3, epoch=1).take(6)
    validation = pipelines.validation_stream(split, transform, 50, seed=3).take(6)
    return [(images.numpy(), labels.numpy()) for images, labels in training.concatenate(validation).with_options(options)]

  one = batches(1)
  for threads in (2, 5):
    for (images, labels), (others, other_labels) in zip(one, batches(threads), strict=True):
      np.testing.assert_array_equal(images, others)
      np.testing.assert_array_equal(labels, other_labels)


@pytest.mark.long
def test_two_searches(tmp_path, data_dir):
  found = []
  for name in ('one', 'two'):
    search = searches.assemble(tmp_path / name, f'--data_dir={data_dir}', '--warmup_epochs=0', '--search_epochs=2', '--seed=7')
    assert search.search.run()
    found.append((search_runs.history(search.run), search_runs.variables(search.run), search.run.samples.read_bytes()))
  (history, variables, samples), two = found
  assert (history, samples) == (two[0], two[2])
  assert variables.keys() == two[1].keys()
  for name, value in variables.items():
    np.testing.assert_array_equal(value, two[1][name], err_msg=name)


@pytest.mark.long
@pytest.mark.parametrize('optimizer, required', [('reinforce', '0'), pytest.param('gradient', '1', marks=pytest.mark.by_hand)])
def test_searches_and_derivations(tmp_path, data_dir, monkeypatch, optimizer, required):
  """With and without TensorFlow's operations that are the same on every device; derivations from both."""
  monkeypatch.setenv('TF_DETERMINISTIC_OPS', required)
  runs = [run_directory.RunDirectory(tmp_path / name) for name in ('one', 'two')]
  for run in runs:
    test_resume.finish(test_resume.flags_of(run.path, data_dir, optimizer))
  test_resume.check_equal(*runs)
  for by in ('probability', 'evidence'):
    outputs = [tmp_path / f'{run.path.name}_{by}.json' for run in runs]
    printed = []
    for run, output in zip(runs, outputs):
      result = test_derive.derive(f'--run_dir={run.path}', '--max_macs=100000', f'--by={by}', f'--output={output}')
      assert result.returncode == 0, result.stderr
      printed.append(result.stdout.replace(str(output), ''))
    assert outputs[0].read_bytes() == outputs[1].read_bytes() and printed[0] == printed[1]


@pytest.mark.long
def test_trainings_and_quantizations(tmp_path, data_dir):
  architecture = train_runs.architecture(tmp_path / 'tiny.json')
  trained = [train_main.finish(tmp_path / name, data_dir, architecture, '--average_momentum=0.9')[0] for name in ('one', 'two')]
  train_main.check_equal(*trained)
  quantized = [test_quantize.finish(tmp_path / f'int8_{run.path.name}', trained[0].path, data_dir)[0] for run in trained]
  test_quantize.check_equal(*quantized)
