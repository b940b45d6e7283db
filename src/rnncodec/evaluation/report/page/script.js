"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);

// ---- plots -----------------------------------------------------------------------------------------------------

// Colours that can be distinguished with colour blindness (Okabe and Ito). The first is the accent of the page.
const COLOURS = ["var(--accent)", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a7f00", "#a05a2c"];
const DASHES = { codec: "", baseline: "7 4", published: "2 3", run: "" };

function svg(tag, attributes, parent) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  parent?.append(element);
  return element;
}

// Round numbers, about `count` of them, from `low` to `high`.
function ticks(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(+(i * step).toPrecision(10));
  return found;
}

// The least and the largest of any number of values; a function takes no more than some ten thousand as arguments.
function extent(values) {
  return values.reduce(([low, high], v) => [Math.min(low, v), Math.max(high, v)], [Infinity, -Infinity]);
}

// Draws lines = [{name, kind, colour, points: [[x, y], …]}] into `place`; x from 0 to `limit`, or as far as they go.
function plot(place, lines, xTitle, yTitle, limit) {
  const narrow = place.clientWidth < 560;
  const W = narrow ? 420 : 960, H = narrow ? 340 : 460, L = 58, R = 12, T = 12, B = 46;
  const right = limit ?? Math.max(1, extent(lines.flatMap((line) => line.points.map((p) => p[0])))[1]);
  const shown = lines.map((line) => ({ ...line, points: line.points.filter((p) => p[0] <= right * 1.0001) }));
  const values = shown.flatMap((line) => line.points.map((p) => p[1]));
  let [low, high] = extent(values);
  if (!values.length) [low, high] = [0, 1];
  const margin = (high - low || Math.abs(high) || 1) * 0.05;
  low -= margin; high += margin;
  const x = (v) => L + (v / right) * (W - L - R), y = (v) => H - B - ((v - low) / (high - low)) * (H - T - B);
  place.replaceChildren();
  const root = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `${yTitle} against ${xTitle}: ${lines.map((line) => line.name).join(", ")}` }, place);
  for (const v of ticks(0, right, narrow ? 4 : 8)) {
    svg("line", { class: "grid", x1: x(v), x2: x(v), y1: T, y2: H - B }, root);
    svg("text", { x: x(v), y: H - B + 18, "text-anchor": "middle" }, root).textContent = v.toLocaleString("en");
  }
  for (const v of ticks(low, high, 6)) {
    svg("line", { class: "grid", x1: L, x2: W - R, y1: y(v), y2: y(v) }, root);
    svg("text", { x: L - 6, y: y(v) + 4, "text-anchor": "end" }, root).textContent = +v.toPrecision(4);
  }
  svg("text", { x: (L + W - R) / 2, y: H - 8, "text-anchor": "middle" }, root).textContent = xTitle;
  svg("text", { transform: `translate(14 ${(T + H - B) / 2}) rotate(-90)`, "text-anchor": "middle" }, root).textContent = yTitle;
  for (const line of shown) {
    const path = line.points.map((p) => `${x(p[0]).toFixed(1)},${y(p[1]).toFixed(1)}`).join(" ");
    const style = `stroke:${line.colour};fill:none;stroke-width:${line.kind === "codec" ? 3 : 2}`;
    svg("polyline", { points: path, style, "stroke-dasharray": DASHES[line.kind] }, root);
    if (line.points.length < 40) for (const p of line.points) svg("circle", { cx: x(p[0]), cy: y(p[1]), r: 3.5, style: `fill:${line.colour}` }, root);
  }
  const tip = document.createElement("div");
  tip.className = "tip"; tip.hidden = true;
  place.append(tip);
  root.addEventListener("pointermove", (event) => {
    const box = root.getBoundingClientRect(), scale = W / box.width;
    const px = (event.clientX - box.left) * scale, py = (event.clientY - box.top) * scale;
    let best = null;
    for (const line of shown) for (const p of line.points) {
      const distance = Math.hypot(x(p[0]) - px, y(p[1]) - py);
      if (!best || distance < best.distance) best = { distance, line, p };
    }
    tip.hidden = !best || best.distance > 60;
    if (tip.hidden) return;
    tip.textContent = `${best.line.name}: ${+best.p[1].toPrecision(5)} at ${+best.p[0].toPrecision(4)}`;
    tip.style.left = `${Math.max(0, Math.min(x(best.p[0]) / scale + 10, box.width - tip.offsetWidth))}px`;
    tip.style.top = `${Math.max(0, y(best.p[1]) / scale - 34)}px`;
  });
  root.addEventListener("pointerleave", () => { tip.hidden = true; });
}

