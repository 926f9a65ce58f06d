// The tempo of taps: the median of the last intervals.

const MOST_TAPS = 9;
const PAUSE = 2.1; // seconds after which taps begin anew: slower than 30 bpm
const FEWEST_TAPS = 4;

export class TapTempo {
  constructor(slowest = 30, fastest = 300) {
    Object.assign(this, { slowest, fastest, taps: [] });
  }

  /** Takes a tap at a time in seconds; gives beats per minute, or undefined while there are too few taps. */
  tap(seconds) {
    if (seconds - this.taps.at(-1) > PAUSE || seconds < this.taps.at(-1)) this.taps = [];
    this.taps = [...this.taps, seconds].slice(-MOST_TAPS);
    if (this.taps.length < FEWEST_TAPS) return undefined;
    const intervals = this.taps.slice(1).map((at, index) => at - this.taps[index]).sort((a, b) => a - b);
    const middle = (intervals[(intervals.length - 1) >> 1] + intervals[intervals.length >> 1]) / 2;
    return Math.min(Math.max(Math.round(60 / middle), this.slowest), this.fastest);
  }

  /** How many more taps are needed. */
  get missing() {
    return Math.max(0, FEWEST_TAPS - this.taps.length);
  }
}
