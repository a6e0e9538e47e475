import base64
import hashlib
import html.parser
import json
import math
import re
from xml.etree import ElementTree

import pytest

from tests.report import documents
from tf_proxyless.report import units
from tf_proxyless.report.drawing import charts
from tf_proxyless.report.drawing import probabilities
from tf_proxyless.report.drawing import svg
from tf_proxyless.report.page import page as page_lib
from tf_proxyless.report.page import sections as sections_lib

VOID = {'meta', 'link', 'input'}
MAX_BYTES = 3_000_000  # issue 5


class Reader(html.parser.HTMLParser):
  """Elements of a page: checks that all are closed in order, and keeps tags, attributes and text."""

  def __init__(self, text):
    super().__init__()
    self.open, self.elements, self.text = [], [], {}
    self.feed(text)
    self.close()
    assert not self.open

  def handle_starttag(self, tag, attributes):
    self.elements.append((tag, dict(attributes)))
    if tag not in VOID:
      self.open.append((tag, len(self.elements) - 1))

  def handle_startendtag(self, tag, attributes):
    self.elements.append((tag, dict(attributes)))

  def handle_endtag(self, tag):
    assert self.open.pop()[0] == tag

  def handle_data(self, data):
    if self.open:
      index = self.open[-1][1]
      self.text[index] = self.text.get(index, '') + data

  def all(self, tag):
    """(attributes, text) of the elements of a tag."""
    return [(attributes, self.text.get(index, '')) for index, (name, attributes) in enumerate(self.elements) if name == tag]


@pytest.fixture(scope='module', params=documents.ALL)
def rendered(request):
  document = documents.make(request.param)
  text = page_lib.render(document)
  return document, text, Reader(text)


def test_elements_are_closed_and_names_unique(rendered):
  _, _, reader = rendered
  identities = [attributes['id'] for _, attributes in reader.elements if 'id' in attributes]
  assert len(identities) == len(set(identities))


def outermost_pictures(text):
  """Every SVG that is not within another one."""
  depth = start = 0
  for match in re.finditer(r'<svg\b|</svg>', text):
    if match[0] == '<svg':
      start, depth = match.start() if depth == 0 else start, depth + 1
    else:
      depth -= 1
      if depth == 0:
        yield text[start:match.end()]


def test_pictures_are_valid_svg_and_say_what_they_show(rendered):
  _, text, reader = rendered
  for picture in outermost_pictures(text.partition('<script')[0]):
    ElementTree.fromstring(picture)
  for attributes, _ in reader.all('svg'):
    if attributes.get('role') == 'img':
      assert attributes['aria-label'].strip()
    else:
      assert 'aria-hidden' in attributes or 'x' in attributes, attributes


def test_needs_no_other_file_and_no_network(rendered):
  _, text, reader = rendered
  for _, attributes in reader.elements:
    assert 'src' not in attributes
    assert attributes.get('href', '#').startswith(('#', 'data:,'))
  style = reader.all('style')[0][1]
  assert '@import' not in style and set(re.findall(r'url\((.)', style)) <= {'#'}
  script = reader.all('script')[-1][1]
  assert not re.search(r'fetch\(|XMLHttpRequest|import\(|https?://(?!www\.w3\.org/2000/svg)', script)


def test_policy_allows_this_script_alone(rendered):
  _, _, reader = rendered
  policy = next(attributes['content'] for attributes, _ in reader.all('meta') if 'http-equiv' in attributes)
  script = reader.all('script')[-1][1]
  digest = base64.b64encode(hashlib.sha256(script.encode('utf-8')).digest()).decode('ascii')
  assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy


def test_holds_its_data(rendered):
  document, _, reader = rendered
  (attributes, data), (_, _) = reader.all('script')
  assert attributes == {'type': 'application/json', 'id': 'data'}
  assert json.loads(data) == document


def test_hostile_names_stay_text():
  document = documents.hostile()
  reader = Reader(page_lib.render(document))
  assert len(reader.all('script')) == 2 and not reader.all('img')
  assert not [name for _, attributes in reader.elements for name in attributes if name.startswith('on')]
  assert reader.all('h1')[0][1] == document['runs'][0]['name']


