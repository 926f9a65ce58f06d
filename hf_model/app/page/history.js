// Undo and redo: states that are never changed, one after another.

const MOST = 500; // states that are kept

export class History {
  constructor(state) {
    this.reset(state);
  }

  reset(state) {
    Object.assign(this, { state, past: [], future: [], held: null });
  }

  /** Takes a new state; the same one is no step. */
  push(state) {
    this.release();
    this.step(this.state, state);
  }

  step(before, state) {
    if (state === before) return;
    this.past = [...this.past, before].slice(-MOST);
    this.future = [];
    this.state = state;
  }

  /** Shows a state while a gesture lasts: each is made from the state before the gesture, and `release` makes one step of all. */
  hold(change) {
    this.held ??= { before: this.state };
    this.state = change(this.held.before);
  }

  release() {
    if (!this.held) return;
    const { before } = this.held;
    const { state } = this;
    Object.assign(this, { held: null, state: before });
    this.step(before, state);
  }

  /** Ends a gesture as if it had not begun. */
  cancel() {
    if (this.held) Object.assign(this, { state: this.held.before, held: null });
  }

  undo() {
    this.release();
    if (!this.past.length) return false;
    this.future = [this.state, ...this.future];
    this.state = this.past.at(-1);
    this.past = this.past.slice(0, -1);
    return true;
  }

  redo() {
    this.release();
    if (!this.future.length) return false;
    this.past = [...this.past, this.state];
    [this.state, ...this.future] = this.future;
    return true;
  }
}
