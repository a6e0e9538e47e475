"""Tables of Once-for-All's MobileNetV3 networks, in the layout of the published files."""

import pytest

from tf_proxyless.cost import model
from tf_proxyless.cost import table as table_lib
from tf_proxyless.cost.importers import official_yaml
from tf_proxyless.cost.importers import once_for_all
from tf_proxyless.space import network
from tf_proxyless.space import ops

RUNTIME = table_lib.Runtime('Galaxy Note10', 'float32')

KEYS = ('Conv-input:32x32x3-output:16x16x8',
        'expanded_conv-input:16x16x8-output:16x16x8-expand:8-kernel:3-stride:1-idskip:1-se:0-hs:0',
        'expanded_conv-input:16x16x8-output:8x8x16-expand:32-kernel:5-stride:2-idskip:0-se:1-hs:1',
        'expanded_conv-input:8x8x16-output:8x8x16-expand:40-kernel:7-stride:1-idskip:1-se:0-hs:1',
        'Conv_1-input:8x8x16-output:8x8x96', 'AvgPool2D-input:8x8x96-output:1x1x96', 'Conv_2-input:1x1x96-output:1x1x128',
        'Logits-input:1x1x128-output:10')
TEXT = ''.join(f'{key}:\n  count: {100 - i}\n  mean: {2.0**i}\n  std: 0.5\n' for i, key in enumerate(KEYS))
NETWORK = network.Network('small', (32, 32, 3), (
    network.Block('stem', ops.ConvBn(8, 3, 2, 'hard_swish')),
    network.Block('a', ops.MBConv(8, 3, 1, 1, 'relu'), residual=True),
    network.Block('b', ops.MBConv(16, 5, 2, 4, 'hard_swish', 0.25)),
    network.Block('c', ops.MBConv(16, 7, 1, 1, 'hard_swish', expanded_filters=40), residual=True),
    network.Block('feature_mix', ops.ConvBn(96, 1, 1, 'hard_swish')),
    network.Block('classifier', ops.Classifier(10, 0.1, hidden=128))))


def read(tmp_path, text, reader=once_for_all):
  path = tmp_path / 'table.yaml'
  path.write_text(text)
  return reader.load(path, 'note10', RUNTIME)


def test_a_network_is_priced(tmp_path):
  table = read(tmp_path, TEXT)
  assert model.from_latency_table(NETWORK, table).fixed == sum(2.0**i for i in range(8))
  assert table.entries[-1] == table_lib.Entry(
      network.OpSignature(ops.Classifier(10, hidden=128), (8, 8, 96)),
      table_lib.LatencyStats('published', mean_ms=32.0 + 64 + 128, std_ms=0.75**0.5, runs=93))
  assert once_for_all.is_one(tmp_path / 'table.yaml')
  assert not once_for_all.is_one(__file__.replace('test_once_for_all', 'test_official_yaml'))


@pytest.mark.parametrize('text, message', [
    (TEXT.replace('se:1', 'se:2'), 'table.yaml:9: not a key of an operation'),
    (TEXT.replace('stride:2', 'stride:4'), 'table.yaml:9: input, stride and output do not fit each other'),
    (TEXT.replace('expand:32', 'expand:0'), 'table.yaml:9: MBConv.expand_ratio must be a positive number, got 0'),
    (TEXT.replace('-se:0-hs:1', ''), 'table.yaml:13: not a key of an operation of Once-for-All'),
    (TEXT.replace('std', 'var'), 'table.yaml:4: expected a key, or one each of count, mean, std'),
    (TEXT.replace('Conv', 'Dense').replace('se:', 'x:'), 'table.yaml:1: .*; line 5: .*; line 9: .*; and 1 more$'),
    (TEXT[:TEXT.index('Logits')], 'AvgPool2D, Conv_2 and Logits make one operation; without the others stand those of line 21, 25$'),
    (TEXT.replace('Logits-input:1x1x128', 'Logits-input:1x1x120'), 'without the others stand those of line 21, 25, 29$'),
    (TEXT.replace('kernel:3', 'kernel:4'), 'table.yaml:5: MBConv.kernel_size must be odd, got 4'),
])
def test_files_that_are_refused(tmp_path, text, message):
  with pytest.raises(ValueError, match=message) as error:
    read(tmp_path, text)
  assert '\n' not in str(error.value)


def test_the_other_reader_names_all_lines(tmp_path):
  with pytest.raises(ValueError, match='table.yaml:4: .*; line 5: .*and 8 more'):
    read(tmp_path, TEXT, official_yaml)
