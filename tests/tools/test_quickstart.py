"""tools/quickstart.py: the whole way on cluttered digits, as the README starts it; and its parts."""

import json
import os
import pathlib
import statistics

import pytest

from tests.search import runs
from tf_proxyless.app.commands import quickstart


def stage(name, *arguments):
  return quickstart.Stage(name, ('-c', 'import sys; open(sys.argv[1], "a").write("x"); sys.exit(int(sys.argv[2]))', *arguments))


def test_a_finished_stage_is_not_run_again(tmp_path, capfd):
  log = tmp_path / 'log'
  for _ in range(2):
    quickstart.Pipeline(tmp_path).run(stage('one', str(log), '0'))
  assert log.read_text() == 'x'
  quickstart.Pipeline(tmp_path).run(stage('one', str(log), '00'))  # another command
  assert log.read_text() == 'xx'
  assert capfd.readouterr().out.count('== one') == 2


def test_a_stage_that_fails_is_told_and_run_again(tmp_path):
  log = tmp_path / 'log'
  for _ in range(2):
    with pytest.raises(ValueError, match='one ended with exit code 3, see above; the same command continues'):
      quickstart.Pipeline(tmp_path).run(stage('one', str(log), '3'))
  assert log.read_text() == 'xx'


def test_the_table_says_what_was_gained():
  row = {'network': 'found', 'float_accuracy': 0.82, 'int8_accuracy': 0.8175, 'predicted_ms': 0.05, 'measured_ms': 0.055,
         'size_bytes': 51234, 'macs': 612345, 'test_images': 4000}
  random = [{'network': f'random {i}', 'float_accuracy': accuracy, 'predicted_ms': 0.05, 'macs': 7e5}
            for i, accuracy in enumerate((0.79, 0.8, 0.83), 1)]
  text = quickstart.to_text([row, *random])
  assert 'found         82.00 %  81.75 %    0.050 ms   0.055 ms    51 kB     0.61' in text
  assert 'random 1      79.00 %        -    0.050 ms          -        -     0.70' in text
  assert '+1.33 points over the mean of 3 random networks of the same predicted latency, better than 2 of them' in text
  assert 'measured +10.0 % from the prediction' in text


@pytest.mark.long
def test_the_whole_way(tmp_path, data_dir):
  """Every claim of the README's main job.

  Where it was run already, QUICKSTART_FLAGS are its flags: the same command then only says its results again.
  """
  fresh = f'--work_dir={tmp_path / "work"} --data_dir={data_dir} --cache_dir={tmp_path / "cache"}'
  arguments = os.environ.get('QUICKSTART_FLAGS', fresh).split()
  work = pathlib.Path(arguments[0].removeprefix('--work_dir='))
  result = runs.tool('quickstart', *arguments, cwd=tmp_path, limit_s=1700)
  assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
  found, *random = json.loads((work / 'results.json').read_text())['networks']
  assert found['network'] == 'found' and len(random) == 4
  assert found['test_images'] == 4000 and found['float_accuracy'] >= 0.75
  assert abs(found['int8_accuracy'] - found['float_accuracy']) <= 0.02
  assert all(abs(other['predicted_ms'] / found['predicted_ms'] - 1) < 0.1 for other in random)
  assert found['float_accuracy'] > statistics.fmean(other['float_accuracy'] for other in random)  # as in ten of ten searches, by 3 points
  assert abs(found['measured_ms'] / found['predicted_ms'] - 1) < 0.1  # 0.02 was never passed
  assert 'points over the mean of 4 random networks' in result.stdout
  page = next((work / 'compare' / 'searches').glob('*/report.html')).read_text(encoding='utf-8')
  assert 'Files made of it' in page and 'found' in page
  again = runs.tool('quickstart', *arguments, cwd=tmp_path, limit_s=120)
  assert again.returncode == 0 and '==' not in again.stdout
