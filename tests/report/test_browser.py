import contextlib
import json
import time

import pytest

from tests import programs
from tests import suites
from tests.report import documents
from tf_proxyless.infra import files
from tf_proxyless.report.drawing import network as drawing
from tf_proxyless.report.page import page as page_lib

webdriver = pytest.importorskip('selenium.webdriver')
from selenium.webdriver.chrome import service as service_lib  # noqa: E402
from selenium.webdriver.common import keys as keys_lib  # noqa: E402

KEYS = keys_lib.Keys
FLAGS = ('--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
         '--disable-component-update', '--disable-sync')


@pytest.fixture(scope='module')
def driver(tmp_path_factory):
  options = webdriver.ChromeOptions()
  options.binary_location = programs.require('chromium')
  for flag in (*FLAGS, f'--user-data-dir={tmp_path_factory.mktemp("profile")}'):
    options.add_argument(flag)
  options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
  started = webdriver.Chrome(options=options, service=service_lib.Service(programs.require('chromedriver', 'chromium-driver')))
  started.set_script_timeout(10)
  yield started
  started.quit()


@pytest.fixture(name='open_page')
def open_page_fixture(driver, tmp_path):
  """Opens the page of a document at a width in px; afterwards nothing may have been said in the console."""
  def opened(document, width=1280, height=900):
    path = tmp_path / 'report.html'
    path.write_text(page_lib.render(document), encoding='utf-8')
    driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride',
                           {'width': width, 'height': height, 'deviceScaleFactor': 1, 'mobile': width < 500})
    driver.get(path.as_uri())
    return driver

  yield opened
  assert driver.get_log('browser') == []


def wait_for(condition, seconds=60.0):
  end = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < end, 'waited in vain'
    time.sleep(0.02)


def attribute(driver, identity, name):
  return driver.execute_script('return document.getElementById(arguments[0]).getAttribute(arguments[1])', identity, name)


def shown_epoch(driver):
  return int(driver.execute_script('return document.getElementById("epoch").value'))


def bars(driver):
  return driver.execute_script('return [...document.querySelectorAll(".bar")].map((bar) => bar.getAttribute("aria-label"))')


@pytest.mark.parametrize('name', suites.few(documents.ALL, 5))
def test_opens_without_a_word_in_the_console_and_fits_a_phone(open_page, name):
  driver = open_page(documents.make(name), width=360, height=740)
  assert driver.execute_script('return document.documentElement.scrollWidth') <= 360
  outside = driver.execute_script('''
      return [...document.querySelectorAll("main *")].filter(
          (node) => !node.closest(".scroll") && !node.parentElement.closest("svg") && node.getClientRects().length
              && node.getBoundingClientRect().right > 361).map((node) => node.outerHTML.slice(0, 80));''')
  assert outside == []
  assert not driver.execute_script('return "attacked" in window')


CLIPPED = '''
    const beyond = (text, box) => text.right > box.right + 1 || text.left < box.left - 1
        || text.bottom > box.bottom + 1 || text.top < box.top - 1;
    return [...document.querySelectorAll("svg text")].filter((text) => text.getClientRects().length
        && text.getAttribute("visibility") !== "hidden"
        && beyond(text.getBoundingClientRect(), text.ownerSVGElement.getBoundingClientRect())).map((text) => text.textContent);'''


@pytest.mark.parametrize('name', suites.few(documents.ALL, 5))
def test_no_text_is_cut_off_by_its_picture(open_page, name):
  document = documents.make(name)
  for run in document['runs']:
    for row in run['deployments']:
      row['name'] = 'mobilenet_v2'
    if run['samples']:  # the last tick is 0.150 ms
      run['samples'].update(cost=[0.149 * cost / max(run['samples']['cost']) for cost in run['samples']['cost']])
  assert open_page(document).execute_script(CLIPPED) == []


