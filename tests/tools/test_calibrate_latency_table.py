"""tools/calibrate_latency_table.py as a user runs it."""

import functools
import json

import pytest

from tests.search import runs
from tf_proxyless.app.commands import calibrate_table
from tf_proxyless.cost import mobilenets
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import pixel2
from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import errors
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import proxyless
from tf_proxyless.space import published
from tf_proxyless.space import schema

ESTIMATE = '--latency_table=pixel2_int8_estimate'
NETWORKS = {
    'small': mobilenets.mobilenet_v2(0.5, 160), 'medium': mobilenets.mobilenet_v2(1.0, 224),
    'mobile': published.network('proxyless_mobile')}


calibrate = functools.partial(runs.tool, 'calibrate_latency_table', kind='light')


def server_ms(net):
  return model_lib.from_latency_table(net, pixel2.named_table(pixel2.SERVER, net)).fixed


@pytest.fixture
def folder(tmp_path):
  """Architectures, and how long they take on a phone that is 0.8 times the estimate and 2 ms."""
  measured = tmp_path / 'measured'
  measured.mkdir()
  for name, net in NETWORKS.items():
    io.save_architecture(io.Architecture(net, {}), measured / f'{name}.json')
  offset = 2.0 + 0.8 * pixel2.load_estimate().per_network_ms
  latencies = {name: offset + 0.8 * (server_ms(net) - pixel2.load_estimate().per_network_ms) for name, net in NETWORKS.items()}
  lines = ['# my phone', f'small.json,{latencies["small"]}', '', f'medium,  {latencies["medium"]}', f'mobile,{latencies["mobile"]}']
  (measured / 'mine.csv').write_text('\n'.join(lines) + '\n')
  german = [line if line.startswith('#') else line.replace(',', ';').replace('.', ',') for line in lines]
  (measured / 'german.csv').write_text('\n'.join(german).replace('small,json', 'small.json'), encoding='utf-8-sig', newline='\r\n')
  body = {'schema': 'android_benchmark/measurements', 'version': 1, 'device': {'model': 'Pixel 2'},
          'settings': {'threads': 1, 'kernels': 'builtin', 'core_mask': '80'},
          'models': {name: {'median_ms': latency_ms} for name, latency_ms in latencies.items()}}
  (measured / 'measurements.json').write_text(json.dumps(body))
  return tmp_path


@pytest.mark.parametrize('measurements', ['mine.csv', 'german.csv', 'measurements.json'])
def test_a_phone_that_keeps_to_the_estimate(folder, measurements):
  result = calibrate(ESTIMATE, f'--measurements=measured/{measurements}', '--output=mine.json',
                     '--width_multiplier=0.5', cwd=folder)
  assert (result.returncode, result.stderr) == (0, '')
  assert 'from 3 networks; each left out in turn is missed by 0.0 % (rms)' in result.stdout
  assert 'note:' not in result.stdout  # the published network has 7x7 kernels
  table = table_lib.load(folder / 'mine.json')
  space = proxyless.proxyless(width_multiplier=0.5)
  table.check_covers(space)
  table.check_runtime(device='Pixel 2', precision='int8', kernels='builtin')
  assert (table.calibration.scale, table.calibration.networks) == (pytest.approx(0.8, rel=1e-6), 3)
  assert table.provenance == 'estimated' and table.name == 'pixel2_int8_estimate, calibrated'
  net = schema.resolve(space, schema.Genotype({path: 0 for path, _ in schema.walk(space)}))
  assert model_lib.from_latency_table(net, table).fixed == pytest.approx(2.0 + 0.8 * server_ms(net), rel=1e-6)


@pytest.mark.parametrize('lines, encoding', [
    (['network,latency (ms)', 'small.json,12.5', 'medium.json,40 ms', 'proxyless_cpu,1e1'], 'utf-16'),  # PowerShell
    (['Netz;ms', 'small.json;12,5', 'medium.json;40,0\xa0ms', 'proxyless_cpu;10'], 'utf-8-sig'),
    (['small.json\t12,5 ', ' medium.json\t40.0', 'proxyless_cpu\t10'], 'utf-8'),
])
def test_files_as_people_have_them(folder, lines, encoding):
  path = folder / 'measured' / 'theirs.csv'
  path.write_bytes('\r\n'.join(lines).encode(encoding))
  assert [(item.name, item.latency_ms) for item in calibrate_table.read_csv(path)] == [
      ('small.json', 12.5), ('medium.json', 40.0), ('proxyless_cpu', 10.0)]


@pytest.mark.parametrize('cell', ['12 us', '12.5µs', '"1,234.5"', '"1,234"', '1.234.5', '0x10', '1_000', 'nan', '', '12 5'])
def test_other_units_and_thousands_are_no_milliseconds(folder, cell):
  path = folder / 'measured' / 'theirs.csv'
  path.write_text(f'proxyless_cpu,{cell}\n')
  with pytest.raises(ValueError, match='theirs.csv:1: expected a network and its milliseconds, got '):
    calibrate_table.read_csv(path)


def test_microseconds_are_refused(folder):
  body = json.loads((folder / 'measured' / 'measurements.json').read_text())
  for figures in body['models'].values():
    figures['median_ms'] *= 1000
  (folder / 'measured' / 'other.json').write_text(json.dumps(body))
  with pytest.raises(errors.UserError, match='are the measurements in microseconds'):
    calibrate_table.main(calibrate_table.Config(
        latency_table='pixel2_int8_estimate', measurements=str(folder / 'measured' / 'other.json'), output=str(folder / 'mine.json')))
  assert not (folder / 'mine.json').exists()


