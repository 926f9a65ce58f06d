// The grid of beats: where notes snap to, how long a step is, and the numbers of the bars.

const PARTS = { "1/4": 1, "1/8": 2, "1/16": 4, "1/8t": 3, "1/16t": 6 };
const NO_BEAT_STEP = 0.01; // seconds

export class Grid {
  /** `beats` are [seconds, 1 for the first of a bar]; `quantize` is the setting, sixteenths for "off". */
  constructor(beats = [], meter = "4/4", quantize = "off") {
    const isCompound = meter.endsWith("/8");
    const parts = (PARTS[quantize] ?? 4) * (isCompound ? 1.5 : 1); // a beat of 6/8 is a dotted quarter
    this.beats = beats;
    this.parts = Math.max(1, Math.round(parts));
  }

  get isKnown() {
    return this.beats.length > 1;
  }

  /** The length of a step at a time, in seconds. */
  stepAt(seconds) {
    if (!this.isKnown) return NO_BEAT_STEP;
    const [from, to] = this.around(seconds);
    return (to - from) / this.parts;
  }

  /** The two beats around a time; before the first and after the last one, the grid goes on. */
  around(seconds) {
    const after = this.beats.findIndex(([beat]) => beat > seconds + 1e-9);
    const index = Math.min(Math.max(after < 0 ? this.beats.length - 1 : after, 1), this.beats.length - 1);
    return [this.beats[index - 1][0], this.beats[index][0]];
  }

  /** The nearest place of the grid. */
  snap(seconds) {
    if (!this.isKnown) return seconds;
    const [from] = this.around(seconds);
    const step = this.stepAt(seconds);
    return from + Math.round((seconds - from) / step) * step;
  }

  /** The next place of the grid after (1) or before (-1) a time. */
  next(seconds, direction) {
    const step = this.stepAt(seconds);
    const near = this.snap(seconds);
    const isBeyond = (near - seconds) * direction > 0.05 * step;
    return this.isKnown ? (isBeyond ? near : this.snap(near + direction * step)) : seconds + direction * NO_BEAT_STEP;
  }

  /** The first beats of the bars, [seconds, number]; bar 1 begins at the one nearest to `first`, by default at the first. */
  bars(first) {
    const starts = this.beats.filter(([, isFirst]) => isFirst).map(([seconds]) => seconds);
    const distances = starts.map((seconds) => Math.abs(seconds - first));
    const one = Number.isFinite(first) ? distances.indexOf(Math.min(...distances)) : 0;
    return starts.map((seconds, index) => [seconds, index - one + 1]);
  }
}
