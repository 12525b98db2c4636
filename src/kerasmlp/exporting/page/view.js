"use strict";

/* What is shown: the image, the probabilities, the units, and how one unit is computed. */

const content = unpacked(JSON.parse(document.getElementById("content").textContent));
const { layers, height, width } = content;
const shown = {
  pixels: null, // what the network takes; null if nothing is drawn
  reading: null, // what `forward` returned for it
  example: null, // the test image that it is
  layer: null, // the unit that was touched
  unit: null,
  picked: null, // the input that is pointed at
  words: WORDS[navigator.language.startsWith("zh") ? "zh" : "en"],
};
const last = layers.length - 1;
const by = (id) => document.getElementById(id);

/** Returns a new element with properties, attributes and children. Texts never become HTML. */
function element(tag, { attributes = {}, ...properties } = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`; // the space breaks no line
const number = (value) => (value === undefined ? "–" : value.toFixed(4).replace(/^-(0\.0+)$/, "$1"));
const largestOf = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;

/* ---- Pictures ---- */

/** Paints values, row by row, each as one pixel. `colour` returns red, green and blue of a value. */
function picture(canvas, values, [rows, columns], colour) {
  Object.assign(canvas, { height: rows, width: columns });
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  values.forEach((value, at) => image.data.set([...colour(value), 255], 4 * at));
  context.putImageData(image, 0, 0);
}

const grey = (value) => [255 * value, 255 * value, 255 * value];

/** Returns the colour of a value: that of 0, mixed with that of more or of less. */
function signed(largest) {
  const style = getComputedStyle(document.documentElement);
  const [zero, more, less] = ["--zero", "--more", "--less"].map((name) => style.getPropertyValue(name).trim().split(" ").map(Number));
  return (value) => {
    const share = Math.abs(value) / largest;
    return zero.map((from, part) => from + share * ((value > 0 ? more : less)[part] - from));
  };
}

/** Returns rows and columns of the picture of a layer's inputs: the image, or units in a square. */
function shapeOf(layer) {
  if (layer === 0) return [height, width];
  const columns = Math.ceil(Math.sqrt(layers[layer - 1].units));
  return [Math.ceil(layers[layer - 1].units / columns), columns];
}

const weightsOf = ({ units, kernel }, unit) => Array.from({ length: kernel.length / units }, (_, input) => kernel[input * units + unit]);

/* ---- What is read ---- */

/** Shows what the network makes of an image; null for none. `example` is the test image that it is. */
function read(pixels, example = null) {
  Object.assign(shown, { pixels, example, reading: pixels && forward(layers, pixels) });
  showReading();
}

function showReading() {
  const { words, pixels, reading, example } = shown;
  picture(by("seen"), pixels ?? new Array(height * width).fill(0), [height, width], grey);
  const values = reading?.[last].values;
  const answer = values ? [element("b", { textContent: labelOf(reading) }), percent(values[labelOf(reading)])] : [words.nothing];
  by("answer").replaceChildren(...answer);
  by("of-example").textContent = example ? words.example(example.label, example.read) : "";
  by("seen-help").textContent = (example ? words.seenExample : words.seenHelp)(height, width);
  for (const [digit, bar] of [...by("bars").children].entries()) {
    bar.style.setProperty("--share", values?.[digit] ?? 0);
    bar.lastChild.textContent = values ? percent(values[digit]) : "";
    bar.setAttribute("aria-label", words.bar(digit, values ? percent(values[digit]) : "–"));
  }
  for (const [layer, tiles] of [...document.querySelectorAll(".units")].entries()) showTiles(tiles, layer);
  showUnit();
}

/** Lets a screen reader say something. */
const say = (text) => { by("status").textContent = text; };

/** Returns what is read, as a sentence. It is said when a stroke has ended, or undo or clear was used. */
function sentence() {
  const { words, reading } = shown;
  return reading ? words.read(labelOf(reading), percent(reading[last].values[labelOf(reading)])) : words.nothing;
}

function showTiles(tiles, layer) {
  const values = shown.reading?.[layer].values;
  const largest = values && largestOf(values);
  for (const [unit, tile] of [...tiles.children].entries()) {
    tile.style.setProperty("--value", values ? values[unit] / largest : 0);
    tile.classList.toggle("quiet", Boolean(values));
    tile.setAttribute("aria-label", shown.words.unitTile(unit, number(values?.[unit])));
  }
}

/* ---- One unit ---- */

/** Chooses a unit. Its layer is the last one for the bar of a digit. */
function choose(layer, unit) {
  Object.assign(shown, { layer, unit, picked: null });
  for (const pressed of document.querySelectorAll(":is(#bars, .units) [aria-pressed=true]")) pressed.setAttribute("aria-pressed", false);
  const row = layer === last ? by("bars") : document.querySelectorAll(".units")[layer];
  row.children[unit].setAttribute("aria-pressed", true);
  showUnit();
  say(shown.words.chosen(by("unit-title").textContent, number(computed().value)));
  const { top } = by("unit-title").getBoundingClientRect();
  if (top < 0 || top > 0.8 * window.innerHeight) by("unit").scrollIntoView();
}

/** Returns weights, inputs and products of the chosen unit, and its numbers. */
function computed() {
  const { layer, unit, reading } = shown;
  const weights = weightsOf(layers[layer], unit);
  const { inputs, sums, totals, values } = reading?.[layer] ?? {};
  const products = inputs?.map((input, at) => input * weights[at]);
  return { weights, inputs, products, sum: sums?.[unit], total: totals?.[unit], value: values?.[unit], totals };
}

function showUnit() {
  const { words, layer, unit } = shown;
  const none = layer === null;
  by("no-unit").hidden = !none;
  by("computed").hidden = none;
  by("unit-title").hidden = none;
  by("unit-title").textContent = none ? "" : layer === last ? words.digitUnit(unit) : words.unit(words.layer(layer + 1), unit);
  if (none) return;
  const found = computed();
  const { weights, inputs, products } = found;
  const zeros = weights.map(() => 0);
  const shape = shapeOf(layer);
  by("picture-help").textContent = layer ? words.unitHelp : words.pixelHelp;
  picture(by("unit-weights"), weights, shape, signed(largestOf(weights)));
  const most = layer && inputs ? largestOf(inputs) : 1;
  picture(by("unit-inputs"), (inputs ?? zeros).map((input) => input / most), shape, grey);
  picture(by("unit-products"), products ?? zeros, shape, signed(products ? largestOf(products) : 1));
  showNumbers(found);
  showAdds(found);
  showTerms(found);
  showPicked(found);
}

function showNumbers({ sum, total, value, totals }) {
  const { words, layer, unit } = shown;
  const rows = [["sum", words.sum, sum], ["bias", words.bias, layers[layer].bias[unit]], ["total", words.total, total]];
  if (layer === last) {
    const exps = totals?.map(Math.exp);
    const all = exps?.reduce((one, other) => one + other);
    rows.push(["exps", words.exps, exps && `${exps[unit].toPrecision(6)} / ${all.toPrecision(6)}`]);
  }
  rows.push(["value", layer === last ? words.softmax : words.relu, value]);
  by("numbers").replaceChildren(...rows.map(([name, text, cell]) =>
    element("tr", {}, element("th", { scope: "row", textContent: text }),
      element("td", { id: `number-${name}`, textContent: typeof cell === "string" ? cell : number(cell) }))));
}

/** Shows what the unit adds to the units of the next layer: its activation times the weight. */
function showAdds({ value }) {
  const { words, layer, unit } = shown;
  by("adding").hidden = layer === last;
  if (layer === last) return;
  const { units, kernel } = layers[layer + 1];
  const digits = layer + 1 === last;
  by("adds-title").textContent = digits ? words.adds : words.addsUnits;
  by("adds-help").textContent = digits ? words.addsHelp : words.addsUnitsHelp;
  let rows = Array.from({ length: units }, (_, to) => ({ to, weight: kernel[unit * units + to] }));
  rows = rows.map((row) => ({ ...row, added: value === undefined ? undefined : value * row.weight }));
  if (!digits) rows = rows.sort((one, other) => Math.abs(other.weight) - Math.abs(one.weight)).slice(0, 10);
  const longest = largestOf(rows.map(({ added }) => added ?? 0));
  by("adds").replaceChildren(
    head(digits ? words.ofDigit : words.ofUnit, words.weight, words.product, ""),
    ...rows.map(({ to, weight, added }) => {
      const beam = element("span", { className: added < 0 ? "beam minus" : "beam" }, element("i"));
      beam.style.setProperty("--length", Math.abs(added ?? 0) / longest);
      return element("tr", {}, element("th", { scope: "row", textContent: to }), ...cells(weight, added), element("td", {}, beam));
    }),
  );
}

const head = (...names) => element("thead", {}, element("tr", {}, ...names.map((name) => element("th", { scope: "col", textContent: name }))));
const cells = (...values) => values.map((value) => element("td", { textContent: number(value) }));

/** Shows all products that are not 0, with the largest first, where the list is open. */
function showTerms({ weights, inputs, products }) {
  const { words, layer } = shown;
  const list = by("terms").querySelector("summary");
  const table = by("terms").querySelector("table");
  by("terms").hidden = !products;
  if (!products) return;
  const some = products.map((product, at) => ({ at, product })).filter(({ at }) => inputs[at] !== 0);
  some.sort((one, other) => Math.abs(other.product) - Math.abs(one.product));
  list.textContent = words.terms(some.length, products.length);
  if (!by("terms").open) return table.replaceChildren();
  const exact = (value) => element("td", { textContent: value.toFixed(6) });
  table.replaceChildren(
    head(...(layer ? [words.ofUnit] : [words.row, words.column]), words.input, words.weight, words.product),
    ...some.map(({ at, product }) =>
      element("tr", {}, ...placeOf(at).map((part) => element("td", { textContent: part })), ...[inputs[at], weights[at], product].map(exact))),
  );
}

const placeOf = (at) => (shown.layer ? [at] : [Math.floor(at / width), at % width]);

function showPicked({ weights, inputs, products }) {
  const { words, layer, picked } = shown;
  if (picked === null) return (by("picked").textContent = "");
  const where = layer ? words.ofInput(picked) : words.position(...placeOf(picked));
  const terms = inputs ? ` × ${number(inputs[picked])} = ${number(products[picked])}` : "";
  by("picked").textContent = `${where}${number(weights[picked])}${terms}`;
}

/** Picks an input by its row and its column in the pictures of the unit. */
function pick(row, column) {
  const [rows, columns] = shapeOf(shown.layer);
  const clip = (value, most) => Math.min(Math.max(value, 0), most - 1);
  const at = clip(row, rows) * columns + clip(column, columns);
  const found = computed();
  if (at < found.weights.length) shown.picked = at;
  showPicked(found);
}

/* ---- The page ---- */

/** Moves the focus among buttons in rows by the arrow keys: one of them is reached by the tab key. */
function moveFocus(event) {
  const buttons = [...event.currentTarget.children];
  const columns = getComputedStyle(event.currentTarget).gridTemplateColumns.split(" ").length;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  const next = buttons[buttons.indexOf(document.activeElement) + steps[event.key]];
  if (!next) return;
  event.preventDefault();
  for (const button of buttons) button.tabIndex = button === next ? 0 : -1;
  next.focus();
}

/** Makes a button for each of `count` things, of which the tab key reaches the first. */
function buttons(row, count, make) {
  row.append(...Array.from({ length: count }, (_, each) => {
    const { onclick, className = "", children } = make(each);
    return element("button", { type: "button", tabIndex: each ? -1 : 0, className, onclick, attributes: { "aria-pressed": false } }, ...children);
  }));
  row.addEventListener("keydown", moveFocus);
}

function build() {
  buttons(by("bars"), layers[last].units, (digit) => ({
    className: "bar",
    onclick: () => choose(last, digit),
    children: [element("i"), element("span", { textContent: digit }), element("span")],
  }));
  layers.slice(0, last).forEach(({ units }, layer) => {
    const row = element("div", { className: "units" });
    by("layers").append(element("h2", { className: "layer" }), row);
    buttons(row, units, (unit) => ({ onclick: () => choose(layer, unit), children: [element("canvas")] }));
  });
  by("layers").hidden = last === 0;
  by("terms").addEventListener("toggle", () => shown.layer !== null && showTerms(computed()));
  by("pictures").addEventListener("pointermove", pickPointed);
  by("pictures").addEventListener("pointerdown", pickPointed);
  by("pictures").addEventListener("keydown", (event) => {
    const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ?? [];
    if (down === undefined) return;
    event.preventDefault();
    const columns = shapeOf(shown.layer)[1];
    const at = shown.picked ?? 0;
    pick(Math.floor(at / columns) + down, (at % columns) + right);
  });
}

function pickPointed({ target, clientX, clientY }) {
  if (target.tagName !== "CANVAS") return;
  const box = target.getBoundingClientRect();
  const [rows, columns] = shapeOf(shown.layer);
  pick(Math.floor(((clientY - box.top) / box.height) * rows), Math.floor(((clientX - box.left) / box.width) * columns));
}

/** Paints the pictures of all units. Their colours are those of the light or of the dark page. */
function paintTiles() {
  for (const [layer, row] of [...document.querySelectorAll(".units")].entries()) {
    for (const [unit, tile] of [...row.children].entries()) {
      const weights = weightsOf(layers[layer], unit);
      picture(tile.firstChild, weights, shapeOf(layer), signed(largestOf(weights)));
    }
  }
}

/** Shows all words in the language that is chosen. */
function showWords() {
  const { words } = shown;
  document.documentElement.lang = words === WORDS.zh ? "zh-CN" : "en";
  document.title = `${words.title} – ${content.run}`;
  for (const each of document.querySelectorAll("[data-word]")) each.textContent = words[each.dataset.word];
  const sizes = [height * width, ...layers.map(({ units }) => units)].join("-");
  by("about").textContent = words.about(content.run, sizes, content.data);
  by("accuracy").textContent = words.accuracy(percent(content.accuracy), content.images.toLocaleString("en"));
  by("footer").textContent = words.footer(content.version);
  for (const [layer, title] of [...document.querySelectorAll(".layer")].entries()) {
    title.textContent = words.hidden(layer + 1, layers[layer].units);
  }
  showReading();
  say(sentence());
}
