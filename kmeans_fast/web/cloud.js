// The colours as points in the cube of red, green and blue, which stands on its black corner.
// It draws when something has changed, and never otherwise.
const VERTEX = `#version 300 es
in vec3 place; in vec3 color; in float size;
uniform mat3 turn; uniform vec4 lens;
out vec3 tint; out float ring;
void main() {
  vec3 seen = turn * (place - 0.5);
  float away = lens.z - seen.z;
  gl_Position = vec4(lens.xy * seen.xy, (7.0 * away - 12.0) / 5.0, away);
  gl_PointSize = size * lens.w / away;
  ring = max(0.75, 1.0 - 4.0 / gl_PointSize);
  tint = color;
}`;
const FRAGMENT = `#version 300 es
precision mediump float;
in vec3 tint; in float ring;
uniform int kind; uniform vec4 ink;
out vec4 paint;
void main() {
  if (kind == 0) { paint = vec4(ink.rgb * ink.a, ink.a); return; }
  vec2 at = 2.0 * gl_PointCoord - 1.0;
  float far = length(at), soft = fwidth(far);
  float alpha = 1.0 - smoothstep(1.0 - soft, 1.0, far);
  if (alpha <= 0.0) discard;
  vec3 color = tint;
  if (kind == 2) {  // a sphere, lit from above, with a ring
    float up = sqrt(max(0.0, 1.0 - far * far));
    color *= 0.58 + 0.62 * dot(vec3(at.x, -at.y, up), vec3(-0.42, 0.59, 0.69));
    color = mix(color, ink.rgb, smoothstep(ring - soft, ring, far));
  }
  paint = vec4(color * alpha, alpha);
}`;
const CORNERS = {black: [0, 0, 0], red: [1, 0, 0], green: [0, 1, 0], blue: [0, 0, 1], white: [1, 1, 1]};
const EDGES = [];
for (const axis of [0, 1, 2]) {
  for (const [u, v] of [[0, 0], [0, 1], [1, 0], [1, 1]]) {
    for (const w of [0, 1]) { const p = [u, v]; p.splice(axis, 0, w); EDGES.push(...p); }
  }
}
const HOME = {yaw: 0.45, pitch: 0.32, zoom: 1};
const DISTANCE = 3.2;

