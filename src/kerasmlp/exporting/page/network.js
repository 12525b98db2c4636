"use strict";

/* The network: what it computes, and what it computes it from. Nothing here knows the page. */

/** Computes the layers, one after the other. The k-th unit of a layer is a weighted sum of all inputs,
 * plus a bias, and then an activation. The last layer has the softmax, the others have ReLU.
 *
 * @param layers each with units, kernel [inputs, units] row by row, and bias [units].
 * @param pixels the image, row by row, from 0, black, to 1, white.
 * @return for each layer: inputs, sums (without the bias), totals (with it), and the units' values.
 */
function forward(layers, pixels) {
  let values = Array.from(pixels);
  return layers.map(({ units, kernel, bias }, number) => {
    const inputs = values;
    const sums = Array.from(bias, (_, unit) =>
      inputs.reduce((sum, value, input) => sum + value * kernel[input * units + unit], 0));
    const totals = sums.map((sum, unit) => sum + bias[unit]);
    values = number === layers.length - 1 ? softmax(totals) : totals.map((total) => Math.max(0, total));
    return { inputs, sums, totals, values };
  });
}

/** Returns values whose sum is 1: the share of each exp(total). The largest is taken from all, so that
 * no exp is infinite. */
function softmax(totals) {
  const largest = Math.max(...totals);
  const exps = totals.map((total) => Math.exp(total - largest));
  const sum = exps.reduce((one, other) => one + other);
  return exps.map((exp) => exp / sum);
}

/** Returns what a network reads: the unit of its last layer that has the largest value. */
function labelOf(reading) {
  const { values } = reading.at(-1);
  return values.indexOf(Math.max(...values));
}

/** Returns the numbers that a text in base64 holds, 32 bits each, the lowest byte first. */
function floats(text) {
  const view = new DataView(bytes(text).buffer);
  return Float32Array.from({ length: view.byteLength / 4 }, (_, at) => view.getFloat32(4 * at, true));
}

/** Returns the bytes that a text in base64 holds. */
function bytes(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** Returns the content of the page, with numbers in place of texts. */
function unpacked({ layers, examples, ...content }) {
  return {
    ...content,
    layers: layers.map((layer) => ({ ...layer, kernel: floats(layer.kernel), bias: floats(layer.bias) })),
    examples: examples.map(({ label, pixels }) => ({ label, pixels: Array.from(bytes(pixels), (byte) => byte / 255) })),
  };
}
