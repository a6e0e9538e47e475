"""Tables in the official YAML form: keys, round trips, and what is refused."""

import dataclasses
import pathlib

import pytest

from tf_proxyless.cost import table as table_lib
from tf_proxyless.cost.importers import official_yaml
from tf_proxyless.space import network
from tf_proxyless.space import ops
from tf_proxyless.space import proxyless
from tf_proxyless.space import published

PIXEL1 = pathlib.Path(__file__).parents[3] / 'configs' / 'latency' / 'pixel1_tflite_float.json'
RUNTIME = table_lib.Runtime('Pixel 1', 'float32')

STEM = 'Conv-input:224x224x3-output:112x112x32'
BLOCK = 'expanded_conv-input:56x56x24-output:56x56x24-expand:3-kernel:5-stride:1-idskip:1'

# In the layout of the published files.
TEXT = f"""\
{STEM}:
  count: 982
  mean: 4.083755600814664
  var: 0.25
# a comment

{BLOCK}:
  count: 157
  mean: 1.5e-02
  var: 0.0
"""


def read(tmp_path, text):
  path = tmp_path / 'table.yaml'
  path.write_bytes(text if isinstance(text, bytes) else text.encode())
  return official_yaml.load(path, 'mine', RUNTIME, 'measured', 'a test')


def test_numbers_and_keys(tmp_path):
  assert read(tmp_path, TEXT) == table_lib.LatencyTable('mine', RUNTIME, (
      table_lib.Entry(network.OpSignature(ops.ConvBn(32, 3, 2), (224, 224, 3)),
                          table_lib.LatencyStats('measured', mean_ms=4.083755600814664, std_ms=0.5, runs=982)),
      table_lib.Entry(network.OpSignature(ops.MBConv(24, 5, 1, 3), (56, 56, 24), residual=True),
                          table_lib.LatencyStats('measured', mean_ms=0.015, std_ms=0.0, runs=157)),
  ), 'a test')


@pytest.mark.parametrize('signature, key', [
    (network.OpSignature(ops.ConvBn(32, 3, 2), (224, 224, 3)), STEM),
    (network.OpSignature(ops.ConvBn(1280, 1, 1), (7, 7, 320)), 'Conv_1-input:7x7x320-output:7x7x1280'),
    (network.OpSignature(ops.Classifier(1000), (7, 7, 1280)), 'Logits-input:7x7x1280-output:1000'),
    (network.OpSignature(ops.MBConv(24, 5, 1, 3), (56, 56, 24), residual=True), BLOCK),
    (network.OpSignature(ops.MBConv(40, 7, 2, 6), (15, 7, 24)),
     'expanded_conv-input:15x7x24-output:8x4x40-expand:6-kernel:7-stride:2-idskip:0'),
])
def test_keys(signature, key):
  assert official_yaml.key(signature) == key
  assert official_yaml.parse_key(key) == signature


@pytest.mark.parametrize('space', [proxyless.proxyless(), proxyless.proxyless(width_multiplier=0.5, resolution=96, classes=10),
                                   published.network('proxyless_gpu')])
def test_every_operation_of_our_spaces_has_a_key(space):
  signatures = network.op_signatures(space)
  keys = [official_yaml.key(signature) for signature in signatures]
  assert len(set(keys)) == len(signatures)
  assert tuple(map(official_yaml.parse_key, keys)) == signatures


@pytest.mark.parametrize('signature', [
    network.OpSignature(ops.ConvBn(32, 5, 1), (32, 32, 3)),
    network.OpSignature(ops.ConvBn(32, 3, 1), (32, 32, 32), residual=True),
    network.OpSignature(ops.ConvBn(32, 1, 4), (5, 5, 32)),
    network.OpSignature(ops.MBConv(40, 5, 2, 3), (56, 56, 24), padding='symmetric'),
])
def test_operations_without_a_key_are_refused(signature):
  with pytest.raises(ValueError, match='the official YAML form has no key for'):
    official_yaml.key(signature)


def test_round_trip_of_the_published_table(tmp_path):
  table = table_lib.load(PIXEL1)
  official_yaml.save(table, tmp_path / 'table.yaml')
  loaded = official_yaml.load(tmp_path / 'table.yaml', table.name, table.runtime, source=table.source)
  assert loaded == table
  first, second, *_ = (tmp_path / 'table.yaml').read_text().splitlines()
  assert first == '# pixel1_tflite_float: Pixel 1, float32, kernels unknown; published; ms of a network = 0 + 1 * (sum of its entries)'
  assert second == f'{STEM}:'


def test_a_file_of_a_windows_editor_is_the_same(tmp_path):
  table = read(tmp_path, TEXT)
  assert read(tmp_path, ('\ufeff' + TEXT.replace('\n', '\r\n')).encode()) == table


