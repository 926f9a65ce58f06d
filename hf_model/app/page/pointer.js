// Mouse and touch on the piano roll: notes are selected, moved and stretched, the ruler gives the loop, two fingers zoom.
//
// By touch a note is selected first and moved then, so that a finger that scrolls the page changes no notes.

import { moved, stretched } from "./edits.js";

const START = 4; // pixels of a movement that is no click
const EDGE = 7; // pixels of a note's end that stretch it
const FINGER = 22; // pixels around a finger
const BORDER = 24; // pixels beside the keyboard and at the right where a drag scrolls

export class RollPointer {
  /** `editor` gives snapping, sounds and announcements, and is told what was pressed. */
  constructor(roll, melody, editor) {
    Object.assign(this, { roll, melody, editor, drag: null, pinch: null });
    const { canvas } = roll;
    canvas.addEventListener("pointerdown", (event) => this.onDown(event));
    canvas.addEventListener("pointermove", (event) => this.onMove(event));
    canvas.addEventListener("pointerup", (event) => this.onUp(event));
    canvas.addEventListener("pointercancel", () => this.cancel());
    canvas.addEventListener("dblclick", (event) => this.onDouble(event));
    canvas.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    for (const name of ["touchstart", "touchmove"]) canvas.addEventListener(name, (event) => this.onTouch(event), { passive: false });
    canvas.addEventListener("touchend", () => (this.pinch = null));
  }

  placeOf({ clientX, clientY }) {
    const { left, top } = this.roll.canvas.getBoundingClientRect();
    return [clientX - left, clientY - top];
  }

  /** What a press at a place takes hold of: a part of a note, the ruler, the keyboard, or nothing. */
  targetAt(x, y, isTouch) {
    const { roll, melody } = this;
    if (roll.isRuler(y)) return { kind: "ruler" };
    if (roll.isKeyboard(x)) return { kind: "keyboard" };
    const single = melody.selection.size === 1 ? melody.shownNote([...melody.selection][0]) : undefined;
    if (isTouch && single) {
      const ends = Object.entries(roll.handlesOf(single)).map(([edge, [atX, atY]]) => ({ edge, distance: Math.hypot(x - atX, y - atY) }));
      const [end] = ends.sort((a, b) => a.distance - b.distance);
      const isInside = x > roll.x(single.onset) && x < roll.x(single.offset) && Math.abs(y - roll.y(single.key)) < FINGER;
      if (end.distance < FINGER && !isInside) return { kind: "stretch", edge: end.edge, note: single };
      if (isInside) return { kind: "move", note: single };
    }
    const note = roll.noteAt(x, y, isTouch ? FINGER / 2 : 3);
    if (!note) return { kind: "empty" };
    const edge = Math.min(EDGE, (roll.x(note.offset) - roll.x(note.onset)) / 4);
    if (!isTouch && x < roll.x(note.onset) + edge) return { kind: "stretch", edge: "onset", note };
    if (!isTouch && x > roll.x(note.offset) - edge) return { kind: "stretch", edge: "offset", note };
    return { kind: isTouch && !melody.selection.has(note.id) ? "tap" : "move", note };
  }

  onDown(event) {
    if (event.button || !this.roll.rendering || this.pinch || this.melody.isLocked) return;
    const { roll, melody, editor } = this;
    const isTouch = event.pointerType === "touch";
    const [x, y] = this.placeOf(event);
    const target = this.targetAt(x, y, isTouch);
    roll.touch = isTouch;
    editor.onPress();
    if (target.kind === "keyboard") editor.sound(roll.keyAt(y));
    const isExtending = target.note && (event.shiftKey || event.ctrlKey || event.metaKey);
    if (isExtending) {
      editor.toggle(target.note.id);
      return;
    }
    if (target.note && target.kind !== "tap" && !melody.selection.has(target.note.id)) melody.select([target.note.id]);
    if (target.note && target.kind !== "tap") editor.sound(target.note.key, target.note);
    this.drag = { ...target, x, y, isTouch, at: roll.secondsAt(x), key: target.note?.key, sounded: target.note?.key, begun: false, late: false };
    if (!isTouch || ["move", "stretch", "ruler"].includes(target.kind)) roll.canvas.setPointerCapture(event.pointerId);
  }

  onMove(event) {
    const [x, y] = this.placeOf(event);
    if (!this.drag) {
      if (event.pointerType === "mouse" && this.roll.rendering) this.showCursor(x, y);
      return;
    }
    const { drag } = this;
    if (!drag.begun && Math.hypot(x - drag.x, y - drag.y) < START) return;
    drag.begun = true;
    if (drag.kind === "move") this.move(event, x, y);
    if (drag.kind === "stretch") this.stretch(event, x);
    if (drag.kind === "ruler") this.editor.loop.drag(this.editor.snapped(drag.at, event), this.editor.snapped(this.roll.secondsAt(x), event));
    if (drag.kind === "empty" && !drag.isTouch) this.mark(x, y);
    if (["move", "stretch"].includes(drag.kind)) this.scrollAtBorder(x);
  }

