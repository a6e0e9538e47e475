"""The page that shows a search: one HTML file without any other, which opens in every browser and needs no network.

Charts are SVG that is written here, so that they are there without JavaScript and on paper. The scripts add the player over the history,
tooltips, and the reload while a search runs. Everything that comes from files is escaped, and besides that the page's policy
lets no other script run than these.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tf_proxyless.report.drawing import svg
from tf_proxyless.report.page import sections as sections_lib
from tf_proxyless.report.page import sections_compare
from tf_proxyless.report.page import sections_costs
from tf_proxyless.report.page import sections_history

SCHEMA, VERSION = 'tf_proxyless/report', 2

_SCRIPTS = ('page_base.js', 'page_charts.js', 'page_player.js', 'page_start.js')

def render(document: Mapping[str, Any]) -> str:
  """The page of a report's document.

  Args:
    document: JSON values as `document.document` makes them.

  Returns:
    HTML, to be written as UTF-8.

  Raises:
    ValueError: It is not such a document, or of another version.
  """
  found = (document.get('schema'), document.get('version'))
  if found != (SCHEMA, VERSION) or not document.get('runs'):
    raise ValueError(f'document must be {SCHEMA!r}, version {VERSION}, with at least one run, got {found[0]!r}, {found[1]!r}')
  run = document['runs'][0]
  script = _script()
  parts = {
      'network': ('Network', sections_lib.network(run)), 'history': ('History', sections_history.history(run)),
      'curves': ('Curves', sections_history.curves(run)), 'costs': ('Cost and accuracy', sections_costs.costs(document['runs'])),
      'derivation': ('Derivation', sections_lib.derivation(run)), 'files': ('Files', sections_lib.deployments(run)),
      'table': (sections_costs.table_title(run), sections_costs.table(run)),
      'compare': ('Comparison', sections_compare.compare(document['runs'])),
      'settings': ('Settings', sections_lib.settings(run)),
  }
  links = ''.join(f'<a href="#{identity}">{name}</a>' for identity, (name, part) in parts.items() if part)
  contents = links and f'<nav aria-label="Contents">{links}</nav>'
  body = [sections_lib.header(run, str(document['generated'])), sections_lib.summary(run), contents, *(part for _, part in parts.values())]
  footer = '<footer><p class="js"><a id="save" download="report.json" href="#">Save the data of this page</a> (JSON)</p></footer>'
  digest = base64.b64encode(hashlib.sha256(script.encode('utf-8')).digest()).decode('ascii')
  refresh = '<noscript><meta http-equiv="refresh" content="30"></noscript>' if run['refreshing'] else ''
  scripts = (f'<div id="tip" role="status"></div>\n<script type="application/json" id="data">{embed(document)}</script>\n'
             f'<script>{script}</script>\n')
  return shell(run['name'], [*body, footer], f"; script-src 'sha256-{digest}'", refresh, scripts)


def shell(title: str, body: Sequence[str], policy: str = '', head: str = '', scripts: str = '') -> str:
  """A page of parts, of which empty ones are left out.

  Args:
    title: Its title, text.
    body: HTML.
    policy: What it may do besides, for its Content-Security-Policy.
    head: More elements of its head.
    scripts: Elements after the body's parts.
  """
  policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:{policy}"
  return ('<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
          f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
          '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
          f'<link rel="icon" href="data:,">{head}<title>{svg.escape(title)} – tf_proxyless</title>'
          f'<style>{svg.style()}{_asset("page.css")}</style>\n</head>\n<body>\n'
          f'<svg width="0" height="0" class="defs" aria-hidden="true"><defs>{svg.PATTERNS}</defs></svg>\n<main>\n'
          + '\n'.join(part for part in body if part) + f'\n</main>\n{scripts}</body>\n</html>\n')


def _script() -> str:
  """The parts of the page's script as one function, so that nothing of it is global."""
  return "'use strict';\n(() => {\n" + '\n'.join(map(_asset, _SCRIPTS)) + '})();\n'


def _asset(name: str) -> str:
  return importlib.resources.files(__package__).joinpath(name).read_text(encoding='utf-8')


def embed(value: Any) -> str:
  """JSON that can stand in a script element: nothing in it can end the element or begin a comment.

  Raises:
    ValueError: A number is not finite.
  """
  text = json.dumps(value, allow_nan=False, separators=(',', ':'))  # ASCII, so no separators that JavaScript takes for line ends
  return text.replace('<', '\\u003c').replace('>', '\\u003e').replace('&', '\\u0026')
