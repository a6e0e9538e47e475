"""tools/measure.py: what is measured lands in the card; mistakes are one line."""

import functools
import os
import pathlib
import shutil
import tempfile

import pytest

from tests.android_benchmark import processes
from tests.reliability import processes as reliability_processes
from tests.search import runs
from tf_proxyless.app import exporter
from tf_proxyless.measure import model_card
from tf_proxyless.app import models
from tf_proxyless.app import options
from tf_proxyless.app.commands import measure


run = functools.partial(runs.tool, 'measure')


@pytest.fixture(scope='module')
def unmeasured(trained, tmp_path_factory):
  """A float file with its card, made in this process and not measured; its accuracy is not in the card, but known."""
  found, request = models.find(trained), exporter.Request('none')
  made = exporter.make(request, 'float', exporter.load(found), None, None)
  content = exporter.finish(made, found.architecture, list('0123456789'), request)
  path = tmp_path_factory.mktemp('exported') / 'digits.tflite'
  path.write_bytes(content)
  model_card.save(exporter.make_card(made, content, found.architecture, request), model_card.path_for(path))
  return path, found.results['test_top1']


@pytest.fixture
def exported(unmeasured, tmp_path):
  """A copy of it, for measuring adds to the card."""
  path, accuracy = unmeasured
  shutil.copy(model_card.path_for(path), tmp_path)
  return pathlib.Path(shutil.copy(path, tmp_path)), accuracy


@pytest.mark.long
def test_latency_and_accuracy_land_in_the_card(exported, data_dir):
  path, accuracy = exported
  fast = (f'--model={path}', '--rounds=2', '--min_secs=0.02', '--max_drift_percent=500')
  result = run(*fast, '--dataset=digits', f'--data_dir={data_dir}')
  assert result.returncode == 0, result.stderr
  card = model_card.load(model_card.path_for(path))
  measurement, = card.measured
  assert measurement.runtime.precision == 'float32' and measurement.runtime.kernels == 'builtin' and measurement.rounds == 2
  assert 0 < measurement.p5_ms <= measurement.latency_ms <= measurement.p95_ms
  assert (card.dataset, card.test_images) == ('digits', 360) and card.accuracies['tflite'] == pytest.approx(accuracy, abs=1e-6)
  assert model_card.describe_measurement(measurement) in result.stdout and f'{accuracy:.2%} of 360 test images' in result.stdout
  assert not path.with_name('digits_measure').exists()
  again = run(*fast, '--noaccuracy')
  assert again.returncode == 0, again.stderr
  assert model_card.load(model_card.path_for(path)).measured[0] == measurement
  assert len(model_card.load(model_card.path_for(path)).measured) == 2


@pytest.mark.long
def test_nothing_is_left_behind(exported, tmp_path, monkeypatch):
  """Neither in this process, nor beside it, nor beside the model."""
  path, _ = exported
  (tmp_path / 'temporary').mkdir()
  monkeypatch.setenv('TMPDIR', str(tmp_path / 'temporary'))
  monkeypatch.setattr(tempfile, 'tempdir', None)  # asks again
  monkeypatch.setenv('LEAK_TEST', tmp_path.name)
  config = options.make(measure.Config, {'model': str(path), 'rounds': 1, 'min_secs': 0.01, 'max_drift_percent': 500.0, 'accuracy': False})
  before = reliability_processes.sample(os.getpid())
  measure.main(config)
  after = reliability_processes.sample(os.getpid())
  assert (after.descriptors, after.children) == (before.descriptors, before.children)
  assert len(model_card.load(model_card.path_for(path)).measured) == 1
  assert processes.marked(f'LEAK_TEST={tmp_path.name}') == []
  left = sorted(found.relative_to(tmp_path).as_posix() for found in tmp_path.rglob('*'))
  assert left == ['digits.tflite', 'digits_card.json', 'temporary']


@pytest.mark.long
def test_mistakes_are_one_line(exported, tmp_path):
  path, _ = exported
  (tmp_path / 'alone.tflite').write_bytes(b'TFL3')
  (tmp_path / 'other.tflite').write_bytes(b'TFL3')
  (tmp_path / 'other_card.json').write_text(model_card.path_for(path).read_text())
  for arguments, message in [
      ([], '--model is required'),
      ([f'--model={tmp_path}/none.tflite'], 'none.tflite: No such file or directory'),
      ([f'--model={tmp_path}/alone.tflite'], 'there is no'),
      ([f'--model={tmp_path}/other.tflite'], 'is of another file than'),
      ([f'--model={path}', '--device=phone'],
       "--device must be 'host', 'adb', 'adb:SERIAL', or 'adb:ONE,OTHER' for phones of one model, got 'phone'"),
      ([f'--model={path}', '--device=adb'], '--device=adb needs --benchmark_binary'),
      ([f'--model={path}', '--latency_table=pixel2_int8_estimate'], "precision 'int8' instead of 'float32'"),
  ]:
    runs.check_mistake(run(*arguments), message)