def test_the_median_is_written_where_there_is_one_and_tiny_numbers_have_a_point(tmp_path):
  entry = table_lib.Entry(network.OpSignature(ops.Classifier(2), (1, 1, 8)),
                              table_lib.LatencyStats('measured', median_ms=2e-05, mean_ms=3e-05, std_ms=1e-05, runs=50))
  table = table_lib.LatencyTable('mine', RUNTIME, (entry,), '', table_lib.Calibration(0.9, 0.5, 4))
  official_yaml.save(table, tmp_path / 'table.yaml')
  assert (tmp_path / 'table.yaml').read_text() == (
      '# mine: Pixel 1, float32, kernels unknown; measured; ms of a network = 0.5 + 0.9 * (sum of its entries)\n'
      'Logits-input:1x1x8-output:2:\n  count: 50\n  mean: 2.0e-05\n  var: 1.0000000000000002e-10\n')


def test_a_table_that_cannot_be_written_leaves_no_file(tmp_path):
  table = table_lib.load(PIXEL1)
  odd = dataclasses.replace(table.entries[0], signature=network.OpSignature(ops.ConvBn(32, 5, 1), (32, 32, 3)))
  with pytest.raises(ValueError, match='has no key for conv_bn 32x32x3 -> 32 k5 s1'):
    official_yaml.save(dataclasses.replace(table, entries=(*table.entries, odd)), tmp_path / 'table.yaml')
  assert not list(tmp_path.iterdir())


def test_an_editor_may_leave_out_the_last_line_break(tmp_path):
  text = TEXT.replace('var: 0.0', 'var: 0.25')
  assert read(tmp_path, text[:-1]) == read(tmp_path, text)
  assert read(tmp_path, text[:-1].encode('utf-16')) == read(tmp_path, text)


@pytest.mark.parametrize('text, message', [
    ('', 'table.yaml: empty, or truncated'),
    ('# nothing\n', "table.yaml: latency table 'mine' has no entries"),
    (TEXT[:-3], r'table.yaml:7: the last line does not end and its number is the shortest of all; truncated\?.*: 0$'),
    (TEXT[:TEXT.index('\n  var: 0.0')], r'table.yaml:7: the last line does not end and its entry lacks numbers; truncated\?'),
    (TEXT[:TEXT.index('  mean: 1.5')], r'table.yaml:7: the entry has no mean; truncated\?'),
    (TEXT + TEXT, 'table.yaml:11: a second entry for conv_bn 224x224x3 -> 32 k3 s2, after that of line 1'),
    (TEXT.replace('expand:3', 'expand:03') + f'{BLOCK}:\n', 'table.yaml:11: a second entry'),
    (TEXT.replace('4.08', '-4.08'), "table.yaml:3: mean must be a finite number, at least 0, got '-4.083755600814664'"),
    (TEXT.replace('1.5e-02', '0'), 'table.yaml:7: LatencyStats.mean_ms must be a finite number above 0'),
    (TEXT.replace('1.5e-02', '.nan'), "table.yaml:9: mean .* got '.nan'"),
    (TEXT.replace('1.5e-02', 'nan'), "table.yaml:9: mean .* got 'nan'"),
    (TEXT.replace('1.5e-02', '1e999'), "table.yaml:9: mean .* got '1e999'"),
    (TEXT.replace('1.5e-02', '1_5'), "table.yaml:9: mean .* got '1_5'"),
    (TEXT.replace('1.5e-02', ''), "table.yaml:9: mean .* got ''"),
    (TEXT.replace('var: 0.25', 'var: -0.25'), 'table.yaml:4: var must be'),
    (TEXT.replace('157', '157.5'), 'table.yaml:8: count must be a whole number, got 157.5'),
    (TEXT.replace('157', '0'), 'table.yaml:7: LatencyStats.runs'),
    (TEXT.replace('  count: 982', '  mean: 982'), "table.yaml:3: expected a key, or one each of count, mean, var below a key, got 'mean"),
    (TEXT.replace('count: 982', 'median: 982'), "table.yaml:2: expected a key, .* got 'median: 982'"),
    ('  mean: 1.0\n', 'table.yaml:1: expected a key'),
    (TEXT.replace(f'{STEM}:', 'Conv:'), "table.yaml:1: not a key of an operation: 'Conv'"),
    (TEXT.replace('idskip:1:', 'idskip:2:'), 'table.yaml:7: not a key of an operation'),
    (TEXT.replace('stride:1', 'stride:2'), 'table.yaml:7: input, stride and output do not fit each other'),
    (TEXT.replace('stride:1', 'stride:0'), 'table.yaml:7: MBConv.strides must be a positive integer, got 0'),
    (TEXT.replace('112x112x32', '0x0x32'), 'table.yaml:1: ConvBn.strides must be a positive integer, got 0'),
    (TEXT.replace('# a comment', 'comment'), "table.yaml:5: neither a key nor a number: 'comment'"),
    (TEXT.encode() + b'\xff\n', 'table.yaml: not UTF-8 text'),
])
def test_files_that_are_refused(tmp_path, text, message):
  with pytest.raises(ValueError, match=message) as error:
    read(tmp_path, text)
  assert str(error.value).startswith(f'{tmp_path / "table.yaml"}:') and '\n' not in str(error.value)
