// What the piano roll looks like: beats, spectrogram and pitch of the voice, notes, keyboard and ruler.

import { nameOf } from "./words.js";

const BLACK = new Set([1, 3, 6, 8, 10]);
const MAX_LEAP = 5; // semitones between two points of the pitch curve that are connected
export const KEYBOARD_WIDTH = 34; // pixels
export const RULER_HEIGHT = 24;
export const HANDLE = 7; // radius of the handles of a note that is stretched by touch

/** Draws a roll, whose places are known, with a pen. */
export function drawRoll(roll, pen) {
  drawGrid(roll, pen);
  drawNotes(roll, pen, drawVoice(roll, pen));
  drawKeyboard(roll, pen);
  drawRuler(roll, pen);
}

function drawGrid(roll, pen) {
  pen.fillStyle = roll.colour("roll");
  pen.fillRect(0, 0, roll.width, roll.height);
  if (roll.loop) {
    pen.fillStyle = roll.colour("selected");
    pen.fillRect(roll.x(roll.loop.start), RULER_HEIGHT, roll.x(roll.loop.end) - roll.x(roll.loop.start), roll.height);
  }
  pen.fillStyle = roll.colour("grid");
  for (let key = roll.lowest; key <= roll.highest; key++) {
    if (BLACK.has(key % 12)) pen.fillRect(KEYBOARD_WIDTH, roll.y(key + 0.5), roll.width, roll.rowHeight);
  }
  for (const [seconds, first] of roll.rendering.beats) pen.fillRect(roll.x(seconds), RULER_HEIGHT, first ? 1.5 : 0.5, roll.height);
}

function drawVoice(roll, pen) {
  const { spectrum, pitch, duration } = roll.transcription;
  if (roll.spectrogram) {
    const tinted = tint(roll, roll.spectrogram);
    pen.globalAlpha = 0.75;
    const top = roll.y(spectrum.highest);
    pen.drawImage(tinted, roll.x(0), top, roll.perSecond * duration, roll.y(spectrum.lowest) - top);
    pen.globalAlpha = 1;
  }
  const curve = new Path2D();
  let before = null;
  const [first, last] = [0, roll.width].map((x) => roll.secondsAt(x) / pitch.step);
  for (let index = Math.max(0, Math.floor(first) - 1); index <= Math.min(pitch.points.length - 1, last + 1); index++) {
    const value = pitch.points[index];
    if (value !== null && index * pitch.step <= duration) {
      const isConnected = before !== null && Math.abs(value - before) < MAX_LEAP;
      curve[isConnected ? "lineTo" : "moveTo"](roll.x(index * pitch.step), roll.y(value));
    }
    before = value;
  }
  return curve;
}

/** The spectrogram in the colour of the style sheet; kept, because it is drawn again with every movement. */
function tint(roll, image) {
  const colour = roll.colour("spectrogram");
  if (roll.tinted?.colour === colour) return roll.tinted.canvas;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  const brush = canvas.getContext("2d");
  brush.drawImage(image, 0, 0);
  brush.globalCompositeOperation = "source-in";
  brush.fillStyle = colour;
  brush.fillRect(0, 0, canvas.width, canvas.height);
  roll.tinted = { colour, canvas };
  return canvas;
}

function drawNotes(roll, pen, curve) {
  for (const note of roll.left) drawBar(roll, pen, note, "left", "left");
  for (const note of roll.notes) drawBar(roll, pen, note, "bar", "bar-edge");
  pen.strokeStyle = roll.colour("voice");
  pen.lineWidth = 1.6;
  pen.lineJoin = "round";
  pen.stroke(curve);
  for (const note of roll.notes) if (roll.melody.selection.has(note.id)) drawSelected(roll, pen, note);
  if (roll.marquee) {
    const { x, y, toX, toY } = roll.marquee;
    pen.strokeStyle = roll.colour("accent");
    pen.lineWidth = 1;
    pen.setLineDash([4, 3]);
    pen.strokeRect(x, y, toX - x, toY - y);
    pen.setLineDash([]);
  }
}

