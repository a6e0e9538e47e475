"""The document of a report: what it says agrees with itself and with the run."""

import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys

import pytest

from tests import golden
from tests import suites
from tests.report import documents
from tests.report.document import report_runs
from tests.space import spaces
from tf_proxyless.app import architectures
from tf_proxyless.measure import model_card
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.report.document import document as document_lib
from tf_proxyless.report.document import networks as networks_lib
from tf_proxyless.report.document import run_files as report_files
from tf_proxyless.report.page import page as page_lib
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import published
from tf_proxyless.space import schema


def test_the_document_has_the_form_that_pages_are_made_of(finished):
  """The contract, as the tests of the page have it."""
  expected, found = documents.tiny()['runs'][0], report_runs.read(finished)
  assert set(found) == set(expected)
  for name in ('cost', 'seconds', 'most_likely', 'samples', 'derivation', 'table', 'network'):
    assert set(found[name]) >= set(expected[name]), name
  for name in ('decisions', 'candidates', 'settings'):
    if isinstance(expected[name][0], dict):
      assert set(found[name][0]) >= set(expected[name][0]), name
  assert set(found['network']['blocks'][0]) == set(found['most_likely']['blocks'][0][0]) == set(expected['network']['blocks'][0])
  assert set(found['decisions'][0]['choices'][0]) >= set(expected['decisions'][0]['choices'][0])
  assert set(found['history']) >= set(expected['history']) and set(found['samples']['front']) >= set(expected['samples']['front'])
  assert {type(value) for row in found['settings'] for value in row} == {str}


def test_a_finished_run_has_no_problems(finished):
  found = report_runs.read(finished)
  assert (found['name'], found['state'], found['refreshing'], found['problems']) == ('phone_1ms', 'finished', False, [])
  assert found['versions'] == {'numpy': '2.0'}
  assert found['seconds'] == {'epochs': sum(10 + epoch for epoch in range(8)), 'left': None}
  assert ['', 'latency_table', 'phone.json'] in found['settings']
  assert ['', 'stage_filters', '8, 16'] in found['settings']


def test_nothing_says_where_on_this_machine_it_lies(finished):
  text = json.dumps(document_lib.document(finished.path, [finished.path]))
  for part in ('/home', '/tmp', str(finished.path), str(finished.path.parent), '--run_dir', 'data_dir'):
    assert part not in text


def test_probabilities_and_costs_of_choices_give_the_expected_cost_of_each_epoch(finished):
  """E[cost] = fixed + sum_d sum_i p_di cost_di, from parts of the document alone."""
  found = report_runs.read(finished)
  costs = [[choice['cost'] for choice in decision['choices']] for decision in found['decisions']]
  fixed = report_runs.cost_model().fixed
  for epoch, rows in enumerate(found['history']['probabilities']):
    expected = fixed + sum(p * cost for row, choices in zip(rows, costs) for p, cost in zip(row, choices))
    assert expected == pytest.approx(found['history']['expected_cost'][epoch], rel=1e-3)  # of four digits
    likely = fixed + sum(choices[index] for index, choices in zip(found['most_likely']['choices'][epoch], costs))
    assert likely == pytest.approx(found['history']['most_likely_cost'][epoch], rel=1e-5)


def test_blocks_add_up_to_the_network(finished):
  found = report_runs.read(finished)
  offset_ms = report_runs.make_table().calibration.offset_ms
  architecture = io.load_architecture(finished.architecture)
  assert found['network']['cost'] == pytest.approx(offset_ms + sum(block['cost'] for block in found['network']['blocks']), rel=1e-5)
  assert found['network']['cost'] == pytest.approx(architecture.cost.predicted_ms, rel=1e-6)
  assert (found['network']['macs'], found['network']['parameters']) == (architecture.cost.macs, architecture.cost.parameters)
  chosen, = (candidate for candidate in found['candidates'] if candidate['chosen'])
  assert chosen['cost'] == found['network']['cost'] <= found['cost']['target'] == report_runs.TARGET_MS
  assert found['cost']['smallest'] == pytest.approx(report_runs.cost_model().smallest)
  assert found['cost']['largest'] == pytest.approx(report_runs.cost_model().largest)