  showCursor(x, y) {
    const { kind } = this.targetAt(x, y, false);
    this.roll.canvas.style.cursor = { stretch: "ew-resize", move: "grab", ruler: "col-resize", keyboard: "pointer" }[kind] ?? "default";
  }

  move(event, x, y) {
    const { drag, roll, melody, editor } = this;
    roll.isDragging = true;
    let semitones = roll.keyAt(y) - roll.keyAt(drag.y);
    let seconds = roll.secondsAt(x) - drag.at;
    drag.late ||= Math.abs(x - drag.x) > 2 * START; // a change of pitch alone keeps the time
    if (!drag.late) seconds = 0;
    if (event.shiftKey) [seconds, semitones] = Math.abs(x - drag.x) > Math.abs(y - drag.y) ? [seconds, 0] : [0, semitones];
    if (seconds) seconds = editor.snapped(drag.note.onset + seconds, event) - drag.note.onset;
    const ids = new Set(melody.selection);
    melody.hold((notes) => moved(notes, ids, { seconds, semitones }, melody.bounds));
    const key = melody.shownNote(drag.note.id)?.key;
    if (key !== undefined && key !== drag.sounded) editor.sound((drag.sounded = key), drag.note);
  }

  stretch(event, x) {
    const { drag, roll, melody, editor } = this;
    roll.isDragging = true;
    const by = editor.snapped(drag.note[drag.edge] + roll.secondsAt(x) - drag.at, event) - drag.note[drag.edge];
    melody.hold((notes) => {
      const note = notes.find((each) => each.id === drag.note.id);
      return stretched(notes, note.id, drag.edge, note[drag.edge] + by, melody.bounds);
    });
  }

  /** Selects the notes in a rectangle. */
  mark(x, y) {
    const { drag, roll, melody } = this;
    const [left, right, top, bottom] = [Math.min(x, drag.x), Math.max(x, drag.x), Math.min(y, drag.y), Math.max(y, drag.y)];
    roll.marquee = { x: left, y: top, toX: right, toY: bottom };
    const isMarked = (note) => roll.x(note.offset) > left && roll.x(note.onset) < right && roll.y(note.key) > top && roll.y(note.key) < bottom;
    melody.select(melody.shown().filter(isMarked).map((note) => note.id));
  }

  scrollAtBorder(x) {
    const { view, width } = this.roll;
    if (x > width - BORDER) view.scrollLeft += BORDER / 2;
    if (x < BORDER + 34 && view.scrollLeft) view.scrollLeft -= BORDER / 2;
  }

  onUp() {
    const { drag, roll, melody, editor } = this;
    if (!drag) return;
    this.drag = null;
    roll.isDragging = false;
    roll.marquee = null;
    if (drag.begun && drag.kind === "ruler") editor.loop.drop();
    else if (drag.begun && drag.note && drag.kind !== "tap") {
      melody.release();
      editor.tellMoved(drag);
    } else if (drag.begun) melody.select(melody.selection);
    else if (drag.kind === "tap") editor.choose(drag.note, true, "drag it, or the dots beside it");
    else if (drag.kind === "ruler") editor.player.seek(drag.at);
    else if (drag.kind === "empty") {
      melody.select([]);
      editor.cursor = drag.at;
      editor.player.seek(drag.at);
    } else if (drag.note) editor.choose(drag.note, false);
  }

  cancel() {
    if (!this.drag) return;
    this.drag = null;
    this.roll.isDragging = false;
    this.roll.marquee = null;
    this.editor.loop.restore();
    this.melody.cancel();
  }

  onDouble(event) {
    const [x, y] = this.placeOf(event);
    if (this.roll.rendering && this.targetAt(x, y, false).kind === "empty") this.editor.addAt(this.roll.secondsAt(x), this.roll.keyAt(y), event);
  }

  onWheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.roll.zoom(Math.exp(-event.deltaY / 200), this.placeOf(event)[0]);
  }

  /** Two fingers zoom; one finger on something that it moves does not scroll. */
  onTouch(event) {
    if (!this.roll.rendering) return;
    if (event.touches.length === 2) {
      event.preventDefault();
      this.cancel();
      const [a, b] = event.touches;
      const now = { distance: Math.max(10, Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY)), x: (this.placeOf(a)[0] + this.placeOf(b)[0]) / 2 };
      if (this.pinch) {
        this.roll.view.scrollLeft -= now.x - this.pinch.x;
        this.roll.zoom(now.distance / this.pinch.distance, now.x);
      }
      this.pinch = now;
    } else if (event.type === "touchstart") {
      const { kind } = this.targetAt(...this.placeOf(event.touches[0]), true);
      if (["move", "stretch", "ruler"].includes(kind)) event.preventDefault();
    }
  }
}
