"use strict";

/* The paper: strokes by mouse, pen, finger and keyboard; undo, clear, test images. */

const paper = by("paper");
const drawn = { strokes: [], image: null }; // one of the two: strokes, or the pixels of a test image
const past = []; // what was there before each change
const pen = { x: SIDE / 2, y: SIDE / 2, isDown: false }; // of the keyboard

function showPaper() {
  const style = getComputedStyle(document.documentElement);
  const fine = window.devicePixelRatio || 1;
  Object.assign(paper, { width: SIDE * fine, height: SIDE * fine });
  const context = paper.getContext("2d");
  context.scale(fine, fine);
  const ink = style.getPropertyValue("--ink");
  if (drawn.image) paintImage(context, ink);
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
  drawn.image.forEach((value, at) => {
    context.globalAlpha = value;
    context.fillRect((SIDE / width) * (at % width), (SIDE / height) * Math.floor(at / width), SIDE / width, SIDE / height);
  });
  context.globalAlpha = 1;
}

/** Shows what is drawn, and what the network makes of it. */
function update() {
  showPaper();
  read(drawn.image ?? (drawn.strokes.length ? prepared(drawn.strokes, height, width) : null));
  by("undo").disabled = !past.length;
  by("clear").disabled = !drawn.image && !drawn.strokes.length;
}

/** Changes what is drawn, so that undo brings back what was there. */
function change(strokes, image = null) {
  past.push({ ...drawn });
  Object.assign(drawn, { strokes, image });
  update();
}

function undo() {
  if (!past.length) return;
  Object.assign(drawn, past.pop());
  pen.isDown = false;
  update();
  say(sentence());
}

function clear() {
  if (!drawn.image && !drawn.strokes.length) return;
  pen.isDown = false;
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

let pointer = null; // the one that draws; another finger does nothing

function placeOn({ clientX, clientY }) {
  const box = paper.getBoundingClientRect();
  return [((clientX - box.left) / box.width) * SIDE, ((clientY - box.top) / box.height) * SIDE];
}

paper.addEventListener("pointerdown", (event) => {
  if (pointer !== null || event.button !== 0) return;
  pointer = event.pointerId;
  pen.isDown = false;
  paper.setPointerCapture(pointer);
  begin(...placeOn(event));
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
  if (MOVES[key]) movePen(...MOVES[key]);
  else if (key === " ") lowerPen();
  else if (key.toLowerCase() === "z") undo();
  else if (key === "Delete" || key === "Backspace") clear();
  else return;
  event.preventDefault();
});
paper.addEventListener("focus", showPaper);
paper.addEventListener("blur", showPaper);

function movePen(right, down) {
  const within = (value) => Math.min(Math.max(value, 0), SIDE);
  Object.assign(pen, { x: within(pen.x + right), y: within(pen.y + down) });
  if (pen.isDown) goOn([[pen.x, pen.y]]);
  else showPaper();
}

function lowerPen() {
  pen.isDown = !pen.isDown;
  if (pen.isDown) begin(pen.x, pen.y);
  showPaper();
  say(pen.isDown ? shown.words.penDown : `${shown.words.penUp}. ${sentence()}`);
}

/* ---- The page ---- */

/** Shows the test images. Those that are read wrongly have a frame. */
function buildExamples() {
  buttons(by("examples"), content.examples.length, (each) => {
    const { label, pixels } = content.examples[each];
    const canvas = element("canvas");
    picture(canvas, pixels, [height, width], grey);
    const onclick = () => { change([], pixels); say(sentence()); };
    return { className: readOf(pixels) === label ? "" : "wrong", onclick, children: [canvas] };
  });
}

function readOf(pixels) {
  const { values } = forward(layers, pixels)[last];
  return values.indexOf(Math.max(...values));
}

function showExamples() {
  for (const [each, button] of [...by("examples").children].entries()) {
    const { label, pixels } = content.examples[each];
    button.setAttribute("aria-label", shown.words.example(label, readOf(pixels)));
    button.removeAttribute("aria-pressed"); // it does something; it is not on or off
  }
}

by("undo").addEventListener("click", undo);
by("clear").addEventListener("click", clear);
by("language").addEventListener("click", () => {
  shown.words = shown.words === WORDS.en ? WORDS.zh : WORDS.en;
  showWords();
  showExamples();
});
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  paintTiles();
  update();
});

build();
buildExamples();
paintTiles();
showWords();
showExamples();
update();
