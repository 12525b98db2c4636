"use strict";

/* The paper: strokes by mouse, pen, finger and keyboard; undo, clear, test images. */

const paper = by("paper");
const drawn = { strokes: [], example: null }; // one of the two: strokes, or a test image
const past = []; // what was there before each change
const pen = { x: SIDE / 2, y: SIDE / 2, isDown: false }; // of the keyboard
let pointer = null; // the mouse, pen or finger that draws; another one does nothing

function showPaper() {
  const style = getComputedStyle(document.documentElement);
  const fine = window.devicePixelRatio || 1;
  Object.assign(paper, { width: SIDE * fine, height: SIDE * fine });
  const context = paper.getContext("2d");
  context.scale(fine, fine);
  const ink = style.getPropertyValue("--ink");
  if (drawn.example) paintImage(context, ink);
  paint(context, drawn.strokes, ink);
  if (document.activeElement === paper && paper.matches(":focus-visible")) {
    context.lineWidth = 2;
    context.strokeStyle = style.getPropertyValue("--accent");
    context.beginPath();
    context.arc(pen.x, pen.y, pen.isDown ? 5 : 11, 0, 2 * Math.PI);
    context.stroke();
  }
}

function paintImage(context, ink) {
  context.fillStyle = ink;
  drawn.example.pixels.forEach((value, at) => {
    context.globalAlpha = value;
    context.fillRect((SIDE / width) * (at % width), (SIDE / height) * Math.floor(at / width), SIDE / width, SIDE / height);
  });
  context.globalAlpha = 1;
}

/** Shows what is drawn, and what the network makes of it. */
function update() {
  showPaper();
  const { strokes, example } = drawn;
  read(example ? example.pixels : strokes.length ? prepared(strokes, height, width) : null, example);
  by("undo").disabled = !past.length;
  by("clear").disabled = !example && !strokes.length;
  for (const [each, button] of [...by("examples").children].entries()) {
    button.setAttribute("aria-pressed", content.examples[each] === example);
  }
}

/** Puts something else on the paper. A stroke that is being drawn has ended. */
function put(other) {
  pointer = null;
  pen.isDown = false;
  Object.assign(drawn, other);
  update();
}

/** Changes what is drawn, so that undo brings back what was there. */
function change(strokes, example = null) {
  past.push({ ...drawn });
  put({ strokes, example });
}

function undo() {
  if (!past.length) return;
  put(past.pop());
  say(sentence());
}

function clear() {
  if (!drawn.example && !drawn.strokes.length) return;
  change([]);
  say(sentence());
}

/* A stroke begins, goes on, and ends. What was there before is kept by `change`, so strokes are copied. */

function begin(x, y) {
  change([...drawn.strokes, { width: Number(by("thickness").value), points: [[x, y]] }]);
}

function goOn(points) {
  const stroke = drawn.strokes.at(-1);
  drawn.strokes = [...drawn.strokes.slice(0, -1), { ...stroke, points: [...stroke.points, ...points] }];
  update();
}

/* ---- Mouse, pen and finger ---- */

const within = (value) => Math.min(Math.max(value, 0), SIDE); // what is not on the paper is not drawn

function placeOn({ clientX, clientY }) {
  const box = paper.getBoundingClientRect();
  return [((clientX - box.left) / box.width) * SIDE, ((clientY - box.top) / box.height) * SIDE].map(within);
}

paper.addEventListener("pointerdown", (event) => {
  if (pointer !== null || event.button !== 0) return;
  begin(...placeOn(event));
  pointer = event.pointerId;
  paper.setPointerCapture(pointer);
});
paper.addEventListener("pointermove", (event) => {
  if (event.pointerId !== pointer) return;
  const events = event.getCoalescedEvents?.() ?? [];
  goOn((events.length ? events : [event]).map(placeOn));
});
for (const name of ["pointerup", "pointercancel"]) {
  paper.addEventListener(name, (event) => {
    if (event.pointerId !== pointer) return;
    pointer = null;
    say(sentence());
  });
}

/* ---- Keyboard ---- */

const STEP = 10; // by which an arrow key moves the pen
const MOVES = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

paper.addEventListener("keydown", (event) => {
  const { key } = event;
  if (event.ctrlKey || event.metaKey) return; // undo, see below
  if (MOVES[key]) movePen(...MOVES[key]);
  else if (key === " ") lowerPen();
  else if (key.toLowerCase() === "z") undo();
  else if (key === "Delete" || key === "Backspace") clear();
  else return;
  event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") undo();
});
paper.addEventListener("focus", showPaper);
paper.addEventListener("blur", showPaper);

function movePen(right, down) {
  Object.assign(pen, { x: within(pen.x + right), y: within(pen.y + down) });
  if (pen.isDown) goOn([[pen.x, pen.y]]);
  else showPaper();
}

function lowerPen() {
  const isDown = !pen.isDown;
  if (isDown) begin(pen.x, pen.y);
  pen.isDown = isDown;
  showPaper();
  say(pen.isDown ? shown.words.penDown : shown.words.penUp(sentence()));
}

/* ---- The page ---- */

/** Shows the test images. Those that are read incorrectly have a frame. */
function buildExamples() {
  for (const example of content.examples) example.read = labelOf(forward(layers, example.pixels));
  buttons(by("examples"), content.examples.length, (each) => {
    const example = content.examples[each];
    const canvas = element("canvas");
    picture(canvas, example.pixels, [height, width], grey);
    const onclick = () => { change([], example); say(sentence()); };
    return { className: example.read === example.label ? "" : "wrong", onclick, children: [canvas] };
  });
}

function nameExamples() {
  for (const [each, button] of [...by("examples").children].entries()) {
    const { label, read } = content.examples[each];
    button.title = shown.words.example(label, read);
    button.setAttribute("aria-label", button.title);
  }
}

by("undo").addEventListener("click", undo);
by("clear").addEventListener("click", clear);
by("language").addEventListener("click", () => {
  shown.words = shown.words === WORDS.en ? WORDS.zh : WORDS.en;
  showWords();
  nameExamples();
});
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  paintTiles();
  update();
});

build();
buildExamples();
paintTiles();
showWords();
nameExamples();
update();