def test_millijoules(folder, capsys):
  """A table of energy is calibrated by millijoules, from a CSV file and from what android_benchmark measured."""
  signatures = dict.fromkeys(signature for net in NETWORKS.values() for signature in network_lib.op_signatures(net))
  entries = tuple(table_lib.Entry(signature, table_lib.LatencyStats('measured', 0.5 + i % 3)) for i, signature in enumerate(signatures))
  table = table_lib.LatencyTable('energy', table_lib.Runtime('Pixel 2', 'int8', 'builtin', 1), entries, unit='mJ')
  table_lib.save(table, folder / 'energy.json')
  millijoules = {name: 3 + 1.5 * model_lib.entry_sum(table, net) for name, net in NETWORKS.items()}
  (folder / 'measured' / 'theirs.csv').write_text('network,mJ\n' + ''.join(f'{name},{value} mJ\n' for name, value in millijoules.items()))
  body = json.loads((folder / 'measured' / 'measurements.json').read_text())
  path = folder / 'measured' / 'mj.json'
  config = lambda name: calibrate_table.Config(latency_table=str(folder / 'energy.json'), measurements=str(folder / 'measured' / name),
                                               output=str(folder / 'calibrated.json'))
  path.write_text(json.dumps(body))
  with pytest.raises(errors.UserError, match='mj.json: measured without energy; android_benchmark measures it with --unit=mJ'):
    calibrate_table.main(config('mj.json'))
  for name, figures in body['models'].items():
    figures['median_mj'] = millijoules[name]
  path.write_text(json.dumps(body))
  for name in ('theirs.csv', 'mj.json'):
    calibrate_table.main(config(name))
    found = table_lib.load(folder / 'calibrated.json')
    assert (found.unit, found.calibration.scale, found.calibration.offset_ms) == ('mJ', pytest.approx(1.5), pytest.approx(3))
    assert 'mJ = 3.000 + 1.5000 * sum, from 3 networks' in capsys.readouterr().out
  (folder / 'measured' / 'theirs.csv').write_text('small,4 ms\n')
  with pytest.raises(errors.UserError, match='theirs.csv:1: expected a network and its millijoules, got .small,4 ms'):
    calibrate_table.main(config('theirs.csv'))


def test_a_table_that_was_measured_and_a_space_from_a_file(folder):
  """Published networks are known by name; nothing is written unless asked for; without 7x7 there is a note."""
  io.save_search_space(proxyless.proxyless(resolution=96), folder / 'search_space.json')
  (folder / 'three.csv').write_text('measured/small.json,13\nmeasured/medium.json,44\nproxyless_cpu,50\n')
  result = calibrate('--latency_table=pixel2_int8_estimate_lpirc', '--measurements=three.csv', '--search_space_file=search_space.json',
                     cwd=folder)
  assert (result.returncode, result.stderr) == (0, '')
  assert 'note: none of these networks has a 7x7 kernel' in result.stdout
  assert result.stdout.splitlines()[3].startswith('proxyless_cpu')
  assert sorted(path.name for path in folder.iterdir()) == ['measured', 'search_space.json', 'three.csv']


@pytest.mark.parametrize('arguments, message', [
    (['--measurements=measured/mine.csv'], '--latency_table is required'),
    ([ESTIMATE], '--measurements is required'),
    (['--latency_table=pixel2', '--measurements=measured/mine.csv'], "latency table 'pixel2' is neither"),
    ([ESTIMATE, '--measurements=missing.csv'], 'missing.csv: No such file or directory'),
    ([ESTIMATE, '--measurements=two.csv'], 'at least 3 networks, got 2: proxyless_cpu, proxyless_gpu'),
    ([ESTIMATE, '--measurements=words.csv'], "words.csv:1: expected a network and its milliseconds, got "),
    ([ESTIMATE, '--measurements=other.csv'], "unknown network 'proxyless'"),
    ([ESTIMATE, '--measurements=empty.json'], 'empty, not JSON'),
    ([ESTIMATE, '--measurements=odd.json'], "schema and version must be 'android_benchmark/measurements'"),
    ([ESTIMATE, '--measurements=xnnpack.json'], "measured with kernels 'xnnpack', but the table is for 'builtin'"),
    ([ESTIMATE, '--measurements=pixel3.json'], "measured with device 'Pixel 3', but the table is for 'Pixel 2'"),
    (['--latency_table=pixel1_tflite_float', '--measurements=measured/mine.csv'], 'lacks'),
])
def test_mistakes_are_one_line(folder, arguments, message):
  (folder / 'two.csv').write_text('proxyless_cpu,50\nproxyless_gpu,60\n')
  (folder / 'words.csv').write_text('proxyless_cpu,fast\n')
  (folder / 'other.csv').write_text('proxyless,50\n')
  (folder / 'empty.json').write_text('')
  (folder / 'odd.json').write_text('{"schema": "android_benchmark/measurements"}')
  text = (folder / 'measured' / 'measurements.json').read_text()
  (folder / 'xnnpack.json').write_text(text.replace('builtin', 'xnnpack'))
  (folder / 'pixel3.json').write_text(text.replace('Pixel 2', 'Pixel 3'))
  result = calibrate(*arguments, '--output=mine.json', cwd=folder)
  runs.check_mistake(result, message)
  assert not (folder / 'mine.json').exists()
