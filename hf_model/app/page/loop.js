// The range that is repeated while the player plays: set on the ruler, by the selected notes, or with L.

const SHORTEST = 0.1; // seconds

export class Loop {
  /** `onChange()` is called when the range or its state has changed. */
  constructor(player, roll, onChange) {
    Object.assign(this, { player, roll, onChange, range: null, before: null });
  }

  /** Shows a range while it is dragged. */
  drag(from, to) {
    this.before ??= { range: this.range };
    this.range = { start: Math.max(0, Math.min(from, to)), end: Math.max(from, to), on: true };
    this.show();
  }

  /** Takes the range that was dragged; one that is too short takes the loop away. */
  drop() {
    this.before = null;
    this.set(this.range?.start, this.range?.end);
  }

  /** Ends a drag as if it had not begun. */
  restore() {
    if (!this.before) return;
    this.range = this.before.range;
    this.before = null;
    this.show();
  }

  set(start, end) {
    const isLong = end - start >= SHORTEST;
    this.range = isLong ? { start, end, on: true } : null;
    this.apply();
  }

  clear() {
    this.range = null;
    this.apply();
  }

  toggle() {
    if (this.range) this.range = { ...this.range, on: !this.range.on };
    this.apply();
  }

  get on() {
    return Boolean(this.range?.on);
  }

  apply() {
    this.player.setLoop(this.on ? this.range : null);
    this.show();
    this.onChange();
  }

  show() {
    this.roll.loop = this.range;
    this.roll.draw();
  }
}