def test_networks_of_epochs_have_the_blocks_of_their_choices(finished):
  """The epoch whose most likely choices were derived has the blocks of the found network."""
  found = report_runs.read(finished)
  networks = found['most_likely']
  for choices, row in zip(networks['choices'], networks['variants']):
    genotype = schema.genotype(report_runs.SPACE, choices)
    network = schema.resolve(report_runs.SPACE, genotype)
    expected = networks_lib.network(network, networks_lib.Prices('ms', report_runs.make_table()))['blocks']
    assert report_files.to_json(expected) == [variants[number] for variants, number in zip(networks['blocks'], row)]


@pytest.mark.parametrize('name', suites.few(spaces.COUPLED, 1))
def test_runs_of_spaces_with_decisions_of_every_kind(tmp_path, name):
  space = spaces.COUPLED[name]()
  found = report_runs.read(report_runs.write(tmp_path / 'run', space=space, in_macs=name != 'widths'))
  assert found['problems'] == [] and found['network'] and found['derivation']['margins']
  known = schema.decisions(space)
  assert [(row['path'], row['tag'], len(row['choices'])) for row in found['decisions']] == [
      (decision.path, decision.tag, len(decision.choices)) for decision in known]
  for choices, row in zip(found['most_likely']['choices'], found['most_likely']['variants']):
    network = schema.resolve(space, schema.genotype(space, choices))
    shapes = [list(traced.output_shape) for traced in network_lib.trace(network)]
    assert shapes == [variants[number]['output'] for variants, number in zip(found['most_likely']['blocks'], row)]


def test_labels_of_decisions_and_choices():
  rows = networks_lib.decisions(spaces.nested(), None)
  assert [row['label'] for row in rows][:3] == ['block 1', 'block 1 choice 1 kernel size', 'block 1 choice 1 expand ratio']
  assert [choice['label'] for choice in rows[0]['choices']] == ['mbconv', 'sep 3x3', 'skip']
  assert [choice['label'] for choice in rows[1]['choices']] == ['3', '5']
  rows = networks_lib.decisions(spaces.widths(), None)
  assert rows[0]['label'] == 'width 1' and [choice['label'] for choice in rows[2]['choices']] == ['MB3 3x3', 'MB3 5x5', 'skip']


@pytest.mark.parametrize('op, label, form, kernel, expansion', [
    (ops.MBConv(8, 5, 1, 3), 'MB3 5x5', 'depthwise', 5, 3.0), (ops.MBConv(8, 3, 1, 1), 'MB1 3x3', 'depthwise', 3, 1.0),
    (ops.MBConv(8, 3, 1, 6, activation='hard_swish', se_ratio=0.25), 'MB6 3x3 SE HS', 'depthwise', 3, 6.0),
    (ops.MBConv(8, 3, 1, 6, groups=2), 'MB6 3x3 g2', 'depthwise', 3, 6.0), (ops.SeparableConv(8, 5), 'sep 5x5', 'depthwise', 5, 1.0),
    (ops.MBConv(8, 3, expanded_filters=20), 'MB2.5 3x3', 'depthwise', 3, 2.5), (ops.ConvBn(8, 3), 'conv 3x3', 'conv', 3, None),
    (ops.Pool('max', 3), 'max3', 'pool', 3, None), (ops.Classifier(10), 'classifier', 'dense', None, None),
    (ops.Zero(), 'skip', 'skip', None, None), (ops.Identity(), 'skip', 'skip', None, None)])
def test_operations_are_described_by_their_layers(op, label, form, kernel, expansion):
  assert networks_lib.describe(op, (8, 8, 8)) == {'label': label, 'form': form, 'kernel': kernel, 'expansion': expansion,
                                                   'skipped': form == 'skip'}


