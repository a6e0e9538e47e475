"""Files that the first edition wrote (run_v1, a tiny search) still serve: deriving again, going on, architectures, and tables."""

import json
import pathlib
import shutil

import pytest

from tests.search import runs
from tf_proxyless.cost import table as table_lib
from tf_proxyless.space import io

RUN = pathlib.Path(__file__).parent / 'run_v1'


@pytest.fixture
def run(tmp_path):
  return pathlib.Path(shutil.copytree(RUN, tmp_path / 'run'))


@pytest.mark.long
@pytest.mark.parametrize('by', [*(pytest.param(by, marks=pytest.mark.long) for by in ('probability', 'evidence')), 'validation'])
def test_a_finished_search_is_derived_again(run, by, data_dir):
  result = runs.tool('derive', f'--run_dir={run}', f'--by={by}', f'--output={run / "again.json"}', f'--data_dir={data_dir}')
  assert result.returncode == 0, result.stderr
  derivation = json.loads((RUN / 'derivation.json').read_text(encoding='utf-8'))
  expected = derivation['chosen'] if by == 'validation' and 'chosen' in derivation else derivation.get(by)
  found = io.load_architecture(run / 'again.json')
  if by != 'validation':  # whose order of images has changed
    assert list(found.genotype.values()) == expected['choices']
  assert found.cost.macs <= 3e5


@pytest.mark.long
def test_the_same_command_finds_it_finished(run, data_dir):
  before = (run / 'history.jsonl').read_bytes()
  result = runs.run(f'--flagfile={run / "flags.txt"}', '--weight_sharing=separate', f'--run_dir={run}', f'--data_dir={data_dir}')
  assert result.returncode == 0, result.stderr
  assert (run / 'history.jsonl').read_bytes() == before


def test_architectures_and_tables_of_version_1():
  architecture = io.load_architecture(RUN / 'architecture.json')
  assert io.load_search_space(RUN / 'search_space.json').classes == architecture.network.classes == 10
  table = table_lib.load(runs.ROOT / 'configs' / 'latency' / 'pixel1_tflite_float.json')
  assert table.sha256 == '142f8045c17d2f20facebed45462bce4724ef27f696bcfdd6cf5f2391f2b749e'  # as the first edition had it
