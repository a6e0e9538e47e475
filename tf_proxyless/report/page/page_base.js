// The document, elements, numbers, tooltips.

const data = JSON.parse(document.getElementById('data').textContent);
const [run] = data.runs;
const {history, decisions, cost} = run;
const SVG = 'http://www.w3.org/2000/svg';
const find = (id) => document.getElementById(id);
document.documentElement.classList.add('scripted');

// Text goes in as text and attributes as attributes, never as markup: names come from files.
function make(parent, tag, attributes = {}, text = null) {
  const node = parent instanceof SVGElement || tag === 'svg' ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== null) node.textContent = text;
  parent.append(node);
  return node;
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
const percent = (value) => (value == null ? '–' : (100 * value).toFixed(1) + ' %');
const factor = cost.unit === 'MACs' ? 1e-6 : 1;
const unit = cost.unit === 'MACs' ? 'M MACs' : cost.unit;
function number(value, digits = 3) {
  if (value == null) return '–';
  if (value === 0) return '0';
  const exponent = Math.floor(Math.log10(Math.abs(value)));
  if (exponent < -5 || exponent > 8) return value.toExponential(digits - 1);
  return value.toFixed(Math.max(digits - 1 - exponent, 0));
}
const price = (value) => (value == null ? '–' : number(factor * value) + ' ' + unit);

// Tooltips.
const tip = find('tip');
function tell(text, x, y) {
  tip.textContent = text;
  tip.classList.add('shown');
  const box = tip.getBoundingClientRect();
  tip.style.left = Math.max(6, Math.min(x + 14, innerWidth - box.width - 6)) + 'px';
  tip.style.top = (y + 18 + box.height > innerHeight ? Math.max(6, y - box.height - 12) : y + 18) + 'px';
}
const hush = () => tip.classList.remove('shown');
function adoptTitles(root) {  // a page's own tips come at once, and on phones too
  for (const title of root.querySelectorAll('title')) {
    title.parentNode.dataset.tip = title.textContent;
    title.remove();
  }
}
adoptTitles(document.body);
document.addEventListener('pointermove', (event) => {
  const target = event.target.closest && event.target.closest('[data-tip]');
  if (target) tell(target.dataset.tip, event.clientX, event.clientY);
  else if (!(event.target.closest && event.target.closest('[data-hover]'))) hush();
});
document.addEventListener('pointerdown', (event) => {
  const target = event.target.closest && event.target.closest('[data-tip]');
  if (target) tell(target.dataset.tip, event.clientX, event.clientY);
});
document.addEventListener('scroll', hush, {passive: true});
document.addEventListener('keydown', (event) => { if (event.key === 'Escape') hush(); });

const last = history.epoch.length - 1;