function drawBar(roll, pen, { onset, offset, key, velocity, confidence = 1 }, fill, edge) {
  const [from, to] = [roll.x(onset), roll.x(offset)];
  if (to < KEYBOARD_WIDTH || from > roll.width) return;
  pen.beginPath();
  pen.roundRect(from + 0.5, roll.y(key) - roll.thickness / 2, Math.max(2, to - from - 1), roll.thickness, 3);
  pen.globalAlpha = (0.35 + (0.6 * velocity) / 127) * (confidence < roll.uncertain ? 0.45 : 1);
  pen.fillStyle = roll.colour(fill);
  pen.fill();
  pen.globalAlpha = 1;
  pen.strokeStyle = roll.colour(edge);
  pen.lineWidth = 1;
  if (confidence < roll.uncertain) pen.setLineDash([3, 2]);
  pen.stroke();
  pen.setLineDash([]);
}

function drawSelected(roll, pen, note) {
  pen.beginPath();
  pen.roundRect(roll.x(note.onset) - 1.5, roll.y(note.key) - roll.thickness / 2 - 2, Math.max(5, roll.x(note.offset) - roll.x(note.onset) + 3), roll.thickness + 4, 4);
  pen.strokeStyle = roll.colour("ink");
  pen.lineWidth = 2.5;
  pen.stroke();
  if (!roll.touch || roll.melody.selection.size > 1) return;
  pen.fillStyle = roll.colour("ink");
  for (const [x, y] of Object.values(roll.handlesOf(note))) {
    pen.beginPath();
    pen.arc(x, y, HANDLE, 0, 2 * Math.PI);
    pen.fill();
  }
}

function drawKeyboard(roll, pen) {
  const played = new Set([...roll.notes, ...roll.left].map((note) => note.key));
  pen.font = `10px ${getComputedStyle(document.body).fontFamily}`;
  pen.textBaseline = "middle";
  pen.fillStyle = roll.colour("roll");
  pen.fillRect(0, RULER_HEIGHT, KEYBOARD_WIDTH, roll.height);
  for (let key = roll.lowest; key <= roll.highest; key++) {
    pen.fillStyle = played.has(key) ? roll.colour("bar") : BLACK.has(key % 12) ? "#23273a" : "#f2efe6";
    pen.fillRect(0, roll.y(key + 0.5), KEYBOARD_WIDTH - 2, Math.max(1, roll.rowHeight - 0.6));
    if (key % 12 === 0 || (played.has(key) && roll.rowHeight > 9)) {
      pen.fillStyle = "#171a28";
      pen.fillText(nameOf(key), 4, roll.y(key));
    }
  }
}

/** The ruler: the bars with their numbers, and the range of the loop. */
function drawRuler(roll, pen) {
  pen.fillStyle = roll.colour("card");
  pen.fillRect(0, 0, roll.width, RULER_HEIGHT);
  if (roll.loop) {
    pen.fillStyle = roll.colour("accent");
    pen.globalAlpha = roll.loop.on ? 0.55 : 0.2;
    pen.fillRect(roll.x(roll.loop.start), 2, roll.x(roll.loop.end) - roll.x(roll.loop.start), RULER_HEIGHT - 4);
    pen.globalAlpha = 1;
  }
  pen.fillStyle = roll.colour("ink");
  let free = -Infinity; // numbers that would touch are left out
  for (const [seconds, number] of roll.grid.bars(roll.barOne)) {
    const at = roll.x(seconds);
    pen.fillRect(at, RULER_HEIGHT - 7, 1, 7);
    if (number < 1 || at < Math.max(free, KEYBOARD_WIDTH - 2)) continue;
    pen.fillText(String(number), at + 4, RULER_HEIGHT / 2);
    free = at + 12 + pen.measureText(String(number)).width;
  }
  pen.fillStyle = roll.colour("card");
  pen.fillRect(0, 0, KEYBOARD_WIDTH, RULER_HEIGHT);
  pen.fillStyle = roll.colour("soft");
  pen.fillText("bar", 8, RULER_HEIGHT / 2);
  pen.fillStyle = roll.colour("line");
  pen.fillRect(0, RULER_HEIGHT - 1, roll.width, 1);
}
