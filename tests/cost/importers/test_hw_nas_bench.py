"""Tables of FBNet's space in HW-NAS-Bench, with keys as its authors' code makes them; the numbers are made up."""

import json

import pytest

from tf_proxyless.cost import model
from tf_proxyless.cost import table as table_lib
from tf_proxyless.cost.importers import hw_nas_bench
from tf_proxyless.space import fbnet
from tf_proxyless.space import schema

FILTERS, BLOCKS = (16, 24, 32, 64, 112, 184, 352), (1, 4, 4, 4, 4, 4, 1)
SETTINGS = {'ImageNet': (224, 2, (1, 2, 2, 2, 1, 2, 1), 1984, 1000), 'cifar100': (32, 1, (1, 1, 2, 2, 1, 2, 1), 1504, 100)}


def keys():
  """Of both datasets, in the order of a network, as https://github.com/GATECH-EIC/HW-NAS-Bench asks for them."""
  for size, stem_strides, stage_strides, head, classes in SETTINGS.values():
    yield f'ConvNorm_H{size}_W{size}_Cin3_Cout16_kernel3_stride{stem_strides}_group1'
    size, width = size // stem_strides, 16
    for filters, blocks, first in zip(FILTERS, BLOCKS, stage_strides):
      for strides in (first, *[1] * (blocks - 1)):
        place = f'H{size}_W{size}_Cin{width}_Cout{filters}'
        for kernel in (3, 5):
          for expand, groups in ((1, 1), (1, 2), (3, 1), (6, 1)):
            yield f'ConvBlock_{place}_exp{expand}_kernel{kernel}_stride{strides}_group{groups}'
        yield f'Skip_{place}_stride{strides}'
        size, width = size // strides, filters
    yield f'ConvNorm_H{size}_W{size}_Cin352_Cout{head}_kernel1_stride1_group1'
    yield f'AvgP_H{size}_W{size}_Cin{head}_Cout{head}_kernel{size}_stride1'
    yield f'FC_Cin{head}_Cout{classes}'


TABLE = {key: 1 + number % 97 for number, key in enumerate(dict.fromkeys(keys()))}


def read(tmp_path, content):
  path = tmp_path / 'pixel3.json'
  path.write_text(content if isinstance(content, str) else json.dumps(content))
  return hw_nas_bench.load(path, 'pixel3', table_lib.Runtime('Pixel 3', 'float32'))


def test_a_network_costs_what_it_costs_there(tmp_path):
  """The sum of the entries that its authors' code adds up; identities take nothing."""
  space = fbnet.fbnet()
  costs = model.from_latency_table(space, read(tmp_path, TABLE))
  for choice, name in enumerate(('exp1_kernel3_stride{}_group1', 'exp1_kernel3_stride{}_group2', 'exp3_kernel3_stride{}_group1')):
    genotype = schema.Genotype({path: choice for path, _ in schema.walk(space)})
    expected, size, width = TABLE['ConvNorm_H224_W224_Cin3_Cout16_kernel3_stride2_group1'], 112, 16
    for filters, blocks, first in zip(FILTERS, BLOCKS, SETTINGS['ImageNet'][2]):
      for strides in (first, *[1] * (blocks - 1)):
        expected += TABLE[f'ConvBlock_H{size}_W{size}_Cin{width}_Cout{filters}_{name.format(strides)}']
        size, width = size // strides, filters
    expected += sum(TABLE[key] for key in ('ConvNorm_H7_W7_Cin352_Cout1984_kernel1_stride1_group1',
                                           'AvgP_H7_W7_Cin1984_Cout1984_kernel7_stride1', 'FC_Cin1984_Cout1000'))
    assert costs.cost(genotype) == pytest.approx(expected)
  skips = schema.Genotype({path: 8 for path, _ in schema.walk(space)})
  projections = [key for key in keys() if key.startswith('Skip_')][:22]
  projections = [TABLE[key] for key in projections if not ('stride1' in key and key.split('_')[3][3:] == key.split('_')[4][4:])]
  assert len(projections) == 6
  rest = ('ConvNorm_H224_W224_Cin3_Cout16_kernel3_stride2_group1', 'ConvNorm_H7_W7_Cin352_Cout1984_kernel1_stride1_group1',
          'AvgP_H7_W7_Cin1984_Cout1984_kernel7_stride1', 'FC_Cin1984_Cout1000')
  assert costs.cost(skips) == pytest.approx(sum(projections) + sum(TABLE[key] for key in rest))
  assert hw_nas_bench.is_one(tmp_path / 'pixel3.json') and not hw_nas_bench.is_one(__file__)


@pytest.mark.parametrize('content, message', [
    ({'pixel3_latency': TABLE}, 'pixel3.json: .pixel3_latency.: is a table of many; the file must hold one alone'),
    ({key.replace('group', 'groups'): value for key, value in TABLE.items()}, r'not a key of an operation of FBNet.*; and \d+ more$'),
    ({**TABLE, 'FC_Cin8_Cout4': -1}, 'FC_Cin8_Cout4.: must be a number, at least 0, got -1'),
    ({**TABLE, 'FC_Cin8_Cout4': True}, 'must be a number, at least 0, got True'),
    ({**TABLE, 'ConvNorm_H8_W8_Cin4_Cout4_kernel3_stride1_group2': 1}, 'FBNet has no such convolution in groups'),
    ({**TABLE, 'ConvNorm_H8_W8_Cin4_Cout4_kernel4_stride1_group1': 1}, 'kernel_size must be odd, got 4'),
    ('[1]', 'pixel3.json: '), ('{}', 'pixel3.json: '), ('{"a": ', 'pixel3.json: '),
])
def test_files_that_are_refused(tmp_path, content, message):
  with pytest.raises(ValueError, match=message) as error:
    read(tmp_path, content)
  assert '\n' not in str(error.value)
