// The piano roll: keys, beats, the voice's spectrogram, its pitch, and the notes that the piano plays.

const BLACK = new Set([1, 3, 6, 8, 10]);
const LETTERS = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
const KEYS = 34; // pixels for the keyboard
const SECOND = 16; // pixels at least, on a screen however narrow

export const nameOf = (key) => `${LETTERS[((key % 12) + 12) % 12]}${Math.floor(key / 12) - 1}`;

const loaded = (address) =>
  new Promise((resolve) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => resolve(null);
    image.src = address;
  });

export class Roll {
  /** Draws on a canvas; `seek(seconds)` hears where it was clicked. */
  constructor(canvas, seek) {
    this.canvas = canvas;
    this.still = document.createElement("canvas");
    canvas.addEventListener("click", ({ offsetX }) => this.heard && seek((this.heard.duration * (offsetX - KEYS)) / (canvas.clientWidth - KEYS)));
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  async show(heard, address) {
    this.heard = heard;
    this.canvas.style.minWidth = `${KEYS + Math.ceil(SECOND * heard.duration)}px`;
    this.sound = await loaded(address);
  }

  /** Takes what is played now. */
  update(played) {
    this.played = played;
    const keys = [...played.notes, ...played.accompaniment].map((note) => note[2]);
    const low = Math.min(...keys, this.heard.spectrum.lowest + 4);
    const high = Math.max(...keys, this.heard.spectrum.highest - 4);
    this.lowest = low - 2;
    this.highest = high + 2;
    this.draw();
  }

  draw() {
    const { canvas, still } = this;
    if (!this.played || !canvas.clientWidth) return;
    const scale = devicePixelRatio || 1;
    for (const one of [canvas, still]) [one.width, one.height] = [canvas.clientWidth * scale, canvas.clientHeight * scale];
    const pen = still.getContext("2d");
    pen.scale(scale, scale);
    this.width = canvas.clientWidth;
    this.height = canvas.clientHeight;
    const style = getComputedStyle(canvas);
    this.colour = (name) => style.getPropertyValue(`--${name}`).trim();
    this.ground(pen);
    this.voice(pen);
    this.notes(pen);
    this.keyboard(pen);
    this.point(this.seconds ?? 0);
  }

  x(seconds) {
    return KEYS + ((this.width - KEYS) * seconds) / this.heard.duration;
  }

  y(pitch) {
    return (this.height * (this.highest + 0.5 - pitch)) / (this.highest - this.lowest + 1);
  }

  ground(pen) {
    pen.fillStyle = this.colour("roll");
    pen.fillRect(0, 0, this.width, this.height);
    pen.fillStyle = this.colour("grid");
    const step = this.y(0) - this.y(1);
    for (let key = this.lowest; key <= this.highest; key++) {
      if (BLACK.has(key % 12)) pen.fillRect(KEYS, this.y(key + 0.5), this.width, step);
    }
    for (const [seconds, first] of this.played.beats) pen.fillRect(this.x(seconds), 0, first ? 1.5 : 0.5, this.height);
  }

  voice(pen) {
    const { spectrum, pitch, duration } = this.heard;
    if (this.sound) {
      const tinted = document.createElement("canvas");
      [tinted.width, tinted.height] = [this.sound.width, this.sound.height];
      const brush = tinted.getContext("2d");
      brush.drawImage(this.sound, 0, 0);
      brush.globalCompositeOperation = "source-in";
      brush.fillStyle = this.colour("sound");
      brush.fillRect(0, 0, tinted.width, tinted.height);
      pen.globalAlpha = 0.75;
      const top = this.y(spectrum.highest);
      pen.drawImage(tinted, KEYS, top, this.width - KEYS, this.y(spectrum.lowest) - top);
      pen.globalAlpha = 1;
    }
    this.curve = new Path2D();
    let on = false;
    pitch.points.forEach((value, index) => {
      if (value === null || index * pitch.step > duration) on = false;
      else {
        this.curve[on ? "lineTo" : "moveTo"](this.x(index * pitch.step), this.y(value));
        on = true;
      }
    });
  }

  notes(pen) {
    const thick = Math.max(5, Math.min(16, this.y(0) - this.y(1) - 1));
    const bar = ([onset, offset, key, velocity], fill, edge) => {
      pen.beginPath();
      pen.roundRect(this.x(onset) + 0.5, this.y(key) - thick / 2, Math.max(2, this.x(offset) - this.x(onset) - 1), thick, 3);
      pen.globalAlpha = 0.35 + (0.6 * velocity) / 127;
      pen.fillStyle = fill;
      pen.fill();
      pen.globalAlpha = 1;
      pen.strokeStyle = edge;
      pen.stroke();
    };
    for (const note of this.played.accompaniment) bar(note, this.colour("left"), this.colour("left"));
    for (const note of this.played.notes) bar(note, this.colour("bar"), this.colour("bar-edge"));
    pen.strokeStyle = this.colour("voice");
    pen.lineWidth = 1.6;
    pen.lineJoin = "round";
    pen.stroke(this.curve);
  }

  keyboard(pen) {
    const step = this.y(0) - this.y(1);
    const played = new Set([...this.played.notes, ...this.played.accompaniment].map((note) => note[2]));
    pen.font = `10px ${getComputedStyle(document.body).fontFamily}`;
    pen.textBaseline = "middle";
    for (let key = this.lowest; key <= this.highest; key++) {
      pen.fillStyle = played.has(key) ? this.colour("bar") : BLACK.has(key % 12) ? "#23273a" : "#f2efe6";
      pen.fillRect(0, this.y(key + 0.5), KEYS - 2, Math.max(1, step - 0.6));
      if (key % 12 === 0 || (played.has(key) && step > 9)) {
        pen.fillStyle = "#171a28";
        pen.fillText(nameOf(key), 4, this.y(key));
      }
    }
  }

  /** Moves the line that shows the position. */
  point(seconds) {
    this.seconds = seconds;
    if (!this.played) return;
    const pen = this.canvas.getContext("2d");
    pen.drawImage(this.still, 0, 0);
    const scale = devicePixelRatio || 1;
    pen.fillStyle = this.colour("accent");
    pen.fillRect(this.x(seconds) * scale - scale, 0, 2 * scale, this.canvas.height);
    const view = this.canvas.parentElement;
    if (this.x(seconds) < view.scrollLeft || this.x(seconds) > view.scrollLeft + view.clientWidth - KEYS) view.scrollLeft = this.x(seconds) - KEYS - 8;
  }
}
