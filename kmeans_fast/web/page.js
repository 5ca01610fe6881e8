// What the reader does, and what it changes. Each part is drawn again only if it is another.
const $ = (id) => document.getElementById(id);
const data = JSON.parse($('data').textContent);
const views = data.views, last = views.length - 1;
const embedded = document.documentElement.classList.contains('embedded');  // in a notebook
const PLAY_MS = 900, LABELLED = embedded ? 0 : 36;  // more swatches than that stand without labels
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const percent = (part) => (part >= 0.9995 ? '100' : (100 * part).toPrecision(part < 1e-4 ? 1 : 2)) + ' %';

const places = bytes(data.places), sizes = bytes(data.sizes);  // by share; together no more than fits
const area = sizes.reduce((sum, size) => sum + (size / 16) ** 2, 0), fits = Math.min(1, Math.sqrt(2e5 / area)) / 16;
const cloud = makeCloud($('cloud'), $('corners'), places, Float32Array.from(sizes, (size) => size * fits));
let at = -1, timer = 0, split = 50, peeking = false, toasting = 0;

// ---------------------------------------------------------------------- names of colours
const HUES = [[20, 'rose'], [36, 'red'], [75, 'orange'], [113, 'yellow'], [165, 'green'],
  [200, 'teal'], [230, 'cyan'], [285, 'blue'], [322, 'violet'], [345, 'magenta'], [361, 'rose']];
function nameOf(hex) {  // by its OKLCH: lightness, colourfulness and hue
  const [r, g, b] = rgb(hex).map((v) => (v > 10 ? ((v / 255 + 0.055) / 1.055) ** 2.4 : v / 3294.6));
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  const light = 0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s;
  const x = 1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s;
  const y = 0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s;
  const chroma = Math.hypot(x, y), angle = (Math.atan2(y, x) * 180 / Math.PI + 360) % 360;
  if (light < 0.14) return 'black';
  if (chroma < 0.018) {
    return light > 0.96 ? 'white' : light > 0.8 ? 'light grey' : light > 0.5 ? 'grey' : light > 0.3 ? 'dark grey' : 'near black';
  }
  let hue = HUES.find(([end]) => angle < end)[1];
  if (hue === 'orange' && light < 0.62 && chroma < 0.14) hue = 'brown';
  if (hue === 'yellow' && light < 0.66) hue = 'olive';
  if (hue === 'green' && angle < 130 && light > 0.75 && chroma > 0.14) hue = 'lime';
  if (hue === 'orange' && light > 0.74 && chroma < 0.09) hue = 'sand';
  if (hue === 'magenta' && chroma < 0.1) hue = 'mauve';
  if ((hue === 'red' || hue === 'rose') && chroma < 0.13 && light > 0.65) hue = 'pink';
  if (chroma < 0.045) hue = `${hue} grey`;
  return (light < 0.3 ? 'deep ' : light < 0.45 ? 'dark ' : light > 0.88 ? 'pale ' : light > 0.74 ? 'light ' : '') + hue;
}

// --------------------------------------------------------------------------- the picture
$('original').src = data.original;
$('frame').style.setProperty('--ratio', data.width / data.height);
$('frame').classList.toggle('tiny', Math.max(data.width, data.height) < 200);
function divide(part) {
  split = Math.max(0, Math.min(100, part));
  const shown = peeking ? 100 : split;
  $('frame').style.setProperty('--split', `${shown}%`);
  $('handle').setAttribute('aria-valuenow', Math.round(split));
  $('handle').setAttribute('aria-valuetext', `${Math.round(split)} % original`);
}
function peek(on) {
  on ||= !views.length;  // no K, only the original
  if (on === peeking) return;
  peeking = on;
  $('frame').classList.toggle('peek', on);
  divide(split);
  colorCloud();
}
function drag(event) {
  const box = $('frame').getBoundingClientRect();
  divide(100 * (event.clientX - box.left) / box.width);
}
$('frame').addEventListener('pointerdown', (event) => {
  if (event.button) return;
  $('frame').setPointerCapture(event.pointerId);
  drag(event);
});
$('frame').addEventListener('pointermove', (event) => {
  if ($('frame').hasPointerCapture(event.pointerId)) drag(event);
});
$('handle').addEventListener('keydown', (event) => {
  const to = {ArrowLeft: split - 5, ArrowRight: split + 5, Home: 0, End: 100}[event.key];
  if (to === undefined) return;
  divide(to);
  event.preventDefault();
  event.stopPropagation();
});

