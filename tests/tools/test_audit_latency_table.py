"""tools/audit_latency_table.py: figures by hand, and as a user runs it."""

import dataclasses
import functools
import json

import pytest

from tests.search import runs
from tf_proxyless.app.commands import audit_table
from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import errors

PIXEL1 = runs.ROOT / 'configs' / 'latency' / 'pixel1_tflite_float.json'


audit = functools.partial(runs.tool, 'audit_latency_table', kind='light')


def change(table, factor, **fields):
  """A table whose entries are multiplied with a factor by signature."""
  entries = tuple(dataclasses.replace(entry, latency=table_lib.LatencyStats(
      'measured', median_ms=entry.latency.latency_ms * factor(entry.signature))) for entry in table.entries)
  return dataclasses.replace(table, name='other', entries=entries, **fields)


def test_kernels_that_are_slower(tmp_path):
  """7x7 costs three times as much, everything else half as much."""
  table = table_lib.load(PIXEL1)
  runtime = dataclasses.replace(table.runtime, device='Pixel 2', threads=2)
  slower = change(table, lambda signature: 3.0 if getattr(signature.op, 'kernel_size', 0) == 7 else 0.5, runtime=runtime)
  table_lib.save(dataclasses.replace(slower, entries=slower.entries[1:]), tmp_path / 'other.json')
  result = audit('pixel1_tflite_float', 'other.json', '--json', cwd=tmp_path)
  assert (result.returncode, result.stderr) == (0, '')
  found = json.loads(result.stdout)
  entries = found['entries']
  assert (entries['common'], entries['only_first'], entries['only_second']) == (71, ['conv_bn 224x224x3 -> 32 k3 s2'], [])
  assert entries['ratio'] == pytest.approx({'p5': 0.5, 'median': 0.5, 'p95': 3.0})
  assert {kernel: group['median'] for kernel, group in entries['by_kernel_size'].items()} == pytest.approx({'3': 0.5, '5': 0.5, '7': 3.0})
  assert [row['ratio'] for row in entries['deviating_most']] == pytest.approx([3.0] * 10)
  assert entries['by_expand_ratio']['1']['entries'] == 3
  assert found['networks'] is None
  assert 'lacks 1 of the 70 entries' in found['networks_missing']
  assert [found[name]['runtime']['device'] for name in ('first', 'second')] == ['Pixel 1', 'Pixel 2']


def test_a_table_is_like_itself_up_to_scale(tmp_path):
  table = table_lib.load(PIXEL1)
  table_lib.save(change(table, lambda signature: 0.8, calibration=table_lib.Calibration(1.0, 2.0, 5)), tmp_path / 'other.json')
  arguments = ('pixel1_tflite_float', 'other.json', '--networks=50')
  found = json.loads(audit(*arguments, '--json', cwd=tmp_path).stdout)
  assert found['entries']['ratio'] == pytest.approx({'p5': 0.8, 'median': 0.8, 'p95': 0.8})
  assert found['entries']['spearman'] == pytest.approx(1.0)
  assert found['networks']['networks'] == 50
  assert found['networks']['rms_percent'] == pytest.approx(0, abs=1e-9)
  assert found['networks']['spearman'] == pytest.approx(1.0)
  assert found['networks']['ratio']['median'] > 0.8  # the offset
  lines = audit(*arguments, cwd=tmp_path).stdout.splitlines()
  assert lines[1] == 'second   other: Pixel 1, float32, kernels unknown; 72 entries, measured'
  assert lines[3:5] == ['entries  72 in common, 0 only in first, 0 only in second',
                        '         second / first 0.80 (0.80 to 0.80); Spearman 1.000']
  assert lines[-1] == '         after one scale and offset 0.0 % apart (rms); Spearman 1.000'


def test_microseconds_are_told(tmp_path, capsys):
  table_lib.save(change(table_lib.load(PIXEL1), lambda signature: 1100.0), tmp_path / 'other.json')
  audit_table.main(audit_table.Config(first_table='pixel1_tflite_float', second_table=str(tmp_path / 'other.json'), networks=5))
  lines = capsys.readouterr().out.splitlines()
  assert 'warning  that is far from 1: are both tables in ms?' in lines
  assert 'are the measurements in microseconds' in lines[-1]


def test_tables_of_energy(tmp_path, capsys):
  energy = change(table_lib.load(PIXEL1), lambda signature: 2.0, unit='mJ')
  table_lib.save(energy, tmp_path / 'one.json')
  config = lambda first: audit_table.Config(first_table=first, second_table=str(tmp_path / 'one.json'), networks=5)
  audit_table.main(config(str(tmp_path / 'one.json')))
  assert ' mJ, ratio 1.00' in capsys.readouterr().out
  with pytest.raises(errors.UserError, match="energy table 'other' is in mJ; one in ms is needed"):
    audit_table.main(config('pixel1_tflite_float'))


@pytest.mark.long
def test_an_estimate_against_a_published_table(tmp_path):
  """Another phone, another precision, and still much the same order."""
  result = audit('pixel1_tflite_float', 'pixel2_int8_estimate', cwd=tmp_path)
  assert (result.returncode, result.stderr) == (0, '')
  assert 'pixel2_int8_estimate: Pixel 2, int8, kernels builtin; 70 entries, estimated (estimates are off by 30 %)' in result.stdout
  assert '         precision: float32 against int8\n' in result.stdout
  assert 'networks 1000 random ones' in result.stdout


@pytest.mark.parametrize('arguments, message', [
    ([], 'expected FIRST_TABLE SECOND_TABLE, got nothing'),
    (['pixel1_tflite_float'], 'expected FIRST_TABLE SECOND_TABLE, got pixel1_tflite_float'),
    (['a.json', 'b.json', 'c.json'], "unexpected argument 'c.json'"),
    (['pixel1', 'pixel1'], "latency table 'pixel1' is neither a file nor one of those shipped"),
    (['pixel2_int8', 'pixel1'], 'estimates are pixel2_int8_estimate, pixel2_int8_estimate_lpirc'),
    (['pixel1_tflite_float', 'empty.json'], 'empty.json: empty, not JSON'),
    (['pixel1_tflite_float', 'few.json'], "'pixel1_tflite_float' and 'other' have 2 entries in common"),
    (['pixel1_tflite_float', 'few.json', '--resolution=100'], 'resolution must be a positive multiple'),
])
def test_mistakes_are_one_line(tmp_path, arguments, message):
  (tmp_path / 'empty.json').write_text('')
  table = change(table_lib.load(PIXEL1), lambda signature: 1.0)
  table_lib.save(dataclasses.replace(table, entries=table.entries[:2]), tmp_path / 'few.json')
  result = audit(*arguments, cwd=tmp_path)
  runs.check_mistake(result, message)
