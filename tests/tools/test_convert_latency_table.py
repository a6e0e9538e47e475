"""tools/convert_latency_table.py as a user runs it."""

import dataclasses
import functools
import json

import pytest

from tests.cost.importers import test_hw_nas_bench
from tests.cost.importers import test_mobile_vision
from tests.cost.importers import test_once_for_all
from tests.cost.importers import test_tunas_model
from tests.search import runs
from tf_proxyless.app.commands import convert_table
from tf_proxyless.cost import table as table_lib
from tf_proxyless.cost.importers import official_yaml
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import published

PIXEL1 = runs.ROOT / 'configs' / 'latency' / 'pixel1_tflite_float.json'


convert = functools.partial(runs.tool, 'convert_latency_table', kind='light')


def test_there_and_back(tmp_path):
  result = convert('--input=pixel1_tflite_float', '--output=table.yaml', cwd=tmp_path)
  assert (result.returncode, result.stderr, result.stdout) == (0, '', 'table.yaml: 72 entries, published\n')
  table = table_lib.load(PIXEL1)
  result = convert('--input=table.yaml', '--output=table.json', '--device=Pixel 1', '--precision=float32', '--threads=1',
                   '--benchmark_tool=TensorFlow Lite benchmark_model', '--name=pixel1_tflite_float', f'--source={table.source}',
                   '--provenance=published', cwd=tmp_path)
  assert (result.returncode, result.stderr) == (0, '')
  assert table_lib.load(tmp_path / 'table.json') == table


def test_tables_of_others(tmp_path):
  """The keys of the file tell Once-for-All's, TuNAS's model is a Python file that is not run, or decoded."""
  stated = ('--device=phone', '--precision=float32', '--provenance=published')
  (tmp_path / 'ofa.yaml').write_bytes(b'\xef\xbb\xbf' + test_once_for_all.TEXT.replace('\n', '\r\n').encode())
  (tmp_path / 'cost_model_data.py').write_text(test_tunas_model.in_python())
  (tmp_path / 'decoded.json').write_text(test_tunas_model.in_json())
  for name, entries in (('ofa.yaml', 6), ('cost_model_data.py', 72), ('decoded.json', 72)):
    result = convert(f'--input={name}', f'--output={name}.json', *stated, cwd=tmp_path)
    assert (result.returncode, result.stderr, result.stdout) == (0, '', f'{name}.json: {entries} entries, published\n')
    assert table_lib.load(tmp_path / f'{name}.json').runtime.device == 'phone'
  (tmp_path / 'eyeriss.json').write_text(json.dumps(test_hw_nas_bench.TABLE))
  result = convert('--input=eyeriss.json', '--output=energy.json', *stated, '--unit=mJ', cwd=tmp_path)
  assert (result.returncode, result.stderr) == (0, '') and table_lib.load(tmp_path / 'energy.json').unit == 'mJ'
  result = convert('--input=decoded.json', '--output=x.yaml', *stated, cwd=tmp_path)
  runs.check_mistake(result, 'the official YAML form has no key for conv_bn 224x224x3 -> 32 k3 s2 relu')