// A box to tick for each of `lines` in `place`; `redraw` is called when one changes.
function legend(place, lines, redraw) {
  for (const line of lines) {
    const label = document.createElement("label"), box = document.createElement("input"), swatch = document.createElement("span");
    box.type = "checkbox"; box.checked = true;
    box.addEventListener("change", () => { line.hidden = !box.checked; redraw(); });
    swatch.className = "swatch";
    swatch.style.borderTopColor = line.colour;
    swatch.style.borderTopStyle = { codec: "solid", run: "solid", baseline: "dashed", published: "dotted" }[line.kind];
    label.append(box, swatch, line.options ? `${line.name} (${line.options})` : line.name);
    place.append(label);
  }
}

const drawings = [];
if (at("curves-plot")) {
  const lines = data.curves.map((curve, i) => ({ ...curve, colour: COLOURS[i % COLOURS.length] }));
  const draw = () => {
    const metric = at("metric").value, against = at("abscissa").value;
    const visible = lines.filter((line) => !line.hidden && line.points[against][metric]);
    at("limit").disabled = against !== "bpp";
    const limit = against === "bpp" ? +at("limit").value : undefined;
    plot(at("curves-plot"), visible.map((line) => ({ ...line, points: line.points[against][metric] })), data.against[against], data.metrics[metric], limit);
  };
  legend(at("curves-legend"), lines, draw);
  for (const id of ["metric", "abscissa", "limit"]) at(id).addEventListener("change", draw);
  drawings.push(draw);
}
if (at("training-plot")) {
  const lines = data.training.map((run, i) => ({ ...run, kind: "run", colour: COLOURS[i % COLOURS.length] }));
  const names = [...new Set(lines.flatMap((line) => Object.keys(line.series)))].sort();
  for (const name of names) at("logged").append(new Option(name, name));
  at("logged").value = ["val/loss", "train/loss"].find((name) => names.includes(name)) ?? names[0];
  // The value of a logged clock at a step, linear between the steps at which it was logged.
  const clock = (points, step) => {
    const after = points.findIndex((p) => p[0] >= step);
    if (after === 0) return (points[0][1] * (step + 1)) / (points[0][0] + 1); // from 0 before the first
    if (after < 0) return points[points.length - 1][1];
    const [s0, v0] = points[after - 1], [s1, v1] = points[after];
    return v0 + ((v1 - v0) * (step - s0)) / (s1 - s0);
  };
  const draw = () => {
    const name = at("logged").value, against = at("elapsed").value;
    const visible = lines.filter((line) => !line.hidden && line.series[name] && (against === "step" || line.series[against]));
    const points = (line) => against === "step" ? line.series[name] : line.series[name].map(([step, value]) => [clock(line.series[against], step), value]);
    plot(at("training-plot"), visible.map((line) => ({ ...line, points: points(line) })), at("elapsed").selectedOptions[0].text, name, null);
  };
  legend(at("training-legend"), lines, draw);
  for (const id of ["logged", "elapsed"]) at(id).addEventListener("change", draw);
  drawings.push(draw);
}
const redrawAll = () => drawings.forEach((draw) => draw());
addEventListener("resize", redrawAll);
redrawAll();

// ---- the viewer ------------------------------------------------------------------------------------------------

