"""Prints how large the page of a long search is, how long writing it takes, and when a browser has painted it.

python tools/benchmark_report.py
python tools/benchmark_report.py --run_dir=runs/mobile

Without --run_dir, the document is that of the tests: a made-up course of a search of the ImageNet space. Needs chromium, chromedriver and
selenium.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import pathlib
import shutil
import statistics
import sys
import tempfile
import time

from tf_proxyless.app import command_line
from tf_proxyless.app import options
from tf_proxyless.infra import errors
from tf_proxyless.report.document import document as document_lib
from tf_proxyless.report.page import page as page_lib


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
  run_dir: str | None = options.option(None, 'Directory of a search; by default a made-up one, in a clone of the repository.')
  epochs: int = options.option(120, 'Epochs of the made-up search.', low=1)
  loads: int = options.option(7, 'Times that the browser opens the page; the median is printed.', low=1)


_BROWSER = ('--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
            '--disable-component-update', '--disable-sync')
_TIMES = '''
    const paint = performance.getEntriesByName('first-contentful-paint')[0], [load] = performance.getEntriesByType('navigation');
    return [paint ? paint.startTime : null, load.domContentLoadedEventEnd, load.loadEventEnd];'''


def main(config: Config) -> None:
  with errors.user_errors():
    document = _document(config)
    _check_programs()
  run = document['runs'][0]
  start = time.perf_counter()
  text = page_lib.render(document)
  seconds = time.perf_counter() - start
  print(f'search          {len(run["history"]["epoch"])} epochs, {len(run["decisions"])} decisions')
  print(f'document        {len(json.dumps(document)) / 1e6:.2f} MB')
  print(f'page            {len(text.encode("utf-8")) / 1e6:.2f} MB, written in {1e3 * seconds:.0f} ms')
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, 'report.html')
    path.write_text(text, encoding='utf-8')
    times = _open(path, folder, config.loads)
  for name, values in zip(('first paint', 'script done', 'loaded'), zip(*times)):
    print(f'{name:15} {statistics.median(values):.0f} ms (median of {len(values)}; {min(values):.0f} to {max(values):.0f})')


def _document(config: Config) -> dict:
  if config.run_dir is not None:
    return document_lib.document(config.run_dir)
  sys.path.append(str(pathlib.Path(__file__).parents[1]))
  from tests.report import documents  # in a clone only, as this tool

  return documents.imagenet(epochs=config.epochs)


def _check_programs() -> None:
  missing = [name for name in ('chromium', 'chromedriver') if shutil.which(name) is None]
  missing += ['selenium'] if importlib.util.find_spec('selenium') is None else []
  if missing:
    raise errors.UserError(f'not installed: {", ".join(missing)}')


def _open(path: pathlib.Path, folder: str, loads: int) -> list[list[float]]:
  """Milliseconds until the first paint, until the page's script is done, and until all is loaded, each time that the page is opened."""
  from selenium import webdriver
  from selenium.webdriver.chrome import service

  options = webdriver.ChromeOptions()
  options.binary_location = shutil.which('chromium')
  for flag in (*_BROWSER, f'--user-data-dir={folder}/profile'):
    options.add_argument(flag)
  driver = webdriver.Chrome(options=options, service=service.Service(shutil.which('chromedriver')))
  try:
    times = []
    for _ in range(loads + 1):
      driver.get(path.as_uri())
      time.sleep(0.5)  # a page that is not painted yet has no time of it
      times.append(driver.execute_script(_TIMES))
    return times[1:]  # the first one starts parts of the browser
  finally:
    driver.quit()


if __name__ == '__main__':
  command_line.run(sys.modules[__name__])
