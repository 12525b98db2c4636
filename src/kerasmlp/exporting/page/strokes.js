"use strict";

/* Strokes: how they are drawn, and how they become the small image that the network takes.
 *
 * A stroke is {width, points: [[x, y], ...]}, in units of the paper, which is SIDE wide and high. */

const SIDE = 280;

/* The three figures of kerasmlp/photos/preparing.py, which prepares a photo in the same way. */
const BOX = 20 / 28; // the side of the box round the digit, as a share of the side of the image
const THINNEST = 0.1; // thinner strokes are made so wide, as a share of the digit's longer side
const FINE = 10; // each pixel of the image is the mean of so many times so many finer ones

/** Draws strokes with round ends. */
function paint(context, strokes, colour, least = 0) {
  context.lineCap = context.lineJoin = "round";
  context.strokeStyle = colour;
  for (const { width, points } of strokes) {
    context.lineWidth = Math.max(width, least);
    context.beginPath();
    points.forEach(([x, y], number) => (number ? context.lineTo(x, y) : context.moveTo(x, y)));
    if (points.length === 1) context.lineTo(points[0][0] + 0.01, points[0][1]); // a dot
    context.stroke();
  }
}

/** Returns the smallest box round strokes that are at least so wide: left, top, width, height. */
function boxOf(strokes, least = 0) {
  const ends = (axis, sign) => strokes.flatMap(({ width, points }) =>
    points.map((point) => sign * (point[axis] + (sign * Math.max(width, least)) / 2)));
  const [left, top] = [0, 1].map((axis) => -ends(axis, -1).reduce((one, other) => Math.max(one, other)));
  const [right, bottom] = [0, 1].map((axis) => ends(axis, 1).reduce((one, other) => Math.max(one, other)));
  return { left, top, width: right - left, height: bottom - top };
}

/** Returns how much ink each pixel of a picture has, from 0 to 1, row by row. `draw` paints it in black. */
function inkOf(width, height, draw) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  draw(context);
  const { data } = context.getImageData(0, 0, width, height);
  return Float64Array.from({ length: width * height }, (_, pixel) => data[4 * pixel + 3] / 255);
}

/** Returns the image that the network takes of strokes, height times width values from 0 to 1.
 *
 * As in MNIST: the digit fills a box in one direction, keeps its aspect ratio, and its centre of mass is
 * in the middle of the image.
 */
function prepared(strokes, height, width) {
  const drawn = boxOf(strokes);
  const least = THINNEST * Math.max(drawn.width, drawn.height);
  const box = boxOf(strokes, least);
  const scale = Math.min(Math.round(BOX * height) / box.height, Math.round(BOX * width) / box.width);
  const rows = Math.max(1, Math.round(scale * box.height));
  const columns = Math.max(1, Math.round(scale * box.width));
  const fine = inkOf(FINE * columns, FINE * rows, (context) => {
    context.scale((FINE * columns) / box.width, (FINE * rows) / box.height);
    context.translate(-box.left, -box.top);
    paint(context, strokes, "black", least);
  });
  const digit = new Float64Array(rows * columns);
  fine.forEach((ink, at) => {
    const row = Math.floor(at / (FINE * columns) / FINE);
    const column = Math.floor((at % (FINE * columns)) / FINE);
    digit[row * columns + column] += ink / FINE ** 2;
  });
  return centred(digit, rows, columns, height, width);
}

/** Returns an image with the digit's centre of mass in its middle, its strongest ink being 1. */
function centred(digit, rows, columns, height, width) {
  const mass = digit.reduce((sum, ink) => sum + ink, 0);
  const middle = (index) => digit.reduce((sum, ink, at) => sum + ink * index(at), 0) / mass;
  const place = (half, centre, free) => Math.min(Math.max(Math.round(half - centre), 0), free);
  const top = place(height / 2, middle((at) => Math.floor(at / columns)), height - rows);
  const left = place(width / 2, middle((at) => at % columns), width - columns);
  const strongest = digit.reduce((one, other) => Math.max(one, other));
  const image = new Array(height * width).fill(0);
  digit.forEach((ink, at) => {
    const row = top + Math.floor(at / columns);
    image[row * width + left + (at % columns)] = Math.round((255 * ink) / strongest) / 255; // as bytes
  });
  return image;
}