@pytest.mark.parametrize('name', ['imagenet', 'macs', 'widths', 'nested', 'resolutions'])
def test_draws_the_network_of_an_epoch_as_python_does(open_page, name):
  """The boxes, where they are on the screen, those of the picture of that network alone."""
  document = documents.make(name)
  driver = open_page(document)
  networks, unit = document['runs'][0]['most_likely'], document['runs'][0]['cost']['unit']
  all_blocks = [drawing.at(networks, index) for index in range(len(networks['variants']))]
  scale = drawing.scale(all_blocks)
  width = max(map(scale.extent, all_blocks))
  driver.execute_script('window.slider = document.getElementById("epoch")')
  for epoch in (0, len(all_blocks) // 2, len(all_blocks) - 1):
    driver.execute_script('slider.value = arguments[0]; slider.dispatchEvent(new Event("input"))', epoch)
    found = driver.execute_script('''
        const frame = document.getElementById("frame");
        const other = new DOMParser().parseFromString(arguments[0], "text/html").querySelector("svg");
        frame.parentElement.append(other);
        const boxes = (svg) => [...svg.querySelectorAll("rect, .block text, g text, circle")].filter((node) => node.getClientRects().length)
            .map((node) => { const [box, at] = [node.getBoundingClientRect(), svg.getBoundingClientRect()];
                             return [box.left - at.left, box.top - at.top, box.width, box.height]; });
        const result = [boxes(frame), boxes(other)];
        other.remove();
        return result;''', drawing.render(all_blocks[epoch], unit, scale, width))
    assert len(found[0]) == len(found[1]) > 5
    for box, expected in zip(*found):
      assert box == pytest.approx(expected, abs=0.2)


@pytest.mark.long
def test_slider_moves_by_keys_and_shows_that_epoch(open_page):
  document = documents.imagenet(epochs=12)
  run = document['runs'][0]
  driver = open_page(document)
  assert shown_epoch(driver) == 11
  slider = driver.find_element('id', 'epoch')
  for key, epoch in ((KEYS.HOME, 0), (KEYS.ARROW_RIGHT, 1), (KEYS.END, 11), (KEYS.ARROW_LEFT, 10)):
    slider.send_keys(key)
    assert driver.find_element('id', 'now').text == f'epoch {epoch} of 11'
    assert attribute(driver, 'epoch', 'aria-valuetext') == f'epoch {epoch} of 11'
    probabilities = run['history']['probabilities'][epoch]
    expected = [f'{decision["label"]}: ' + ', '.join(f'{choice["label"]} {100 * value:.1f} %'
                                                     for choice, value in zip(decision['choices'], row))
                for decision, row in zip(run['decisions'], probabilities)]
    assert bars(driver) == expected
    assert f'{run["history"]["expected_cost"][epoch]:.3g} ms' in driver.find_element('id', 'readings').text


def test_plays_where_costs_are_not_known(open_page):
  """As of a run whose latency table cannot be read."""
  document = documents.tiny()
  run = document['runs'][0]
  run['cost'].update(target=None, smallest=None, largest=None)
  driver = open_page(document)
  for epoch in (4, 3):
    driver.find_element('id', 'epoch').send_keys(KEYS.ARROW_LEFT)
    assert driver.find_element('id', 'now').text == f'epoch {epoch} of 5'
  assert not driver.find_element('id', 'gauge').is_displayed()


def test_space_plays_to_the_end_and_stops(open_page):
  driver = open_page(documents.tiny())
  driver.execute_script('''
      const now = document.getElementById("now");
      window.seen = [];
      new MutationObserver(() => seen.push(now.textContent)).observe(now, {childList: true});''')
  driver.find_element('id', 'epoch').send_keys(' ')
  wait_for(lambda: driver.execute_script('return seen.length') == 6)
  wait_for(lambda: attribute(driver, 'play', 'aria-pressed') == 'false')
  assert driver.execute_script('return seen') == [f'epoch {epoch} of 5' for epoch in range(6)]


@pytest.mark.long
def test_button_pauses_and_curves_follow(open_page):
  driver = open_page(documents.imagenet(epochs=60))
  button = driver.find_element('id', 'play')
  button.click()
  wait_for(lambda: 2 <= shown_epoch(driver) < 59)
  button.click()
  assert button.text.endswith('Play')
  epoch, cursor = shown_epoch(driver), driver.find_element('css selector', '#curves .cursor')
  before = cursor.get_attribute('d')
  driver.find_element('id', 'epoch').send_keys(KEYS.ARROW_LEFT)
  assert shown_epoch(driver) == epoch - 1 and cursor.get_attribute('d') != before


def test_pointers_are_told_what_is_under_them(open_page):
  document = documents.imagenet(epochs=12)
  driver = open_page(document)
  tip = driver.find_element('id', 'tip')
  for selector, expected in (('#curves [data-hover]', 'sampled networks, training: '), ('#network [data-tip]', 'stem: conv 3x3'),
                             ('#costs [data-hover]', ' ms, ')):
    target = driver.find_element('css selector', selector)
    driver.execute_script('arguments[0].scrollIntoView({block: "center"})', target)
    chain = webdriver.ActionChains(driver, duration=0)
    chain.move_to_element(target).perform()
    wait_for(lambda expected=expected: expected in driver.execute_script('return arguments[0].textContent', tip))


@pytest.mark.long
def test_keys_step_through_points_and_epochs_of_charts(open_page):
  document = documents.imagenet(epochs=12)
  driver = open_page(document)
  points = driver.find_element('css selector', '#costs [data-hover]')
  points.send_keys(KEYS.ARROW_RIGHT)
  first = driver.execute_script('return document.getElementById("tip").textContent')
  points.send_keys(KEYS.ARROW_RIGHT)
  assert first.startswith('sampled\n') and driver.execute_script('return document.getElementById("tip").textContent') != first
  points.send_keys(KEYS.ESCAPE)
  assert driver.execute_script('return getComputedStyle(document.getElementById("tip")).opacity') == '0'
  driver.find_element('css selector', '#curves [data-hover]').send_keys(KEYS.ARROW_LEFT)
  assert shown_epoch(driver) == 10


def test_saves_the_document(open_page):
  document = documents.tiny()
  driver = open_page(document)
  driver.execute_script('''
      window.blobs = [];
      const create = URL.createObjectURL;
      URL.createObjectURL = (blob) => { blobs.push(blob); return create(blob); };
      document.getElementById("save").addEventListener("click", (event) => event.preventDefault());
      document.getElementById("save").click();''')
  assert json.loads(driver.execute_async_script('blobs[0].text().then(arguments[0])')) == document


def test_is_readable_without_scripts(driver, open_page):
  driver.execute_cdp_cmd('Emulation.setScriptExecutionDisabled', {'value': True})
  try:
    open_page(documents.imagenet(epochs=12))
    visible = {identity: driver.find_element('id', identity).is_displayed() for identity in ('network', 'curves', 'costs', 'player')}
    assert visible == {'network': True, 'curves': True, 'costs': True, 'player': False}
    assert 'With JavaScript' in driver.find_element('css selector', '#history noscript').text
  finally:
    driver.execute_cdp_cmd('Emulation.setScriptExecutionDisabled', {'value': False})


def test_paper_has_no_controls(driver, open_page):
  open_page(documents.tiny())
  driver.execute_cdp_cmd('Emulation.setEmulatedMedia', {'media': 'print'})
  try:
    assert not driver.find_element('id', 'player').is_displayed()
    assert driver.find_element('css selector', '#network svg.network').is_displayed()
  finally:
    driver.execute_cdp_cmd('Emulation.setEmulatedMedia', {'media': ''})


@contextlib.contextmanager
def clockwork(driver):
  """What a page does every 10 seconds is done when the test calls `tenSeconds`, and then 10 seconds have passed."""
  script = '''
      const [slow, now] = [window.setInterval, Date.now];
      let late = 0;
      window.setInterval = (call, wait) => wait !== 10000 ? slow(call, wait)
          : (window.tenSeconds = () => { late += 10000; setTimeout(call); });
      Date.now = () => now() + late;'''
  identity = driver.execute_cdp_cmd('Page.addScriptToEvaluateOnNewDocument', {'source': script})['identifier']
  try:
    yield
  finally:
    driver.execute_cdp_cmd('Page.removeScriptToEvaluateOnNewDocument', {'identifier': identity})


def test_a_running_search_reloads_and_keeps_the_place(driver, open_page, tmp_path):
  document = documents.running()
  with clockwork(driver):
    open_page(document)
    driver.find_element('id', 'epoch').send_keys(KEYS.HOME)
    wait_for(lambda: shown_epoch(driver) == 0)
    driver.execute_script('document.querySelector("details").open = true; scrollTo(0, 300)')
    document['runs'][0]['settings'][-1][-1] = 'written anew'
    files.write_atomically(tmp_path / 'report.html', page_lib.render(document))
    driver.execute_script('tenSeconds()')
    wait_for(lambda: driver.execute_script(
        'return document.readyState === "complete" && document.body.textContent.includes("written anew")'))
    wait_for(lambda: shown_epoch(driver) == 0)
    assert driver.execute_script('return [document.querySelector("details").open, scrollY]') == [True, 300]
    driver.execute_script('document.getElementById("reload").click(); window.before = true; tenSeconds()')
    time.sleep(0.3)
    assert driver.execute_script('return window.before')


def test_a_finished_search_does_not_reload(driver, open_page):
  with clockwork(driver):
    open_page(documents.interrupted())
    assert driver.execute_script('return typeof tenSeconds') == 'undefined'