def test_half_a_surrogate_pair_can_be_written():
  document = documents.tiny()
  document['runs'][0]['name'] = 'a\ud800b'
  assert 'a?b' in page_lib.render(document).encode('utf-8').decode('utf-8')


def test_imagenet_search_is_below_three_megabytes():
  assert len(page_lib.render(documents.imagenet(epochs=120)).encode('utf-8')) < MAX_BYTES


def test_shows_all_that_a_finished_search_has():
  reader = Reader(page_lib.render(documents.imagenet(epochs=12)))
  found = [attributes['id'] for attributes, _ in reader.all('section')]
  assert found == ['network', 'history', 'curves', 'costs', 'derivation', 'files', 'table', 'settings']
  strips = [attributes for attributes, _ in reader.all('figure') if attributes.get('class') == 'strip']
  assert len(strips) == 21 and {attributes['data-epochs'] for attributes in strips} == {'12'}


def test_every_section_is_in_the_contents():
  for document in (documents.comparison(), documents.tiny()):
    reader = Reader(page_lib.render(document))
    targets = [attributes['href'][1:] for attributes, _ in reader.all('a') if len(attributes['href']) > 1]
    assert targets == [attributes['id'] for attributes, _ in reader.all('section')]


def test_a_search_without_a_network_shows_the_most_likely_one():
  document = documents.running()
  run = document['runs'][0]
  labels = [decision['choices'][index]['label'] for decision, index in zip(run['decisions'], run['most_likely']['choices'][-1])]
  reader = Reader(page_lib.render(document))
  drawn = next(attributes['aria-label'] for attributes, _ in reader.all('svg') if attributes.get('class') == 'network')
  assert drawn.endswith('Network: conv 3x3, MB1 3x3, ' + ', '.join(labels) + ', conv 1x1, classifier')


def test_a_running_search_reloads_itself_and_others_do_not():
  assert '<noscript><meta http-equiv="refresh"' in page_lib.render(documents.running())
  assert 'about 10 min 20 s left' in page_lib.render(documents.running())
  assert 'http-equiv="refresh"' not in page_lib.render(documents.interrupted())


def test_names_what_could_not_be_read():
  text = page_lib.render(documents.interrupted())
  assert 'history.jsonl:3: not JSON; passed over' in text and 'SIGTERM' in text


def test_an_empty_run_says_so():
  reader = Reader(page_lib.render(documents.empty()))
  assert not reader.all('section') and 'Nothing to show yet' in ' '.join(text for _, text in reader.all('p'))


def test_other_documents_are_refused():
  for change in ({'schema': 'tf_proxyless/other'}, {'version': 1}, {'runs': []}):
    with pytest.raises(ValueError, match='document must be'):
      page_lib.render({**documents.tiny(), **change})


def test_columns_with_gaps_and_missing_columns_render():
  document = documents.tiny()
  history = document['runs'][0]['history']
  history['loss'] = [None, 1.0, None, 2.0, None, None]
  history['accuracy'] = [None] * 6
  del history['multiplier'], history['seconds'], history['most_likely_accuracy']
  Reader(page_lib.render(document))


def test_areas_of_a_strip_end_at_cumulated_probabilities():
  decision = documents.tiny()['runs'][0]['decisions'][0]
  decision['choices'] = decision['choices'][:2]
  paths = re.findall(r'd="(M0 1000V[^"]*)"', probabilities.strip(decision, [[0.25, 0.75], [0.1, 0.9], [0.0, 1.0]]))
  assert paths == ['M0 1000V0l1 0l1 0V1000Z', 'M0 1000V750l1 150l1 100V1000Z']


def test_every_decision_is_shown_with_what_it_is_of():
  document = documents.coupled('nested')
  text = page_lib.render(document)
  for decision in document['runs'][0]['decisions']:
    assert f'<b>{decision["label"]}</b>' in text and f'<td>{decision["tag"]}</td>' in text


def test_lines_break_where_values_are_missing():
  assert svg.polyline([(0, 0), (1, 1), None, (3, 3)], 's0') == '<path d="M0 0h0L1 1M3 3h0" class="line s0"/>'


