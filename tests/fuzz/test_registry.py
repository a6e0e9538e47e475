"""No module reads what nobody vouches for without being fuzzed, or a reason why it need not be."""

import pytest

from tests.fuzz import registry

MODULES = registry.modules()
COVERED = {name for parser in (*registry.PARSERS, *registry.TENSORFLOW_PARSERS, *registry.TORCH_PARSERS) for name in parser.modules}


@pytest.mark.parametrize('name', [name for name, path in MODULES.items() if registry.calls(path)])
def test_what_reads_is_fuzzed_or_has_a_reason(name):
  assert (name in COVERED) != (name in registry.REASONS), f'{name} calls {sorted(registry.calls(MODULES[name]))}'


def test_what_is_named_is_there():
  assert COVERED <= set(MODULES) and set(registry.REASONS) <= set(MODULES)


def test_reasons_are_for_modules_that_read():
  assert all(registry.calls(MODULES[name]) for name in registry.REASONS)


def test_nothing_is_ever_executed():
  """Neither pickles nor YAML's objects nor eval, whoever wrote the file."""
  forbidden = {'eval', 'exec', 'pickle.load', 'pickle.loads', 'yaml.load', 'yaml.unsafe_load', 'marshal.loads', 'joblib.load'}
  for name, path in MODULES.items():
    text = path.read_text(encoding='utf-8')
    assert not registry.names_called(path) & forbidden, name
    assert 'allow_pickle=True' not in text and 'weights_only=False' not in text, name
    assert 'shell=True' not in text, name