if (at("stage")) {
  const stage = at("stage"), handle = at("handle"), PIECE = 96;
  const where = { x: 0.5, y: 0.5 }; // of the picture's sides: the split, and the middle of the enlarged piece
  const images = {}; // of the photo shown, by their names in its `pictures`
  let photo;

  const image = (key) => {
    if (!images[key]) {
      images[key] = new Image();
      images[key].src = photo.pictures[key];
    }
    return images[key];
  };

  function choosePhoto() {
    photo = data.viewers[+at("photo").value];
    for (const key of Object.keys(images)) delete images[key];
    const slider = at("iteration"), last = photo.layers.length;
    slider.value = Math.min(+slider.value, last);
    slider.max = last;
    stage.style.aspectRatio = `${photo.width} / ${photo.height}`;
    offerOthers();
    show();
  }

  // The other runs that have the same photo, as choices of what to compare with.
  function offerOthers() {
    const chosen = at("against").value, others = data.viewers.filter((view) => view.photo === photo.photo && view !== photo);
    at("others").replaceChildren(...others.map((view) => new Option(view.codec, `run ${data.viewers.indexOf(view)}`)));
    at("others").hidden = !others.length;
    at("against").value = chosen;
    if (!at("against").value) at("against").value = "same_size";
  }

  // The layer of another run whose file is nearest in size to `bytes`; its picture joins those of the photo shown.
  function nearest(view, bytes) {
    const layer = view.layers.reduce((best, each) => Math.abs(each.bytes - bytes) < Math.abs(best.bytes - bytes) ? each : best);
    const key = `${view.codec} ${layer.iteration}`;
    if (!images[key]) {
      images[key] = new Image();
      images[key].src = view.pictures[`p${layer.iteration}`];
    }
    return { key, caption: `${view.codec}, iteration ${layer.iteration}: ${layer.caption}` };
  }

  function show() {
    const layer = photo.layers[+at("iteration").value - 1], i = layer.iteration;
    const mode = document.querySelector("[name=mode]:checked").value, against = at("against").value;
    const rival = against.startsWith("run ") ? data.viewers[+against.slice(4)] : null;
    const near = rival && nearest(rival, layer.bytes);
    const other = rival ? near.key : against === "original" ? "original" : layer[against];
    const names = { picture: `P[${i}]`, residual: `R[${i}]`, original: "original" };
    const keys = { picture: `p${i}`, residual: `r${i}`, original: "original" };
    const split = mode === "split" && other !== null;
    const left = mode === "split" ? "picture" : mode;
    const otherName = rival ? rival.codec : against === "original" ? "original" : "JPEG";
    stage.classList.toggle("split", split);
    at("left").src = image(keys[left]).src;
    at("left").alt = `${photo.name}, ${names[left]} of ${photo.codec}: ${layer.caption}`;
    at("right").hidden = !split;
    if (split) {
      at("right").src = image(other).src;
      at("right").alt = `${photo.name}, ${otherName}`;
    }
    at("left-tag").textContent = names[left];
    at("right-tag").textContent = split ? otherName : "";
    at("iteration-caption").textContent = `Iteration ${i} of ${photo.layers.length}`;
    at("iteration").setAttribute("aria-valuetext", `iteration ${i}: ${layer.caption}`);
    at("caption").textContent = `${photo.codec}: ${layer.caption}`;
    at("compared").textContent = rival ? near.caption : against === "original" ? "" : layer[`${against}_caption`];
    place();
    zoom("original", "original", "original");
    zoom("rnncodec", keys.picture, names.picture);
    zoom("other", against === "original" ? keys.residual : other, against === "original" ? names.residual : otherName);
  }

  // Puts split and frame where `where` says.
  function place() {
    const percent = 100 * where.x, width = Math.min(1, PIECE / photo.width), height = Math.min(1, PIECE / photo.height);
    handle.style.left = `${percent}%`;
    handle.setAttribute("aria-valuenow", Math.round(percent));
    at("right").style.clipPath = `inset(0 0 0 ${percent}%)`;
    const clamp = (v, size) => Math.max(0, Math.min(1 - size, v - size / 2));
    Object.assign(at("frame").style, {
      left: `${100 * clamp(where.x, width)}%`, top: `${100 * clamp(where.y, height)}%`,
      width: `${100 * width}%`, height: `${100 * height}%`,
    });
  }

  // Draws the piece of picture `key` into its canvas.
  async function zoom(name, key, caption) {
    const canvas = at(`zoom-${name}`), context = canvas.getContext("2d"), shown = photo;
    canvas.nextElementSibling.textContent = key === null ? "no such JPEG" : caption;
    canvas.setAttribute("aria-label", `enlarged piece of ${caption}`);
    canvas.dataset.key = key;
    if (key === null) return context.clearRect(0, 0, PIECE, PIECE);
    const source = image(key);
    await source.decode();
    if (canvas.dataset.key !== key || shown !== photo) return; // overtaken by a later one
    const clamp = (v, side) => Math.round(Math.max(0, Math.min(side - PIECE, v * side - PIECE / 2)));
    context.drawImage(source, clamp(where.x, photo.width), clamp(where.y, photo.height), PIECE, PIECE, 0, 0, PIECE, PIECE);
  }

  function moveTo(x, y) {
    where.x = Math.max(0, Math.min(1, x));
    where.y = Math.max(0, Math.min(1, y));
    show();
  }
  const follow = (event) => {
    const box = stage.getBoundingClientRect();
    moveTo((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  };
  stage.addEventListener("pointerdown", (event) => {
    stage.setPointerCapture(event.pointerId);
    handle.focus({ preventScroll: true, focusVisible: false });
    event.preventDefault();
    follow(event);
  });
  stage.addEventListener("pointermove", (event) => { if (stage.hasPointerCapture(event.pointerId)) follow(event); });
  handle.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 0.1 : 0.02;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step], Home: [-1, 0], End: [1, 0] };
    if (!moves[event.key]) return;
    event.preventDefault();
    moveTo(where.x + moves[event.key][0], where.y + moves[event.key][1]);
  });
  at("photo").addEventListener("change", choosePhoto);
  for (const id of ["iteration", "mode", "against"]) at(id).addEventListener("input", show);
  at("iteration").max = data.viewers[0].layers.length;
  at("iteration").value = Math.ceil(data.viewers[0].layers.length / 2);
  choosePhoto();
}
