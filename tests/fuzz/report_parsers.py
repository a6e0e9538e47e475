"""Files of a run as its report reads them: whatever one of them holds, there is a report, and it names the file."""

from __future__ import annotations

import fcntl
import functools
import json
import pathlib
import tempfile

from tests.fuzz import harness
from tests.fuzz.harness import put
from tests.report.document import report_runs
from tf_proxyless.infra import locking
from tf_proxyless.measure import validation as validation_lib
from tf_proxyless.report.document import document as document_lib
from tf_proxyless.report.document import samples as report_samples


def _proof(content: bytes, folder: pathlib.Path) -> None:
  for row in validation_lib.load_rows(put(content, folder, 'proof.json')):
    json.dumps(row.error_percent, allow_nan=False)


def _lock(content: bytes, folder: pathlib.Path) -> None:
  """A folder whose lock another process has."""
  path = put(content, folder, locking.NAME)
  with open(path, 'r+b') as held:
    fcntl.flock(held, fcntl.LOCK_EX)
    locking.take(folder)


def _lock_of_nobody(content: bytes, folder: pathlib.Path) -> None:
  put(content, folder, locking.NAME)
  locking.take(folder).close()


@functools.cache
def _files() -> dict[str, bytes]:
  """Of a run that is finished."""
  with tempfile.TemporaryDirectory() as folder:
    run = report_runs.write(pathlib.Path(folder), epochs=3, batches=3)
    return {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()}


def _derivation(content: bytes, folder: pathlib.Path) -> None:
  found = report_samples.load_derivation(put(content, folder, 'derivation.json'))
  json.dumps(report_samples.candidates(found), allow_nan=False)


def _report(name: str):
  """Makes a report of a run in which one file is another."""

  def parse(content: bytes, folder: pathlib.Path) -> None:
    run = folder / 'run'
    if not run.exists():
      run.mkdir()
      for other, data in _files().items():
        (run / other).write_bytes(data)
    (run / name).write_bytes(content)
    try:
      json.dumps(document_lib.document(run), allow_nan=False)
    finally:
      (run / name).write_bytes(_files()[name])

  return parse


def _reports() -> list[harness.Parser]:
  forms = {'flags.txt': 'text', 'history.jsonl': 'json lines', 'samples.bin': 'binary'}
  modules = ('tf_proxyless.report.document.document', 'tf_proxyless.report.document.history', 'tf_proxyless.report.document.samples')
  return [harness.Parser(f'report of {name}', modules,
                         forms.get(name, 'json'), functools.partial(lambda name: [_files()[name]], name), _report(name), weight=0.03)
          for name in sorted(_files())]


_LOCK = b'{"host": "a", "pid": 12, "started": "then"}\n'

PARSERS = (
    harness.Parser('proof of a table', ('tf_proxyless.measure.validation',), 'json', lambda: [
        harness.written(lambda table, path: report_runs.make_proof(table, path), report_runs.make_table())], _proof),
    harness.Parser('derivation', ('tf_proxyless.report.document.samples',), 'json', lambda: [_files()['derivation.json']], _derivation),
    harness.Parser('lock', ('tf_proxyless.infra.locking',), 'json', lambda: [_LOCK], _lock_of_nobody),
    harness.Parser("another's lock", ('tf_proxyless.infra.locking',), 'json', lambda: [_LOCK], _lock,
                   refuses=True),
    *_reports(),
)