def test_curves_say_where_they_begin_and_end():
  picture = charts.lines([charts.Series('sampled', [0, 1, 2], [0.1, None, 0.5])], charts.Axes('accuracy, %', 100.0))
  assert ElementTree.fromstring(picture).get('aria-label') == 'accuracy, % by epoch. sampled: from 10.0 to 50.0'


@pytest.mark.parametrize('values, expected', [
    ([0.0, 10.0], (0, 2, 4, 6, 8, 10)), ([0.03, 0.11], (0.02, 0.04, 0.06, 0.08, 0.1, 0.12)), ([84.0, 114.0], (80, 90, 100, 110, 120)),
    ([], (0, 0.2, 0.4, 0.6, 0.8, 1))])
def test_ticks_are_round_and_enclose_the_values(values, expected):
  axis = svg.linear_axis(values, 0, 100)
  assert axis.ticks == pytest.approx(expected)
  assert all(0 <= axis(value) <= 100 for value in values)


def test_axes_of_one_value_and_of_epochs():
  assert svg.linear_axis([5.0, 5.0], 0, 100)(5.0) == pytest.approx(50)
  assert svg.linear_axis([0, 3], 0, 100, 6, integers=True, tight=True).ticks == (0, 1, 2, 3)


def test_logarithmic_axis():
  axis = svg.logarithmic_axis([0.1, 100.0], 0, 100)
  assert axis.ticks == pytest.approx((0.1, 0.3, 1, 3, 10, 30, 100))
  assert svg.logarithmic_axis([1.0, 20.0], 0, 100).ticks == (1, 2, 5, 10, 20)
  assert axis(math.sqrt(0.1 * 100.0)) == pytest.approx(50)


@pytest.mark.parametrize('value, expected', [
    (0, '0'), (None, '–'), (82.529, '82.5'), (0.0376, '0.0376'), (1234567.0, '1\u202f234\u202f567'), (1e-9, '1.00e-09'), (-2.5, '-2.50')])
def test_numbers(value, expected):
  assert units.number(value) == expected


def test_units():
  assert [units.duration(value) for value in (None, 1.5, 75, 3599.9, 3661, 90000, 200000)] == [
      '–', '1.5 s', '1 min 15 s', '1 h 0 min', '1 h 1 min', '25 h 0 min', '2 d 7 h']
  assert (units.cost(320.4e6, 'MACs'), units.cost(82.53, 'ms'), units.cost(None, 'ms')) == ('320 M MACs', '82.5 ms', '–')
  assert (units.count(4_080_512), units.count(10_300), units.count(12), units.size(4_401_232)) == ('4.08 M', '10.3 k', '12', '4.40 MB')


def test_published_networks_far_beyond_the_samples_are_told_not_drawn():
  document = documents.imagenet(epochs=12)
  run = document['runs'][0]
  run['cost']['target'] = None
  run['published'][1]['cost'] = 10 * max(run['samples']['cost'])
  picture = re.search(r'(<svg[^>]*aria-label="accuracy, % over ms.*?</svg>)', page_lib.render(document))[1]
  texts = [text for text in (node.text for node in ElementTree.fromstring(picture).iter('text')) if text[:2] in ('1:', '2:', '3:')]
  assert texts == ['1: proxyless_mobile', '2: proxyless_cpu']
  assert 'Beyond the edge: proxyless_gpu at ' in page_lib.render(document)


def test_summary_sets_the_cost_against_the_target():
  run = documents.tiny()['runs'][0]
  run['network']['cost'], run['cost']['target'] = 90.0, 100.0
  assert '10.0 % below the target' in sections_lib.summary(run)
  run['network']['cost'] = 120.0
  assert '20.0 % above the target' in sections_lib.summary(run)


def test_latencies_that_rest_on_estimates_say_so():
  document = documents.tiny()
  assert 'estimates' not in page_lib.render(document).partition('id="table"')[0]
  document['runs'][0]['cost']['provenance'] = 'measured, estimated'
  before_the_table = page_lib.render(document).partition('id="table"')[0]
  assert 'latencies rest on estimates' in before_the_table and '>estimated, ' in before_the_table
