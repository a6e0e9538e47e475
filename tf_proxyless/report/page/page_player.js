// The player: the probabilities of an epoch as bars, its figures, slider, button and keys.

// Stacked bars: one row a decision, made once; then only widths change.
const rows = [];
function makeBars() {
  decisions.forEach((decision) => {
    const row = make(find('bars'), 'div', {class: 'row'});
    make(row, 'span', {}, decision.label);
    const bar = make(row, 'svg', {class: 'bar', role: 'img'});
    const ratios = [...new Set(decision.choices.map((choice) => choice.expansion).filter((value) => value != null))].sort((a, b) => a - b);
    const parts = decision.choices.map((choice) => {
      const rank = ratios.indexOf(choice.expansion);
      const tint = rank < 0 || rank === ratios.length - 1 ? 't2' : rank === 0 ? 't0' : 't1';
      const group = make(bar, 'g');
      return {group, rects: [make(group, 'rect', {class: `k ${keyOf(choice)} ${tint}`, height: 20}),
        make(group, 'rect', {class: 'p p-' + drawing.patterns[keyOf(choice)], height: 20})],
        text: make(group, 'text', {y: 14, 'text-anchor': 'middle'}, shorten(choice.label, 16))};
    });
    rows.push({decision, bar, parts, best: make(row, 'span')});
  });
}
function showBars(probabilities) {
  rows.forEach(({decision, bar, parts, best}, index) => {
    const values = probabilities[index], total = sum(values) || 1, pixels = bar.clientWidth || 400;
    let left = 0;
    parts.forEach(({group, rects, text}, choice) => {
      const share = values[choice] / total;
      for (const rect of rects) {
        rect.setAttribute('x', (left * 100).toFixed(2) + '%');
        rect.setAttribute('width', (share * 100).toFixed(2) + '%');
      }
      text.setAttribute('x', ((left + share / 2) * 100).toFixed(2) + '%');
      text.setAttribute('visibility', share * pixels > widthOf(text.textContent) ? 'visible' : 'hidden');
      group.dataset.tip = `${decision.label}: ${decision.choices[choice].label}\n${percent(values[choice])}, ${price(decision.choices[choice].cost)}`;
      left += share;
    });
    const top = values.indexOf(Math.max(...values));
    best.textContent = `${decision.choices[top].label} ${(100 * values[top]).toFixed(0)} %`;
    bar.setAttribute('aria-label', decision.label + ': ' + decision.choices.map((choice, i) => `${choice.label} ${percent(values[i])}`).join(', '));
  });
}

function showReadings() {
  const at = (name) => (history[name] ? history[name][current] : null);
  const readings = [['phase', at('phase')], ['expected cost', price(at('expected_cost')), 'one'], ['most likely network', price(at('most_likely_cost')), 'two'],
    ['target', price(cost.target)], ['its accuracy (validation)', percent(at('most_likely_accuracy'))], ['entropy', number(at('entropy'))]];
  find('readings').replaceChildren();
  for (const [name, value, kind] of readings) {
    const cell = make(find('readings'), 'div');
    make(cell, 'dt', {class: kind || ''}, name);
    make(cell, 'dd', {}, value);
  }
  showGauge(at('expected_cost'), at('most_likely_cost'));
}
function showGauge(expected, likely) {
  const gauge = find('gauge');
  gauge.replaceChildren();
  if (cost.smallest == null || cost.largest == null || cost.largest <= cost.smallest) return;
  const at = (value) => Math.max(0, Math.min(100, 100 * (value - cost.smallest) / (cost.largest - cost.smallest)));
  if (expected != null) make(gauge, 'b', {'data-tip': 'expected cost ' + price(expected)}).style.left = at(expected) + '%';
  if (likely != null) make(gauge, 'b', {'data-tip': 'most likely network ' + price(likely)}).style.left = at(likely) + '%';
  make(gauge, 'span', {class: 'low'}, 'cheapest ' + price(cost.smallest));
  make(gauge, 'span', {class: 'high'}, 'dearest ' + price(cost.largest));
  if (cost.target == null) return;
  make(gauge, 'i').style.left = at(cost.target) + '%';
  if (innerWidth > 640 && at(cost.target) > 22 && at(cost.target) < 78) make(gauge, 'span', {}, 'target ' + price(cost.target)).style.left = at(cost.target) + '%';
}

// The player.
const player = find('player');
const slider = find('epoch');
let timer = null;
function go(index) {
  current = Math.max(0, Math.min(last, index));
  slider.value = current;
  const words = `epoch ${history.epoch[current]} of ${history.epoch[last]}`;
  slider.setAttribute('aria-valuetext', words);
  find('now').textContent = words;
  drawNetwork(run.most_likely.choices[current]);
  showBars(history.probabilities[current]);
  showReadings();
  for (const chart of charts) chart.rest();
  for (const {mark} of strips) mark.style.left = (last ? 100 * current / last : 50) + '%';
}
function stop() {
  clearInterval(timer);
  timer = null;
  showButton(false);
}
function showButton(playing) {
  const button = find('play');
  button.setAttribute('aria-pressed', playing);
  button.replaceChildren();
  make(button, 'span', {'aria-hidden': true}, playing ? '❚❚' : '▶');
  button.append(playing ? ' Pause' : ' Play');
}
function play() {
  if (timer !== null) return stop();
  if (current === last) go(0);
  timer = setInterval(() => { if (current < last) go(current + 1); if (current === last) stop(); }, Math.max(60, Math.min(350, 15000 / (last + 1))));
  showButton(true);
}
function step(event) {
  const steps = {ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10};
  if (event.altKey || event.ctrlKey || event.metaKey || !(event.key in steps)) return false;
  event.preventDefault();
  stop();
  go(current + steps[event.key]);
  return true;
}
const strips = [];
function setUpStrips() {
  document.querySelectorAll('.strip').forEach((strip, index) => {
    const {label, choices} = decisions[index];
    const mark = make(strip, 'i', {'aria-hidden': true});
    strips.push({mark});
    const at = (event) => {
      const box = strip.getBoundingClientRect();
      return Math.max(0, Math.min(last, Math.round(last * (event.clientX - box.left) / box.width)));
    };
    strip.firstElementChild.addEventListener('click', (event) => { stop(); go(at(event)); });
    strip.firstElementChild.addEventListener('pointerleave', hush);
    strip.firstElementChild.addEventListener('pointermove', (event) => {
      event.stopPropagation();  // the document would hush
      const values = history.probabilities[at(event)];
      const order = values.map((_, choice) => choice).sort((a, b) => values[b] - values[a]).slice(0, 3);
      tell([`${label}, epoch ${history.epoch[at(event)]}`, ...order.map((choice) => `${choices[choice].label} ${percent(values[choice])}`)].join('\n'),
           event.clientX, event.clientY);
    });
  });
}