// ----------------------------------------------------------------------------- the cloud
function colorCloud() {
  if (peeking) {
    cloud.paint(places);
    cloud.mark([], []);
    return;
  }
  const view = views[at], palette = view.palette.map(rgb);
  view.labels = typeof view.labels === 'string' ? bytes(view.labels) : view.labels;
  const {labels} = view, wide = palette.length > 256, n = places.length / 3;
  const colors = new Uint8Array(3 * n);
  for (let i = 0; i < n; i++) {
    const color = palette[wide ? labels[2 * i] + 256 * labels[2 * i + 1] : labels[i]];
    for (let c = 0; c < 3; c++) colors[3 * i + c] = color[c];
  }
  cloud.paint(colors);
  cloud.mark(Uint8Array.from(palette.flat()), view.shares.map((share) => (palette.length > 32 ? 5 : 9) + 34 * Math.sqrt(share)));
}

// --------------------------------------------------------------------------- the palette
function say(text) {
  $('toast').textContent = text;
  $('toast').classList.add('shown');
  clearTimeout(toasting);
  toasting = setTimeout(() => $('toast').classList.remove('shown'), 1600);
}
async function copy(text, said) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {  // not allowed, or not there
    const area = document.body.appendChild(document.createElement('textarea'));
    area.value = text;
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  say(`${said} copied`);
}
function swatch(hex, share) {
  const name = nameOf(hex), [r, g, b] = rgb(hex), item = document.createElement('li');
  const button = item.appendChild(document.createElement('button'));
  button.style.background = hex;
  button.style.color = 0.299 * r + 0.587 * g + 0.114 * b > 140 ? '#000' : '#fff';
  button.dataset.hex = hex;
  button.title = `${hex}, ${percent(share)}, ${name}`;
  button.setAttribute('aria-label', `Copy ${button.title}`);
  for (const [tag, text, parent] of [['span', percent(share), button], ['code', hex, button], ['small', name, item]]) {
    parent.appendChild(document.createElement(tag)).textContent = text;
  }
  return item;
}
function showPalette({palette, shares}) {
  const many = palette.length > LABELLED;
  $('palette').classList.toggle('many', many);
  $('palette').replaceChildren(...palette.map((hex, i) => swatch(hex, shares[i])));
  let from = 0;
  const stops = palette.map((hex, i) => `${hex} ${100 * from}% ${100 * (from += shares[i])}%`);
  $('strip').style.background = `linear-gradient(90deg, ${stops})`;
  $('readout').textContent = embedded ? 'point at one for its name' : many ? 'point at a colour for its name; click to copy it' : 'click a colour to copy it';
}
for (const name of ['pointerover', 'focusin']) {
  $('palette').addEventListener(name, (event) => {
    if (event.target.closest('button')) $('readout').textContent = event.target.closest('button').title;
  });
}
$('palette').addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (button) copy(button.dataset.hex, button.dataset.hex);
});
$('copy-all').addEventListener('click', () => {
  const {palette} = views[at];
  copy(palette.join('\n'), palette.length === 1 ? '1 colour' : `${palette.length} colours`);
});

// ------------------------------------------------------------------------------- the elbow
function drawElbow() {
  const svg = $('elbow'), wide = svg.clientWidth, high = svg.clientHeight;
  const known = views.map((view) => view.error).filter((error) => error > 0);
  svg.replaceChildren();
  if (!known.length || !wide) return;
  const add = (tag, attributes, text = '') => {
    const made = svg.appendChild(document.createElementNS('http://www.w3.org/2000/svg', tag));
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return made;
  };
  const most = Math.log10(Math.max(...known)), least = Math.log10(Math.min(...known));
  const none = known.length < views.length;  // some K is exact: below all others
  const top = most + 0.06, low = Math.min(least - (none ? 0.5 : 0.06), top - 0.4);
  const scale = views[last].k > 40 ? Math.log : Number;
  const [first, end] = [scale(views[0].k), scale(views[last].k)];
  const x = (k) => 52 + (wide - 76) * (end > first ? (scale(k) - first) / (end - first) : 0.5);
  const y = (error) => 14 + (high - 46) * (top - (error > 0 ? Math.log10(error) : low)) / (top - low);
  for (let power = Math.floor(low); power <= top; power++) {
    for (const digit of top - low > 2 ? [1] : [1, 2, 5]) {
      const tick = Number((digit * 10 ** power).toPrecision(1)), place = y(tick);
      if (Math.log10(tick) < low || Math.log10(tick) > top) continue;
      add('line', {class: 'grid', x1: 52, x2: wide - 12, y1: place, y2: place});
      add('text', {x: 46, y: place + 4, 'text-anchor': 'end'}, `${Number((100 * tick).toPrecision(1))} %`);
    }
  }
  if (none) add('text', {x: 46, y: y(0) + 4, 'text-anchor': 'end'}, 'none');
  let free = -Infinity;
  for (const {k} of views) {
    if (x(k) - free < 26) continue;
    add('text', {x: x(k), y: high - 6, 'text-anchor': 'middle'}, free === -Infinity ? `K = ${k}` : k);
    free = x(k) + (free === -Infinity ? 12 : 0);
  }
  add('polyline', {class: 'curve', points: views.map((view) => `${x(view.k)},${y(view.error)}`).join(' ')});
  const here = views[at];
  add('line', {class: 'guide', x1: x(here.k), x2: x(here.k), y1: y(here.error), y2: high - 24});
  views.forEach((view) => add('circle', {class: 'dot', cx: x(view.k), cy: y(view.error), r: 3}));
  add('circle', {class: 'here', cx: x(here.k), cy: y(here.error), r: 7});
  const side = x(here.k) > wide - 130 ? 'end' : 'start';  // above the curve, which falls
  const from = Math.max(x(views[0].k), x(here.k) - (side === 'end' ? 115 : 0));
  const next = views.findIndex(({k}) => x(k) >= from), [b, a] = [views[next], views[Math.max(0, next - 1)]];
  const part = a === b ? 0 : (from - x(a.k)) / (x(b.k) - x(a.k)), curve = y(a.error) + part * (y(b.error) - y(a.error));
  add('text', {class: 'said', x: x(here.k) + (side === 'end' ? 8 : 10), 'text-anchor': side,
    y: Math.max(13, curve - 11)}, `K = ${here.k}: ${percent(here.error)}`);
  views.forEach((view, i) => {
    const hit = add('circle', {class: 'hit', cx: x(view.k), cy: y(view.error), r: 12});
    hit.addEventListener('click', () => { stop(); show(i); });
  });
}

