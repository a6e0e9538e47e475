"""Which latency table a search gets, and when it is refused; the table of this machine is really measured."""

import dataclasses
import json

import pytest

from tf_proxyless.app import config as config_lib
from tf_proxyless.app import flags
from tf_proxyless.app import options
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.app import tables
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import pixel2
from tf_proxyless.cost import table as table_lib
from tf_proxyless.report.document import cards
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import proxyless

# Networks of such different size that noise cannot reverse their order.
SMALL = ('--resolution=8', '--stem_filters=8', '--stem_strides=1', '--first_block_filters=8', '--stage_filters=8', '--stage_blocks=6',
         '--stage_strides=1', '--head_filters=16', '--dataset=digits')


def parse(*arguments):
  return flags.from_flagfile(arguments, config_lib.SearchConfig)


def make_space(config, classes=10):
  return problem_lib.make_space(config.space, classes)


def write_table(path, provenance='measured', space=None, drop=0):
  signatures = network_lib.op_signatures(space or proxyless.proxyless())
  entries = tuple(table_lib.Entry(signature, table_lib.LatencyStats(provenance, median_ms=1.0 + i))
                  for i, signature in enumerate(signatures[drop:]))
  table = table_lib.LatencyTable('written', table_lib.Runtime('Pixel 9', 'int8', 'builtin'), entries)
  table_lib.save(table, path)
  return table


def test_a_target_in_macs_needs_no_table():
  config = parse('--target_macs=1e6')
  assert tables.is_ready(config, None)
  assert tables.load(config, None) == {}


def test_a_file_is_ready_before_the_classes_are_known(tmp_path):
  table = write_table(tmp_path / 'table.json')
  config = parse('--target_latency_ms=10', f'--latency_table={tmp_path / "table.json"}')
  assert tables.is_ready(config, None)
  assert tables.load(config, None) == tables.load(config, proxyless.proxyless()) == {'latency_table': table}


@pytest.mark.parametrize('flag, named', [
    ('--expected_device=Pixel 2', "device 'Pixel 9' instead of 'Pixel 2'"), ('--expected_precision=float32', "precision 'int8' instead"),
    ('--expected_kernels=xnnpack', "kernels 'builtin' instead of 'xnnpack'")])
def test_another_runtime_is_refused(tmp_path, flag, named):
  write_table(tmp_path / 'table.json')
  config = parse('--target_latency_ms=10', f'--latency_table={tmp_path / "table.json"}', flag)
  with pytest.raises(ValueError, match=named):
    tables.load(config, None)


def test_estimates_must_be_allowed(tmp_path):
  write_table(tmp_path / 'table.json', 'estimated')
  arguments = ['--target_latency_ms=10', f'--latency_table={tmp_path / "table.json"}']
  with pytest.raises(ValueError, match=r"'written' is not measured \(estimated\); add `allow_estimates`"):
    tables.load(parse(*arguments), None)
  assert tables.load(parse(*arguments, '--allow_estimates'), None)['latency_table'].provenance == 'estimated'


def test_missing_entries_are_named_or_estimated(tmp_path):
  space = proxyless.proxyless()
  write_table(tmp_path / 'table.json', drop=2)
  arguments = ['--target_latency_ms=10', f'--latency_table={tmp_path / "table.json"}']
  with pytest.raises(ValueError, match=r'lacks 2 of the 70 entries .*: conv_bn 224x224x3 -> 32 k3 s2; mbconv .*`allow_estimates`'):
    tables.load(parse(*arguments), space)
  filled = tables.load(parse(*arguments, '--allow_estimates'), space)['latency_table']
  assert filled.provenance == '68 measured, 2 estimated'
  assert not filled.missing(network_lib.op_signatures(space))


def test_what_rests_on_estimates_says_so(tmp_path):
  config = parse('--target_latency_ms=48', '--latency_table=pixel2_int8_estimate', '--allow_estimates')
  plan = problem_lib.SearchProblem.from_config(config, make_space(config, 1000))
  assert plan.format_cost(48.0) == '48.00 ms (estimated)'
  assert plan.format_cost(3e8, 'macs') == '300.00 M MACs'
  assert 'an estimated entry may be 30 % off' in problem_lib.describe_table(plan.table)


