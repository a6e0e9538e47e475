// The network of an epoch, by the rules of drawing.py and network_svg.py.
function resolve(choices) {
  return run.fixed_blocks.blocks.map((block) => (block.decision == null ? block
    : {...block, ...decisions[block.decision].choices[choices[block.decision]], decision: block.decision}));
}
function keyOf(block) {
  if (block.kind === 'zero') return 'skip';
  if (block.kind !== 'mbconv') return 'fixed';
  return drawing.patterns['k' + block.kernel] ? 'k' + block.kernel : 'other';
}
const widthsOf = (blocks) => blocks.map((block) => (block.kind === 'zero' ? 0 : known ? block.cost : 1));
const widthOf = (text) => drawing.character * text.length;
const sum = (values) => values.reduce((total, value) => total + value, 0);
let known = true, perUnit = 1, tallest = drawing.tallest, frameWidth = 0;
function measure() {
  if (!run.fixed_blocks) return;
  const all = run.most_likely.choices.map(resolve);
  known = all.every((blocks) => blocks.every((block) => block.cost != null));
  perUnit = drawing.blocks_width / (Math.max(...all.map((blocks) => sum(widthsOf(blocks)))) || 1);
  tallest = Math.max(tallest, ...run.fixed_blocks.blocks.map((block) => block.expansion || 1),
                     ...decisions.flatMap((decision) => decision.choices.map((choice) => choice.expansion || 1)));
  frameWidth = (drawing.blocks_width + drawing.gap * (run.fixed_blocks.blocks.length + 1)) * drawing.scale_x;
}
function drawNetwork(choices) {
  const svg = find('frame');
  if (!run.fixed_blocks) return;
  const {gap, scale_x: sx, scale_y: sy, top, thinnest} = drawing;
  const blocks = resolve(choices);
  const widths = widthsOf(blocks);
  const lineY = top + (drawing.arc_height + drawing.height / 2) * sy;
  const bottom = top + (drawing.height + 2 * drawing.arc_height) * sy + drawing.bottom - 30;
  svg.setAttribute('viewBox', `0 0 ${frameWidth.toFixed(0)} ${bottom.toFixed(0)}`);
  svg.setAttribute('aria-label', `Epoch ${history.epoch[current]}: ` + blocks.map((block) => block.label).join(', '));
  svg.replaceChildren();
  const total = sum(widths) || 1;
  let x = gap, occupied = -1;
  const mark = (at, size) => {
    const low = at < occupied, text = `${size[0]}×${size[1]}`;
    make(svg, 'path', {class: 'mark', d: `M${at} ${low ? 17 : 4}V${bottom}`});
    make(svg, 'text', {class: 'small strong', x: at + 4, y: low ? 26 : 13}, text);
    occupied = low ? -1 : at + 8 + widthOf(text);
  };
  const length = sum(widths.map((width, index) => (blocks[index].kind === 'zero' ? 0 : Math.max(width * perUnit, thinnest)) + gap)) + gap;
  make(svg, 'path', {class: 'spine', d: `M0 ${lineY}H${length * sx}`});
  mark(0, run.fixed_blocks.input);
  blocks.forEach((block, index) => {
    const skipped = block.kind === 'zero', key = keyOf(block);
    const width = (skipped ? 0 : Math.max(widths[index] * perUnit, thinnest)) * sx;
    const height = drawing.height * (block.expansion || 1) / tallest * sy;
    const left = x * sx, y = lineY - height / 2;
    const group = make(svg, 'g', {'data-tip': `${block.name}: ${block.label}\n${block.input.join('×')} → ${block.output.join('×')}` +
      (skipped ? '' : `\n${price(block.cost)}, ${(100 * widths[index] / total).toFixed(1)} % of all blocks`)});
    if (skipped) {
      make(group, 'circle', {class: 'skip', cx: left, cy: lineY, r: 3.4});
    } else {
      if (block.residual) {
        const x0 = left - gap * sx / 2, x1 = left + width + gap * sx / 2, peak = y - .62 * drawing.arc_height * sy;
        make(group, 'path', {class: 'arc',
          d: `M${x0} ${lineY}V${y}Q${x0} ${peak} ${(x0 + x1) / 2} ${peak}Q${x1} ${peak} ${x1} ${y}V${lineY}`});
      }
      make(group, 'rect', {class: 'k ' + key, x: left, y, width, height});
      make(group, 'rect', {class: 'p p-' + drawing.patterns[key], x: left, y, width, height});
      const label = shorten(block.label, 16), length = widthOf(label), middle = left + width / 2;
      const lying = width >= length + 10 && height >= 18, standing = width >= drawing.inside_width && height >= length + 4;
      const at = lying ? `translate(${middle} ${lineY + 4})` : standing ? `translate(${middle + 4} ${lineY}) rotate(-90)`
        : `translate(${middle - 3.5} ${y + height + 5}) rotate(90)`;
      make(group, 'text', {class: lying || standing ? 'inbox mid' : 'small', transform: at}, label);
    }
    x += width / sx + gap;
    if (block.strides > 1) mark((x - gap / 2) * sx, block.output);
  });
}
