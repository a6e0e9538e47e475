"""What is varied, and who a process is among several."""

import pytest

from tf_proxyless.app import tuning


@pytest.mark.parametrize('text, expected', [
    ('learning_rate=1e-3:0.5:log', tuning.Hyperparameter('learning_rate', 1e-3, 0.5, 'log')),
    ('label_smoothing=0:0.2', tuning.Hyperparameter('label_smoothing', 0.0, 0.2, 'linear')),
    ('warmup_epochs=-1.5:2:linear', tuning.Hyperparameter('warmup_epochs', -1.5, 2.0, 'linear')),
    ('epochs=5:30:integer', tuning.Hyperparameter('epochs', 5.0, 30.0, 'integer')),
    ('optimizer=sgd|rmsprop', tuning.Hyperparameter('optimizer', choices=('sgd', 'rmsprop'))),
])
def test_forms(text, expected):
  assert tuning.parse(text) == expected


@pytest.mark.parametrize('text', [
    '', 'learning_rate', 'learning_rate=', 'learning_rate=1', '=1:2', 'a-b=1:2', 'learning_rate=1:2:sqrt', 'learning_rate=1:2:log:3',
    'learning_rate=a:b', 'epochs=1.5:3:integer', 'a=2:1', 'a=1:1', 'a=0:1:log', 'a=-1:1:log', 'a=nan:1', 'a=0:inf', 'a=|b', 'a=b|b'])
def test_other_forms_are_refused(text):
  with pytest.raises(ValueError) as error:
    tuning.parse(text)
  assert repr(text) in str(error.value)


def variables(**given):
  return {f'KERASTUNER_{name.upper()}': value for name, value in given.items()}


def test_roles_are_those_of_keras_tuner():
  alone = tuning.role({})
  assert alone == tuning.Role() and not alone.is_chief and not alone.is_worker
  assert tuning.role(variables(tuner_id='chief')) == tuning.Role()  # as keras-tuner has it: without an address
  chief = tuning.role(variables(tuner_id='my_chief', oracle_ip='10.0.0.1', oracle_port='8000'))
  assert (chief.address, chief.is_chief, chief.is_worker) == ('10.0.0.1:8000', True, False)
  worker = tuning.role(variables(tuner_id='tuner7', oracle_ip='localhost', oracle_port='8000'))
  assert (worker.tuner_id, worker.is_chief, worker.is_worker) == ('tuner7', False, True)


@pytest.mark.parametrize('given, message', [
    (dict(oracle_ip='localhost'), 'KERASTUNER_ORACLE_IP is set, but KERASTUNER_ORACLE_PORT is not'),
    (dict(oracle_ip='localhost', oracle_port='8000'), 'KERASTUNER_ORACLE_IP is set, but KERASTUNER_TUNER_ID is not'),
    (dict(oracle_port='8000', tuner_id='chief'), 'KERASTUNER_ORACLE_PORT is set, but KERASTUNER_ORACLE_IP is not'),
    (dict(oracle_ip='localhost', oracle_port='80000', tuner_id='a'), "KERASTUNER_ORACLE_PORT must be a port from 1 to 65535, got '80000'"),
    (dict(oracle_ip='localhost', oracle_port='http', tuner_id='a'), 'KERASTUNER_ORACLE_PORT must be a port'),
    (dict(oracle_ip='localhost', oracle_port='8000', tuner_id='../a'), "KERASTUNER_TUNER_ID must be letters, digits")])
def test_wrong_variables(given, message):
  with pytest.raises(ValueError, match=message):
    tuning.role(variables(**given))