def test_a_run_of_the_first_edition(tmp_path):
  run = tmp_path / 'run'
  shutil.copytree(pathlib.Path(golden.__file__).parent / 'run_v1', run)
  found = report_runs.read(document_lib.run_directory.RunDirectory(run))
  assert found['problems'] == [] and found['state'] == 'finished' and found['cost']['target'] == 300000
  assert found['network']['cost'] == found['network']['macs'] <= 300000 and ['', 'seed', '0'] in found['settings']
  assert page_lib.render(document_lib.document(run))


def test_headings_order_the_settings(finished):
  headings = {'dataset': 'Data', 'resolution': 'Search space'}
  rows = report_runs.read(finished, headings=headings)['settings']
  assert rows[:2] == [['Data', 'dataset', 'digits'], ['Search space', 'resolution', '8']] and rows[2][0] == ''


def test_an_augmentation_that_the_images_decided_is_a_setting(tmp_path):
  run = report_runs.write(tmp_path / 'run')
  run.claim({}, augmentation='digits')
  assert ['', 'augmentation', 'digits (by the images)'] in report_runs.read(run)['settings']
  run.flags.write_text(f'{run.flags.read_text()}--augmentation=none\n')
  assert ['', 'augmentation', 'none'] in report_runs.read(run)['settings']


def test_a_search_for_macs_has_no_table(tmp_path):
  found = report_runs.read(report_runs.write(tmp_path / 'run', in_macs=True))
  assert found['problems'] == [] and found['table'] is None
  assert (found['cost']['unit'], found['cost']['of'], found['cost']['target']) == ('MACs', 'multiply-adds', report_runs.TARGET_MACS)
  assert found['network']['cost'] == found['network']['macs'] == sum(block['macs'] for block in found['network']['blocks'])


def test_published_networks_that_the_table_covers():
  space, _ = published.published('proxyless_mobile')
  table = report_runs.make_table(space)
  rows = networks_lib.published(space, networks_lib.Prices('ms', table))
  assert [(row['name'], row['top1_imagenet']) for row in rows] == [('proxyless_mobile', 0.746)]
  assert rows[0]['cost'] == model_lib.from_latency_table(published.network('proxyless_mobile'), table).fixed
  in_macs = networks_lib.published(space, networks_lib.Prices('MACs', None))
  assert [row['name'] for row in in_macs] == list(published.IMAGENET_NAMES) and round(in_macs[0]['cost'] / 1e6) == 320
  assert networks_lib.published(report_runs.SPACE, networks_lib.Prices('MACs', None)) == []  # 8 pixels


def test_the_table_says_what_is_estimated_and_how_well_it_predicts(finished):
  table = report_runs.read(finished)['table']
  assert table['provenance'] == {'measured': 18, 'published': 0, 'estimated': 4} and len(table['entries']) == 22
  assert [row['purpose'] for row in table['proof']] == ['calibration', 'validation', 'published']
  for row in table['proof']:
    assert row['measured_ms'] == pytest.approx(1.01 * row['predicted_ms'], rel=1e-6)


def test_the_proof_of_another_table_is_not_shown(tmp_path):
  run = report_runs.write(tmp_path / 'run')
  table = report_runs.make_table()
  report_runs.make_proof(dataclasses.replace(table, calibration=table_lib.Calibration(2.0, 0.0, 3)), run.latency_table_proof)
  found = report_runs.read(run)
  assert found['table']['proof'] is None
  assert found['problems'] == ['latency_table_proof.json: of another table: it predicts 2 ms for random_0, this one 1.375']