function makeCloud(canvas, corners, places, sizes) {
  const gl = canvas.getContext('webgl2', {antialias: true, alpha: true});
  const names = Object.entries(CORNERS).map(([name, place]) => {
    const span = corners.appendChild(document.createElement('span'));
    span.textContent = name;
    return [span, place];
  });
  if (!gl) {
    corners.textContent = 'The colours in space need WebGL 2, which this browser does not have.';
    const nothing = () => {};
    return {paint: nothing, mark: nothing, spin: nothing, change: nothing};
  }
  const view = {...HOME};
  let uniform, points, lines, spheres, asked = 0, spinning = false, last = 0;
  let painted = null, marked = null;  // what a context that was lost is given again

  function buffers(n, place, size) {
    const array = gl.createVertexArray(), made = {array, n};
    gl.bindVertexArray(array);
    const parts = [['place', 3, gl.FLOAT, place], ['color', 3, gl.UNSIGNED_BYTE, new Uint8Array(3 * n)],
      ['size', 1, gl.FLOAT, size]];
    parts.forEach(([name, width, type, data], at) => {
      made[name] = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, made[name]);
      gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
      gl.enableVertexAttribArray(at);
      gl.vertexAttribPointer(at, width, type, type === gl.UNSIGNED_BYTE, 0, 0);
    });
    return made;
  }
  function put(buffer, data) {
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
  }
  const unit = (bytes) => Float32Array.from(bytes, (value) => value / 255);

  function build() {
    const program = gl.createProgram();
    for (const [type, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    ['place', 'color', 'size'].forEach((name, at) => gl.bindAttribLocation(program, at, name));
    gl.linkProgram(program);
    gl.useProgram(program);
    uniform = (name) => gl.getUniformLocation(program, name);
    uniform = Object.fromEntries(['turn', 'lens', 'kind', 'ink'].map((name) => [name, uniform(name)]));
    points = buffers(sizes.length, unit(places), sizes);
    lines = buffers(24, Float32Array.from(EDGES), new Float32Array(24));
    spheres = buffers(0, new Float32Array(0), new Float32Array(0));
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.SAMPLE_ALPHA_TO_COVERAGE);
  }

  // The cube on its black corner, turned about the greys, then leaned towards the reader.
  function turned([x, y, z]) {
    const a = (x - y) / Math.SQRT2, up = (x + y + z) / Math.sqrt(3), b = (x + y - 2 * z) / Math.sqrt(6);
    const c = Math.cos(view.yaw), s = Math.sin(view.yaw);
    const across = c * a + s * b, near = c * b - s * a;
    const cp = Math.cos(view.pitch), sp = Math.sin(view.pitch);
    return [across, cp * up - sp * near, sp * up + cp * near];
  }
  function draw() {
    asked = 0;
    const {clientWidth: wide, clientHeight: high} = canvas;
    const ratio = Math.min(2, devicePixelRatio || 1), focus = 3.05 * view.zoom * Math.min(1, wide / high);
    const size = [Math.round(wide * ratio), Math.round(high * ratio)];
    if (size[0] !== canvas.width || size[1] !== canvas.height) [canvas.width, canvas.height] = size;
    gl.viewport(0, 0, ...size);
    const fx = focus * high / wide;
    gl.uniformMatrix3fv(uniform.turn, false, [...turned([1, 0, 0]), ...turned([0, 1, 0]), ...turned([0, 0, 1])]);
    gl.uniform4f(uniform.lens, fx, focus, DISTANCE, canvas.height * focus / 330);
    const soft = getComputedStyle(canvas).color.match(/[\d.]+/g).map((part) => part / 255);
    const strong = getComputedStyle(document.body).color.match(/[\d.]+/g).map((part) => part / 255);
    const layer = (kind, what, form, ink) => {
      gl.uniform1i(uniform.kind, kind);
      gl.uniform4f(uniform.ink, ...ink);
      gl.bindVertexArray(what.array);
      gl.drawArrays(form, 0, what.n);
    };
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.disable(gl.SAMPLE_ALPHA_TO_COVERAGE);
    layer(0, lines, gl.LINES, [...soft.slice(0, 3), 0.45]);
    gl.enable(gl.SAMPLE_ALPHA_TO_COVERAGE);
    layer(1, points, gl.POINTS, [0, 0, 0, 1]);
    gl.clear(gl.DEPTH_BUFFER_BIT);  // centroids are marks: no point hides them
    layer(2, spheres, gl.POINTS, [...strong.slice(0, 3), 1]);
    for (const [span, place] of names) {
      const [x, y, z] = turned(place.map((part) => part - 0.5)), away = DISTANCE - z, out = 1.08;
      const left = wide / 2 * (1 + out * fx * x / away), top = high / 2 * (1 - out * focus * y / away);
      span.style.transform = `translate(${left}px, ${top}px) translate(-50%, -50%)`;
    }
  }
  function change() { asked ||= requestAnimationFrame(draw); }
  function spin(on) {
    spinning = on;
    last = performance.now();
    const step = (now) => {
      if (!spinning) return;
      view.yaw += (now - last) * 0.0005;
      last = now;
      change();
      requestAnimationFrame(step);
    };
    if (on) requestAnimationFrame(step);
  }
  function lean(yaw, pitch) {
    view.yaw += yaw;
    view.pitch = Math.max(-1.5, Math.min(1.5, view.pitch + pitch));
    change();
  }

  build();
  let held = null;
  canvas.addEventListener('pointerdown', (event) => {
    held = [event.clientX, event.clientY];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener('pointermove', (event) => {
    if (!held) return;
    lean((event.clientX - held[0]) * 0.008, (event.clientY - held[1]) * 0.008);
    held = [event.clientX, event.clientY];
  });
  for (const name of ['pointerup', 'pointercancel']) canvas.addEventListener(name, () => { held = null; });
  canvas.addEventListener('dblclick', () => { Object.assign(view, HOME); change(); });
  canvas.addEventListener('keydown', (event) => {
    const moves = {ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1]};
    const zooms = {'+': 1.1, '=': 1.1, '-': 1 / 1.1};
    if (event.key in zooms) view.zoom = Math.max(0.5, Math.min(3, view.zoom * zooms[event.key]));
    else if (!(event.key in moves)) return;
    lean(...(moves[event.key] || [0, 0]));
    event.preventDefault();
    event.stopPropagation();
  });
  canvas.addEventListener('webglcontextlost', (event) => event.preventDefault());
  canvas.addEventListener('webglcontextrestored', () => {
    build();
    paint(painted);
    mark(...marked);
  });
  new ResizeObserver(change).observe(canvas);
  function paint(colors) {  // three bytes a point
    painted = colors;
    put(points.color, colors);
    change();
  }
  function mark(colors, widths) {  // the centroids, three bytes each
    marked = [colors, widths];
    spheres.n = widths.length;
    put(spheres.place, unit(colors));
    put(spheres.color, colors);
    put(spheres.size, Float32Array.from(widths));
    change();
  }
  return {change, spin, paint, mark};
}