def test_a_table_of_operators_is_for_a_space(tmp_path):
  stated = ('--device=Galaxy S8', '--precision=int8', '--provenance=published')
  (tmp_path / 'lut.json').write_text('\n'.join([*test_mobile_vision.README, test_mobile_vision.line('Int8ConvRelu', [[1, 112, 112, 16], [
      16, 1, 1, 16], [16]], 100.0), test_mobile_vision.line('Int8ConvRelu', [[1, 112, 112, 16], [16, 3, 3, 1], [16]], 50.0),
      test_mobile_vision.line('Int8Add', [[1, 112, 112, 16]] * 2, 7.0)]))
  result = convert('--input=lut.json', '--output=s8.json', '--search_space=fbnet', *stated, cwd=tmp_path)
  first, second, *rest = result.stdout.splitlines()
  table = table_lib.load(tmp_path / 's8.json')
  assert (result.returncode, result.stderr, first) == (0, '', f's8.json: {len(table.entries)} entries, published')
  assert [entry.latency.latency_ms for entry in table.entries] == [pytest.approx(0.257)]
  missing = len(network_lib.op_signatures(published.SPACES['fbnet']())) - 1
  assert second.startswith(f'{missing} operations of the search space have no entry, for want of these operators')
  assert '    1 Int8ConvRelu with input [[1, 224, 224, 3], [16, 3, 3, 3], [16]] and stride 2' in rest
  assert [int(text.split()[0]) for text in rest] == sorted((int(text.split()[0]) for text in rest), reverse=True)
  result = convert('--input=pixel1_tflite_float', '--output=a.yaml', '--search_space=fbnet', cwd=tmp_path)
  runs.check_mistake(result, 'a search space is only asked for by a table of single operators')


def test_microseconds_are_told(tmp_path, capsys):
  table = table_lib.load(PIXEL1)
  scaled = [dataclasses.replace(entry, latency=table_lib.LatencyStats('published', mean_ms=1000 * entry.latency.latency_ms))
            for entry in table.entries]
  for name, entries in (('us', scaled), ('ms', table.entries)):
    official_yaml.save(dataclasses.replace(table, entries=tuple(entries)), tmp_path / f'{name}.yaml')
    convert_table.main(convert_table.Config(input=str(tmp_path / f'{name}.yaml'), output=str(tmp_path / f'{name}.json'), device='Pixel 1',
                                            precision='float32', provenance='published'))
    assert ('are these microseconds?' in capsys.readouterr().out) == (name == 'us')


def test_a_calibration_that_is_lost_is_told(tmp_path):
  table = dataclasses.replace(table_lib.load(PIXEL1), calibration=table_lib.Calibration(0.9, -1.5, 5))
  table_lib.save(table, tmp_path / 'table.json')
  result = convert('--input=table.json', '--output=table.yml', cwd=tmp_path)
  assert result.stdout.splitlines()[1] == 'the calibration stands in a comment only: ms = -1.5 + 0.9 * sum'


STATED = ('--device=mine', '--precision=int8', '--provenance=measured')


@pytest.mark.parametrize('arguments, message', [
    ([], '--input is required'),
    (['--input=table.yaml'], '--output is required'),
    (['--input=table.yaml', '--output=a.yaml', *STATED], "--output must end in .json for this input, got 'a.yaml'"),
    (['--input=pixel1_tflite_float', '--output=a.json'],
     "pixel1_tflite_float is a table of ours: --output must end in .yaml or .yml, got 'a.json'"),
    (['--input=pixel1_tflite_float', '--output=a.yaml', '--device=b'], 'a table of ours says by itself what --device would'),
    (['--input=table.yaml', '--output=a.json'], 'table.yaml does not say its device: --device is required'),
    (['--input=table.yaml', '--output=a.json', *STATED[:2]], '--provenance is required'),
    (['--input=table.yaml', '--output=a.json', *STATED], "table.yaml:3: mean must be a finite number, at least 0, got '-1.0'"),
    (['--input=missing.yaml', '--output=a.json', *STATED], 'missing.yaml: No such file or directory'),
    (['--input=missing.json', '--output=a.yaml'], "latency table 'missing.json' is neither a file nor one of those shipped"),
    (['--input=pixel1_tflite_float', '--output=nowhere/a.yaml'], 'No such file or directory'),
])
def test_mistakes_are_one_line(tmp_path, arguments, message):
  (tmp_path / 'table.yaml').write_text('Logits-input:7x7x1280-output:1000:\n  count: 5\n  mean: -1.0\n')
  result = convert(*arguments, cwd=tmp_path)
  runs.check_mistake(result, message)
  assert [path.name for path in tmp_path.iterdir()] == ['table.yaml']