@pytest.fixture
def cards(finished, tmp_path):
  """Cards of the found network, as deployed with dropout in training, and of another one."""
  architecture = io.load_architecture(finished.architecture)
  found = architectures.adapt(architecture, 'found', None, dropout_rate=0.2).network
  choices = schema.Genotype({path: 0 for path in architecture.genotype})
  runtime = report_runs.RUNTIME
  paths = []
  for name, network in (('found', found), ('other', schema.resolve(report_runs.SPACE, choices))):
    measured = model_card.Measurement(latency_ms=1.25, p5_ms=1.2, p95_ms=1.5, runs=100, rounds=5, drift_percent=0.4, runtime=runtime,
                                      predicted=model_card.Prediction(1.0, 'planted', 'ab', 'measured', runtime))
    card = model_card.ModelCard(
        architecture='small', genotype={}, network=network, macs=1_000_000, parameters=9000, quantization='int8', how='qat',
        size_bytes=45678, sha256='ab' * 32, input=model_card.Tensor((1, 8, 8, 3), 'uint8', 1 / 255, 0),
        output=model_card.Tensor((1, 10), 'uint8', 0.1, 90), operators={}, labels=10, ovic=False, versions={},
        dataset='folder:/home/me/pets', test_images=360, accuracies={'float': 0.99, 'qat': 0.985, 'tflite': 0.98}, measured=(measured,))
    (tmp_path / name).mkdir()
    paths.append(tmp_path / name / 'model_card.json')
    model_card.save(card, paths[-1])
  return paths


def test_deployments(finished, cards):
  found, other = report_runs.read(finished, cards=cards)['deployments']
  assert (found['name'], found['same_network'], other['name'], other['same_network']) == ('found', True, 'other', False)
  assert (found['float_accuracy'], found['int8_accuracy'], found['dataset']) == (0.99, 0.98, 'folder:pets')
  assert (found['predicted_ms'], found['measured_ms'], found['measured_p5_ms'], found['measured_p95_ms']) == (1.0, 1.25, 1.2, 1.5)
  assert found['device'] == 'Pixel 9, builtin kernels, threads 1' and found['how'] == 'quantization-aware training'


def test_damaged_and_missing_cards(finished, cards):
  cards[0].write_text('{}')
  found = report_runs.read(finished, cards=[*cards, cards[1].with_name('gone_card.json')])
  assert [row['name'] for row in found['deployments']] == ['other']
  assert 'model_card.json: schema and version must be' in found['problems'][0] and 'gone_card.json: No such file' in found['problems'][1]


def test_cards_in_the_run_directory_are_found(tmp_path, cards):
  run = report_runs.write(tmp_path / 'run')
  (run.path / 'phone_card.json').write_bytes(cards[0].read_bytes())
  assert [row['name'] for row in report_runs.read(run, cards=[run.path / 'phone_card.json'])['deployments']] == ['phone']


def test_runs_side_by_side(tmp_path):
  one, two = report_runs.write(tmp_path / 'a' / 'search'), report_runs.write(tmp_path / 'b' / 'search', in_macs=True, state='running')
  document = document_lib.document(one.path, [two.path, tmp_path / 'c'])
  assert [run['name'] for run in document['runs']] == ['a/search', 'b/search', f'{tmp_path.name}/c']
  assert [run['state'] for run in document['runs']] == ['finished', 'running', 'empty']


@pytest.mark.parametrize('text, left', [
    ('/home/me/runs/phone/history.jsonl:3: bad', 'history.jsonl:3: bad'), ('folder:/home/me/pets', 'folder:pets'),
    ('see https://example.org/a/b for 3/4', 'see https://example.org/a/b for 3/4'), ("'/a/b c.json'", "'b c.json'"),
    ('blocks/block_1/op and ms / image', 'blocks/block_1/op and ms / image')])
def test_paths_are_cut_to_names(text, left):
  assert report_files.without_folders(text) == left


def test_reports_load_neither_tensorflow_nor_matplotlib():
  code = ('import sys; from tf_proxyless.report.document import document as document_lib; '
          'print({"tensorflow", "tf_keras", "matplotlib", "tensorflow_datasets"} & set(sys.modules))')
  result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True, timeout=60)
  assert result.stdout == 'set()\n'


def test_signatures_have_their_provenance(finished):
  """Estimated entries are marked in the network too."""
  found = report_runs.read(finished)
  table = {entry.signature: entry.latency.provenance for entry in report_runs.make_table().entries}
  network = io.load_architecture(finished.architecture).network
  for block, traced in zip(found['network']['blocks'], network_lib.trace(network)):
    signature = network_lib.op_signature(traced.block.op, traced.input_shape, traced.block.residual)
    assert block['provenance'] == table.get(signature)
