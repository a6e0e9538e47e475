"""The same as test_fuzz for files of PyTorch; and that whatever such a file says, nothing of it is run."""

from __future__ import annotations

import io
import zipfile

import pytest

from tests.fuzz import archive_mutations
from tests.fuzz import harness
from tests.fuzz import registry
from tests.fuzz import test_fuzz
from tests.fuzz import torch_parsers
from tests.torch import networks  # skips all of this where PyTorch is not installed

torch = networks.torch
pytestmark = pytest.mark.torch

QUICK, LONG = 200, 3_000  # inputs, of each parser

parsers = pytest.mark.parametrize('parser', registry.TORCH_PARSERS, ids=[parser.name for parser in registry.TORCH_PARSERS])


@parsers
def test_some_inputs(parser, tmp_path_factory, tmp_path):
  assert all(harness.check(parser, seed, tmp_path) for seed in parser.seeds())
  test_fuzz.fuzz(parser, QUICK, 0, tmp_path_factory)


@pytest.mark.long
@parsers
def test_many_inputs(parser, tmp_path_factory):
  test_fuzz.fuzz(parser, LONG, test_fuzz.chosen_seed(), tmp_path_factory)


def text(value: str) -> bytes:
  """The instruction BINUNICODE."""
  return b'X' + len(value).to_bytes(4, 'little') + value.encode()


def call(name: str, argument: bytes) -> bytes:
  """The instructions GLOBAL, those of an argument, TUPLE1 and REDUCE."""
  return b'c' + name.replace(' ', '\n').encode() + b'\n' + argument + b'\x85R'


def file_with(instructions: bytes, zipped: bool) -> bytes:
  """A file of the state dict {'a': what some instructions make}."""
  pickled = b'\x80\x02}' + text('a') + instructions + b's.'
  buffer = io.BytesIO()
  torch.save({}, buffer, _use_new_zipfile_serialization=zipped)
  if not zipped:
    empty = b'\x80\x02}q\x00.'  # of the state dict, behind those of a magic number, a version and the machine
    assert buffer.getvalue().count(empty) == 1
    return buffer.getvalue().replace(empty, pickled)
  with zipfile.ZipFile(buffer) as archive:
    return archive_mutations.make_zip([(name, pickled if name.endswith('data.pkl') else archive.read(name)) for name in archive.namelist()])


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('instructions', [
    call('os system', text('touch owned')), call('posix system', text('touch owned')), call('builtins eval', text('1/0')),
    call('__builtin__ exec', text('1/0')), call('builtins open', text('owned')), call('subprocess Popen', text('true')),
    call('torch.hub load_state_dict_from_url', text('http://127.0.0.1:9/x')), call('torch load', text('/etc/passwd')),
    call('torch._C _jit_set_profiling_mode', b'\x88'), call('importlib import_module', text('this')), call('webbrowser open', text('x')),
    b'(' + text('touch owned') + b'ios\nsystem\n', text('os') + text('system') + b'\x93' + text('touch owned') + b'\x85R'])
def test_nothing_of_a_file_is_run(tmp_path, monkeypatch, instructions, zipped):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'hostile.pth').write_bytes(file_with(instructions, zipped))
  with pytest.raises(ValueError, match='not a file of PyTorch weights .UnpicklingError'):
    torch_parsers.read(tmp_path / 'hostile.pth')
  assert [path.name for path in tmp_path.iterdir()] == ['hostile.pth']


@pytest.mark.parametrize('zipped', [True, False])
def test_a_small_file_cannot_fill_the_memory(tmp_path, zipped):
  path = tmp_path / 'hostile.pth'
  path.write_bytes(file_with(call('builtins bytearray', b'\x8a\x05' + (2**36).to_bytes(5, 'little')), zipped))
  with pytest.raises(ValueError, match='a bytearray, which may be of any length'):
    torch_parsers.read(path)
  torch.save({'a': torch.zeros(1, dtype=torch.float16).expand(2**18, 2**18)}, path, _use_new_zipfile_serialization=zipped)
  with pytest.raises(ValueError, match='claims more numbers than it has bytes'):
    torch_parsers.read(path)
  path.write_bytes(file_with(b'ctorch\nTensor\n', zipped))
  with pytest.raises(ValueError, match="'a' is no tensor"):
    torch_parsers.read(path)


def test_a_compressed_file_is_refused(tmp_path):
  path = tmp_path / 'bomb.pth'
  path.write_bytes(archive_mutations.make_zip([('archive/data/0', bytes(10_000_000))], zipfile.ZIP_DEFLATED))
  with pytest.raises(ValueError, match='compressed, which PyTorch never does'):
    torch_parsers.read(path)