@pytest.mark.parametrize('name', pixel2.NAMES)
def test_an_estimate_waits_for_the_space(name):
  config = parse('--target_latency_ms=48', f'--latency_table={name}', '--allow_estimates', '--resolution=160')
  assert not tables.is_ready(config, None)
  space = make_space(config, 7)
  assert tables.is_ready(config, space)
  assert tables.load(config, space)['latency_table'] == pixel2.named_table(name, space)


@pytest.mark.parametrize('fraction', [0.0, 0.25, 1.0])
def test_a_fraction_is_of_the_range(fraction):
  config = parse('--target_latency_fraction=0.5', '--latency_table=pixel1_tflite_float')
  config = options.replace(config, target_latency_fraction=fraction)
  plan = problem_lib.SearchProblem.from_config(config, make_space(config, 1000))
  assert plan.target == pytest.approx(29.61 + fraction * (191.033 - 29.61))
  assert plan.constrained == (fraction < 1)


@pytest.mark.parametrize('fraction', ['-0.1', '0', '1.01'])
def test_a_fraction_outside_the_range_is_refused(fraction):
  config = parse('--dataset=digits', '--run_dir=x', f'--target_latency_fraction={fraction}', '--latency_table=host')
  with pytest.raises(ValueError, match='`target_latency_fraction` must be above 0 and at most 1'):
    config.check()


def host_flags(tmp_path, *arguments):
  return parse(*SMALL, '--latency_table=host', '--target_latency_fraction=0.5', f'--cache_dir={tmp_path / "cache"}',
               f'--run_dir={tmp_path / "run"}', *arguments)


@pytest.mark.long
def test_this_machine_is_measured_once_for_a_space_and_a_runtime(tmp_path, capfd, monkeypatch):
  monkeypatch.setattr(tables, '_OPTIONS', (*tables._OPTIONS, '--max_drift_percent=1000'))  # else measured often beside other work
  config = host_flags(tmp_path)
  space = make_space(config)
  assert not tables.is_ready(config, None) and not tables.is_ready(config, space)
  table = tables.measure_host(config, space)
  assert (table.provenance, table.runtime.precision, table.runtime.kernels, table.runtime.threads) == ('measured', 'int8', 'builtin', 1)
  assert table.runtime.benchmark_tool == 'litert_benchmark' and table.calibration.networks == 5 and table.validation.networks == 8
  model = model_lib.from_latency_table(space, table)
  assert 0 < model.smallest < model.largest
  assert tables.is_ready(config, space) and tables.load(config, space) == {'latency_table': table}
  assert problem_lib.SearchProblem.from_config(config, space).target == pytest.approx((model.smallest + model.largest) / 2)
  proof, = (tmp_path / 'cache').glob('*_proof.json')
  rows = json.loads(proof.read_text())['networks']
  assert [row['purpose'] for row in rows] == ['calibration'] * 5 + ['validation'] * 8
  assert tables.find_proof(config, space) == proof
  assert [row.name for row in cards.load_proof(proof, table)] == [row['name'] for row in rows]
  for change in ('--expected_precision=float32', '--expected_kernels=xnnpack', '--head_filters=24'):
    other = host_flags(tmp_path, change)
    assert not tables.is_ready(other, make_space(other)), change
  capfd.readouterr()


def test_a_run_goes_on_with_its_own_copy(tmp_path):
  config = host_flags(tmp_path)
  space = make_space(config)
  table = write_table(tmp_path / 'table.json', space=space)
  run = tmp_path / 'run'
  run.mkdir()
  copy = dataclasses.replace(table, name='copy')
  table_lib.save(copy, run / 'latency_table.json')
  assert not tables.is_ready(config, space)  # of a run that never was
  (run / 'identity.json').write_text('{}')
  assert tables.load(config, space) == {'latency_table': copy}
  assert tables.find_proof(config, space) is None
  (run / 'latency_table_proof.json').write_text('{}')
  assert tables.find_proof(config, space) == run / 'latency_table_proof.json'


def test_the_proof_of_a_file_lies_beside_it(tmp_path):
  config = parse('--target_latency_ms=10', f'--latency_table={tmp_path / "phone.json"}')
  write_table(tmp_path / 'phone.json')
  assert tables.find_proof(config, proxyless.proxyless()) is None
  (tmp_path / 'phone_proof.json').write_text('{}')
  assert tables.find_proof(config, proxyless.proxyless()) == tmp_path / 'phone_proof.json'
  for others in (['--target_macs=1e6'], ['--target_latency_ms=48', '--latency_table=pixel2_int8_estimate']):
    assert tables.find_proof(parse(*others), proxyless.proxyless()) is None