// ------------------------------------------------------------------------------ the slider
function show(next) {
  next = Math.max(0, Math.min(last, next));
  if (next === at || !views.length) return;
  at = next;
  const view = views[at], many = `${view.k} colour${view.k === 1 ? '' : 's'}`;
  const error = data.flat ? 'one colour, painted exactly' : view.error ? `${percent(view.error)} of the variance is lost` : 'painted exactly';
  $('painted').src = view.source;
  $('painted').alt = `The picture in ${many}`;
  $('tag-painted').textContent = many;
  $('slider').value = at;
  $('slider').setAttribute('aria-valuetext', `${many}, ${error}`);
  $('k').textContent = `K = ${view.k}`;
  $('stated').textContent = error;
  $('elbow').setAttribute('aria-label', `Relative error by number of colours, on a logarithmic axis. K = ${view.k}: ${error}`);
  showPalette(view);
  drawElbow();
  colorCloud();
}
function stop() {
  clearInterval(timer);
  timer = 0;
  $('play').setAttribute('aria-pressed', false);
  $('play').setAttribute('aria-label', 'Play');
}
function play() {
  if (timer) return stop();
  if (at === last) show(0);
  timer = setInterval(() => (at === last ? stop() : show(at + 1)), PLAY_MS);
  $('play').setAttribute('aria-pressed', true);
  $('play').setAttribute('aria-label', 'Stop');
}
function turn() {
  const on = $('turntable').getAttribute('aria-pressed') !== 'true';
  $('turntable').setAttribute('aria-pressed', on);
  cloud.spin(on);
}
document.querySelector('main').classList.toggle('flat', data.flat);
document.querySelector('main').classList.toggle('plain', !views.length);
$('slider').max = last;
$('slider').disabled = $('play').disabled = last < 1;
$('slider').addEventListener('input', () => { stop(); show(Number($('slider').value)); });
$('play').addEventListener('click', play);
$('turntable').addEventListener('click', turn);
$('peek').addEventListener('pointerdown', () => peek(true));
for (const name of ['pointerup', 'pointerleave', 'pointercancel', 'blur']) $('peek').addEventListener(name, () => peek(false));
$('peek').addEventListener('contextmenu', (event) => event.preventDefault());

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const {key, target} = event, pressed = target.closest('button');
  if (key === 'ArrowLeft' || key === 'ArrowRight') {
    stop();
    show(at + (key === 'ArrowRight' ? 1 : -1));
  } else if (key === ' ' && target === $('peek')) peek(true);
  else if (key === ' ' && !pressed) { if (last > 0) play(); } else if (key === 'o' || key === 'O') peek(true);
  else if ((key === 't' || key === 'T') && !event.repeat) turn();
  else return;
  event.preventDefault();
});
document.addEventListener('keyup', (event) => {
  if (['o', 'O', ' '].includes(event.key)) peek(false);
});
window.addEventListener('blur', () => peek(false));
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', cloud.change);
new ResizeObserver(() => {
  $('frame').classList.toggle('narrow', Math.min($('frame').clientWidth, 3 * $('frame').clientHeight) < 190);
  drawElbow();
  // What holds the frame is as high as what is in it.
  if (embedded && window.frameElement) window.frameElement.parentElement.style.height = `${document.body.offsetHeight}px`;
}).observe(document.body);

divide(50);
if (!views.length) peek(true);
const asked = views.findIndex((view) => `#${view.k}` === location.hash);
show(asked >= 0 ? asked : views.findLastIndex((view) => view.k <= 8) >= 0 ? views.findLastIndex((view) => view.k <= 8) : 0);
