"""The same as test_fuzz for what TensorFlow is needed to read; and what a hostile .keras file and a hostile archive cannot do."""

from __future__ import annotations

import io
import json
import pathlib
import zipfile

import pytest

from tests.fuzz import archive_mutations
from tests.fuzz import binary_parsers
from tests.fuzz import harness
from tests.fuzz import registry
from tests.fuzz import test_fuzz
from tf_proxyless.infra import safe_zip

QUICK, LONG = 60, 10_000  # inputs, of all parsers together

parsers = pytest.mark.parametrize('parser', registry.TENSORFLOW_PARSERS, ids=[parser.name for parser in registry.TENSORFLOW_PARSERS])


def load(parser: harness.Parser, folder: pathlib.Path) -> None:
  """Loads TensorFlow, whose seconds are not the parser's."""
  parser.parse(parser.seeds()[0], folder)


@parsers
def test_some_inputs(parser, tmp_path_factory, tmp_path):
  load(parser, tmp_path)
  assert all(harness.check(parser, seed, tmp_path) for seed in parser.seeds())
  test_fuzz.fuzz(parser, QUICK // len(registry.TENSORFLOW_PARSERS), 0, tmp_path_factory)


@pytest.mark.long
@parsers
def test_many_inputs(parser, tmp_path_factory, tmp_path):
  load(parser, tmp_path)
  test_fuzz.fuzz(parser, LONG // len(registry.TENSORFLOW_PARSERS), test_fuzz.chosen_seed(), tmp_path_factory)


def changed_model(change) -> bytes:
  """A .keras file whose configuration was changed."""
  with zipfile.ZipFile(io.BytesIO(binary_parsers._keras_model())) as archive:
    members = {name: archive.read(name) for name in archive.namelist()}
  config = json.loads(members['config.json'])
  change(config)
  return archive_mutations.make_zip(list({**members, 'config.json': json.dumps(config).encode()}.items()))


@pytest.mark.parametrize('layer', [
    {'module': 'os', 'class_name': 'system', 'config': {}}, {'module': 'keras.layers', 'class_name': 'Lambda', 'config': {}},
    {'module': 'keras.utils', 'class_name': 'get_file', 'config': {}},
    {'class_name': 'Lambda', 'config': {'function': ['4wA', None, None]}},
    {'module': 'builtins', 'class_name': 'function', 'config': 'eval'}, {'class_name': '__lambda__', 'config': {'value': '4wA'}},
    {'module': ['os'], 'class_name': 'x'}, {'module': 'keras.layers', 'class_name': 'x', 'registered_name': 'Lambda'}])
def test_a_keras_file_that_names_anything_but_layers_is_refused(tmp_path, layer):
  path = tmp_path / 'model.keras'
  path.write_bytes(changed_model(lambda config: config['config']['layers'].append(layer)))
  with pytest.raises(ValueError, match='holds what is not of Keras'):
    safe_zip.check_keras(path)
  path.write_bytes(changed_model(lambda config: None))
  safe_zip.check_keras(path)


def test_an_archive_that_would_fill_the_memory_is_refused():
  bomb = archive_mutations.make_zip([(str(i), bytes(10_000_000)) for i in range(3)], zipfile.ZIP_DEFLATED)
  assert len(bomb) < 100_000
  with pytest.raises(ValueError, match='more than 20000000 bytes'):
    safe_zip.read(bomb, 20_000_000)
